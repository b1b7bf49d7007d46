"""Which test files a change may affect."""

import ast
import json
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podium.plan.impact import Impact, impact_of, missed, place_in_project
from podium.plan.impact_imports import Import, mentions
from podium.protocols import TestRecord
from podium.test_results import TestResult


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


class Project:
    """Files with texts, and what a change of some of them affects."""

    def __init__(self, folder):
        self.folder = folder
        self.files = {}

    def write(self, **texts):
        """Write files; `__` in a name stands for `/`, and without suffix they are Python."""
        for name, text in texts.items():
            self.put(name.replace("__", "/") + ".py", text)
        return self

    def put(self, path, text=""):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
        self.files[path] = text
        return self

    def impact(self, *changed):
        return impact_of(self.folder, self.files, changed)

    def affected(self, *changed):
        """Return the test files a change touches, without folder and suffix."""
        impact = self.impact(*changed)
        tests = [path for path in self.files if Path(path).name.startswith("test_")]
        return {Path(path).stem for path in tests if impact.touches(path)}


def test_a_change_affects_what_imports_it_at_any_distance_and_nothing_else(project):
    project.put("src/app/__init__.py").put("src/app/low.py").put("src/app/high.py", "from app.low import x")
    project.put("src/app/other.py").put("tests/test_high.py", "import app.high").put(
        "tests/test_other.py", "import app.other"
    )
    assert project.affected("src/app/low.py") == {"test_high"}
    assert project.affected("src/app/other.py") == {"test_other"}
    assert project.affected("src/app/__init__.py") == {"test_high", "test_other"}
    assert project.affected("tests/test_other.py") == {"test_other"}
    assert project.affected() == set()


@pytest.mark.parametrize(
    "line",
    [
        "import app.core.low",
        "import app.core.low as it",
        "from app.core import low",
        "from app.core.low import x",
        "from app.core import *",
        "def later():\n    from app.core import low",
        "if True:\n    try:\n        import app.core.low\n    except ImportError:\n        pass",
        "match 1:\n    case 1:\n        import app.core.low",
        "import importlib\nimportlib.import_module('app.core.low')",
        "import importlib\nimportlib.import_module(name='app.core.low')",
        "import importlib\nimportlib.import_module('.low', 'app.core')",
        "import importlib\nimportlib.import_module('..core.low', package='app.other')",
        "from importlib import import_module\nfor name in names:\n    import_module(f'app.core.{name}')",
        "from importlib import import_module\nimport_module('app.core.' + name)",
        "from importlib import import_module\nimport_module('app.core.l' + name)",
        "__import__('app.core.low')",
        "import pytest\npytest.importorskip('app.core.low')",
        "pytest_plugins = ['app.core.low']",
        "pytest_plugins: str = 'app.core.low'",
        "def test_it(mocker):\n    mocker.patch('app.core.low.function')",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'app.core.low'])",
        "import subprocess, sys\nsubprocess.run([sys.executable, 'src/app/core/low.py'])",
        "import os\nos.system('python ../src/app/core/low.py --fast')",
        "target = 'app.core.low:main'",
        "target = b'app.core.low'",
    ],
)
def test_every_way_to_name_a_module_counts_as_using_it(project, line):
    project.put("src/app/__init__.py").put("src/app/core/__init__.py").put("src/app/core/low.py")
    project.put("tests/test_it.py", line).put("tests/test_else.py", "import json")
    assert project.affected("src/app/core/low.py") == {"test_it"}


@pytest.mark.parametrize(
    ("line", "user"),
    [
        ("from . import low", "src/app/core/high.py"),
        ("from .low import x", "src/app/core/high.py"),
        ("from ..core import low", "src/app/core/high.py"),
        ("from .core.low import x", "src/app/high.py"),
        ("from .core import *", "src/app/high.py"),
        ("import importlib\nimportlib.import_module('.low', __package__)", "src/app/core/high.py"),
        ("import importlib\nimportlib.import_module(f'.{name}', __name__)", "src/app/core/__init__.py"),
    ],
)
def test_relative_names_are_found(project, line, user):
    project.put("src/app/__init__.py").put("src/app/core/__init__.py").put("src/app/core/low.py").put(user, line)
    module = user.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    project.put("tests/test_it.py", f"import {module}").put("tests/test_else.py")
    assert project.affected("src/app/core/low.py") == {"test_it"}


@pytest.mark.parametrize("layout", ["src/", "", "python/lib/"])
def test_packages_are_found_in_any_layout_with_and_without_init(project, layout):
    project.put(f"{layout}app/low.py").put(f"{layout}app/deep/er.py", "from app import low")
    project.put("tests/test_it.py", "import app.deep.er").put("tests/test_else.py", "import deep")
    assert project.affected(f"{layout}app/low.py") == {"test_it"}


def test_conftest_and_packages_around_affect_the_tests_below_them(project):
    project.put("tests/conftest.py", "import support").put("tests/support.py").put("tests/a/conftest.py")
    project.put("tests/a/__init__.py").put("tests/a/test_a.py").put("tests/b/test_b.py").put("other/test_c.py")
    assert project.affected("tests/a/conftest.py") == {"test_a"}
    assert project.affected("tests/a/__init__.py") == {"test_a"}
    assert project.affected("tests/conftest.py") == {"test_a", "test_b"}
    assert project.affected("tests/support.py") == {"test_a", "test_b"}


def test_a_file_that_is_gone_affects_those_that_still_name_it(project):
    project.put("src/app/__init__.py").put("tests/test_it.py", "from app import gone").put("tests/test_else.py")
    assert project.affected("src/app/gone.py") == {"test_it"}


def test_a_new_file_affects_those_whose_import_it_now_answers(project):
    project.put("tests/test_it.py", "import yaml").put("yaml.py").put("tests/test_else.py")
    assert project.affected("yaml.py") == {"test_it"}


def test_a_folder_that_becomes_a_package_or_ceases_to_be_one_affects_all_that_used_it(project):
    project.put("lib/__init__.py").put("lib/low.py").put("tests/test_it.py", "import low")
    assert project.affected("lib/__init__.py", "lib/low.py") == {"test_it"}
    assert project.affected("lib/__init__.py") == {"test_it"}


def test_a_file_that_is_no_python_affects_all_that_import_it_whatever_changed(project):
    project.put("src/app/broken.py", "def (").put("src/app/low.py").put("tests/test_it.py", "import app.broken")
    project.put("tests/test_null.py", b"\0").put("tests/test_else.py")
    assert project.affected("src/app/low.py") == {"test_it", "test_null"}


def test_a_program_that_is_run_by_its_name_is_used(project):
    project.put("pyproject.toml", '[project.scripts]\nshop = "app.cli:main"\n').put(
        "src/app/cli.py", "from app import low"
    )
    project.put("src/app/low.py").put("src/tool/__main__.py", "import app.low").put("tests/test_else.py", "'shopping'")
    project.put("tests/test_shop.py", "import subprocess\nsubprocess.run(['shop', '--help'])")
    project.put("tests/test_tool.py", "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'tool'])")
    assert project.affected("src/app/low.py") == {"test_shop", "test_tool"}


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("print('shop --help')", False),
        ("import subprocess\nsubprocess.run(['shop'])", True),
        ("command = ['python', '-m', 'shop']", True),
    ],
)
def test_a_package_may_use_its_own_name_without_running_itself(project, text, runs):
    project.put("pyproject.toml", '[project.scripts]\nshop = "shop.cli:main"\n').put("src/shop/__init__.py")
    project.put("src/shop/cli.py").put("src/shop/__main__.py").put("src/shop/low.py", text)
    project.put("tests/test_it.py", "import shop.low").put("src/shop/tests/test_all.py", "args = 'shop'")
    assert project.affected("src/shop/cli.py") == ({"test_it", "test_all"} if runs else {"test_all"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\naddopts = -p support.plugin\n"),
        ("pyproject.toml", '[project.entry-points.pytest11]\nmine = "support.plugin:Plugin"\n'),
    ],
)
def test_plugins_of_the_project_affect_every_test(project, name, text):
    project.put("support/plugin.py", "import low").put("low.py").put("tests/test_a.py").put(name, text)
    assert project.affected("low.py") == {"test_a"}


def test_computed_imports_reach_modules_nobody_names_and_folders_they_name(project):
    project.put("src/app/loader.py", "import importlib\nimportlib.import_module(name)")
    project.put("src/app/named.py").put("src/app/user.py", "import app.named").put("src/plugins/red.py").put(
        "extra/blue.py"
    )
    project.put("tests/test_it.py", "import app.loader").put("tests/test_else.py", "import app.user")
    assert project.affected("src/plugins/red.py") == {"test_it"}
    assert project.affected("src/app/named.py") == {"test_it", "test_else"}
    assert project.affected("extra/blue.py") == set()
    project.put("src/app/loader.py", "import importlib\nfolder = 'extra'\nimportlib.import_module(name)")
    assert project.affected("extra/blue.py") == {"test_it"}


def test_where_python_looks_for_modules_may_be_changed_by_the_project(project):
    project.put("src/app/__init__.py").put("src/app/low.py").put("tests/test_it.py", "import low")
    assert project.affected("src/app/low.py") == set()
    project.put("tests/conftest.py", "import sys\nsys.path.insert(0, 'src/app')")
    assert project.affected("src/app/low.py") == {"test_it"}


def test_texts_that_only_look_like_modules_do_not_count(project):
    project.put("tests/conftest.py", "import sys\nsys.path.insert(0, 'src/app')").put("src/app/__init__.py")
    project.put("src/app/run.py").put("src/app/report.py").put("src/app/sub/__main__.py")
    project.put(
        "tests/test_it.py", "names = ['run.started', 'report.json', '__init__.py', '__main__.py', 'conftest.py']"
    )
    for file in ("src/app/run.py", "src/app/report.py", "src/app/sub/__main__.py"):
        assert project.affected(file) == set()


def test_packages_may_have_another_name_than_their_folder(project):
    project.put("pyproject.toml", '[tool.setuptools]\npackage-dir = {"shop" = "code"}\n')
    project.put("code/__init__.py").put("code/low.py").put("tests/test_it.py", "import shop.low").put(
        "tests/test_else.py"
    )
    assert project.affected("code/low.py") >= {"test_it"}


@pytest.mark.parametrize(
    "file",
    ["pyproject.toml", "tests/data.json", "setup.py", "src/app/page.html", "src/app/fast.so", "requirements.txt"],
)
def test_what_is_neither_python_nor_documentation_affects_everything(project, file):
    project.put("src/app/__init__.py").put("tests/test_a.py").put("tests/test_b.py")
    impact = project.impact("src/app/x.py", file)
    assert impact.everything == f"{file} is neither Python nor documentation"
    assert project.affected(file) == {"test_a", "test_b"}


@pytest.mark.parametrize(
    ("line", "reads"),
    [
        ("text = open('docs/guide.md').read()", True),
        ("for file in root.glob('*.md'): pass", True),
        ("folder = root / 'docs'", True),
        ("text = open('README.md').read()", False),
    ],
)
def test_documentation_affects_only_what_mentions_it(project, line, reads):
    project.put("tests/test_it.py", line).put("tests/test_else.py").put("docs/guide.md")
    assert project.affected("docs/guide.md") == ({"test_it"} if reads else set())


def test_documentation_inside_of_a_package_is_data(project):
    project.put("src/app/__init__.py").put("src/app/help/start.md").put("tests/test_it.py")
    assert project.affected("src/app/help/start.md") == {"test_it"}


@pytest.mark.parametrize(
    "file", ["LICENSE", ".github/workflows/test.yml", ".gitignore", "CHANGELOG", "docs/picture.png"]
)
def test_what_serves_only_the_platform_affects_nothing(project, file):
    assert project.put("tests/test_it.py").affected(file) == set()


def test_of_files_it_does_not_know_nothing_is_said(project):
    impact = project.put("src/app.py").impact("src/app.py")
    assert impact.touches("web/cart.test.js")
    assert impact.touches("")


@pytest.mark.parametrize(
    ("changed", "words"),
    [((), "nothing"), (("a", "b"), "a, b"), (("a", "b", "c", "d", "e"), "a, b, c and 2 more")],
)
def test_changes_in_words(changed, words):
    assert Impact(changed).in_words == words


@pytest.mark.parametrize(
    ("folder", "file", "place"),
    [
        ("", "tests/a.py", "tests/a.py"),
        ("backend", "tests/a.py", "backend/tests/a.py"),
        ("backend", "../tests/./a.py", "tests/a.py"),
        ("backend", "../../a.py", ""),
        ("", "/etc/a.py", ""),
        ("backend", "", ""),
    ],
)
def test_files_of_a_suite_have_a_place_in_the_project(folder, file, place):
    assert place_in_project(folder, file) == place


def test_failures_a_selection_would_have_missed_are_found():
    impact = Impact(
        ("src/a.py",),
        frozenset({"src/a.py", "tests/test_a.py"}),
        frozenset({"tests/test_a.py", "tests/test_b.py"}),
        since_us=5,
    )
    results = [
        TestResult("a", "failed", file="tests/test_a.py"),
        TestResult("b", "failed", file="tests/test_b.py"),
        TestResult("new", "failed", file="tests/test_b.py"),
        TestResult("always", "failed", file="tests/test_b.py"),
        TestResult("skipped", "failed", file="tests/test_b.py"),
        TestResult("back", "failed", file="tests/test_b.py"),
        TestResult("fine", "passed", file="tests/test_b.py"),
        TestResult("excused", "failed", file="tests/test_b.py", quarantined=True),
        TestResult("elsewhere", "failed"),
    ]
    records = {name: TestRecord(1.0, "passed", last_us=5) for name in ("a", "b", "fine", "excused", "elsewhere")}
    records["always"] = TestRecord(1.0, "failed", last_us=5)
    records["skipped"] = TestRecord(1.0, "skipped", last_us=5)
    records["back"] = TestRecord(1.0, "passed", last_us=4)
    (found,) = missed(impact, results, records)
    assert (found.test, found.file) == ("b", "tests/test_b.py")
    assert found.finding.severity == "warning"
    assert "`b` fails since src/a.py changed" in found.finding.render()


@pytest.mark.parametrize(
    "call",
    [
        "import_module(name)",
        "import_module('.low', package)",
        "import_module()",
        "import_module(*names)",
        "entry_points()",
    ],
)
def test_names_known_only_at_run_time_are_computed(call):
    assert mentions(call.encode()).computed
    assert not mentions(call.replace("(", "_it(").encode()).computed


def test_an_expression_too_deep_to_follow_makes_a_file_unreadable():
    assert not mentions(f"import_module({' + '.join(['x'] * 5000)})".encode()).readable


@given(source=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_a_file_holds_is_read_or_not_readable(source):
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        assert not mentions(source).readable
    else:
        assert mentions(source).readable


def test_what_a_file_names_is_known_by_its_content():
    names = mentions(b"from ..a import b, c\nimport d.e")
    assert set(names.imports) == {Import("a", ("b", "c"), 2), Import("d.e")}
    assert mentions(b"from ..a import b, c\nimport d.e") is names
    assert mentions("# coding: latin-1\nimport \u00e4".encode("latin-1")).readable
    assert not mentions(b"import \xe4").readable


# What Python itself does -------------------------------------------------------------------------------------------

RUNNER = """
import builtins, importlib, json, os, sys

def name_of(path):
    folder, base = os.path.split(path)
    parts = [] if base == "__init__.py" else [base[:-3]]
    while os.path.exists(os.path.join(folder, "__init__.py")):
        folder, last = os.path.split(folder)
        parts.insert(0, last)
    return folder, ".".join(parts)

def take(path):
    folder, name = name_of(path)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    sys.modules.pop("conftest", None)
    return importlib.import_module(name)

top = os.getcwd()
sys.path[:0] = [top, os.path.join(top, "src")]
sys.dont_write_bytecode = True
seen = {}
for test in json.loads(sys.argv[1]):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        builtins.EXECUTED = []
        folders = test.split("/")[:-1]
        for depth in range(len(folders) + 1):
            file = os.path.join(top, *folders[:depth], "conftest.py")
            if os.path.exists(file):
                for plugin in getattr(take(file), "pytest_plugins", ()):
                    try:
                        importlib.import_module(plugin)
                    except ImportError:
                        pass
        take(os.path.join(top, test))
        files = sorted({os.path.relpath(file, top) for file in builtins.EXECUTED})
        with os.fdopen(writing, "w") as stream:
            json.dump(files, stream)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        seen[test] = json.loads(stream.read() or "null")
    os.wait()
print(json.dumps(seen))
"""
"""Imports each test file in a process of its own, as pytest does, and prints which files were executed."""

PLACES = [
    "src/app/__init__.py",
    "src/app/core/__init__.py",
    "src/app/core/low.py",
    "src/app/core/util.py",
    "src/app/util.py",
    "src/space/one.py",
    "src/space/deep/two.py",
    "util.py",
    "flat/__init__.py",
    "flat/util.py",
    "tests/conftest.py",
    "tests/__init__.py",
    "tests/util.py",
    "tests/unit/conftest.py",
    "tests/unit/__init__.py",
    "tests/unit/low.py",
    "tests/unit/test_a.py",
    "tests/test_b.py",
    "tests/more/test_c.py",
]
TARGETS = [place for place in PLACES if "test_" not in place and "conftest" not in place]
WAYS = ("import", "from", "star", "relative", "module", "prefix", "dunder", "later", "plugin")


def dotted(place):
    return place.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def statement(way, user, target):  # noqa: PLR0911 (one for each way)
    """Return Python that imports the target in one of several ways."""
    name = dotted(target)
    parent, _, last = name.rpartition(".")
    match way:
        case "from" if parent:
            return f"from {parent} import {last}"
        case "star":
            return f"from {name} import *"
        case "relative" if user.split("/")[:2] == target.split("/")[:2] and user.startswith("src/app"):
            up = "." * (user.count("/") - 1)
            inside = name.removeprefix("app").lstrip(".")
            parent, _, last = inside.rpartition(".")
            return f"from {up}{parent} import {last}" if last else f"from {up} import core"
        case "module":
            return f"__import__('importlib').import_module({name!r})"
        case "prefix" if parent:
            return f"last = {last!r}; __import__('importlib').import_module(f'{parent}.{{last}}')"
        case "dunder":
            return f"__import__({name!r})"
        case "later":
            return f"(lambda: __import__({name!r}, fromlist=['x']))()"
        case "plugin" if user.endswith("conftest.py"):
            return f"pytest_plugins = [{name!r}]"
        case _:
            return f"import {name}"


@st.composite
def trees(draw):
    there = sorted(draw(st.sets(st.sampled_from(PLACES), min_size=6)) | {"tests/test_b.py"}, key=PLACES.index)
    texts = {}
    for user in there:
        lines = ["import builtins", "builtins.EXECUTED.append(__file__)"]
        for target, way in draw(st.lists(st.tuples(st.sampled_from(TARGETS), st.sampled_from(WAYS)), max_size=3)):
            line = statement(way, user, target)
            lines.append(f"try:\n    {line}\nexcept (ImportError, AttributeError):\n    pass")
        texts[user] = "\n".join(lines) + "\n"
    return texts


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=trees())
def test_every_test_file_that_executes_a_changed_file_is_affected(texts, tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("tree"))
    for path, text in texts.items():
        project.put(path, text)
    tests = [path for path in texts if "test_" in path]
    ended = subprocess.run(
        [sys.executable, "-I", "-c", RUNNER, json.dumps(tests)],
        cwd=project.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    executed = json.loads(ended.stdout)
    for test in tests:
        assert test in executed[test], ended.stderr
    for changed in texts:
        impact = project.impact(changed)
        assert not impact.everything
        for test in tests:
            if changed in executed[test]:
                assert impact.touches(test), (changed, test, texts)
