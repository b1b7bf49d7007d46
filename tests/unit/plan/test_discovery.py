"""The tests of projects that say nothing about layers."""

import json
import shutil
from fnmatch import fnmatch
from pathlib import PurePosixPath

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.plan.project_folder import ProjectFolder

from podium.model.layers_loading import load_layers_text
from podium.plan.discovery import DerivedCategory, derive, find_category
from podium.plan.discovery_document import layers_document
from podium.plan.discovery_names import LAYERS
from podium.plan.layers import plan_layers
from podium.plan.suites import CommandSuite, PytestSuite


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


class Project(ProjectFolder):
    def package(self, path="package.json", **keys):
        return self.put(path, text=json.dumps(keys))

    @property
    def layers(self):
        found = {}
        for category in derive(self.folder):
            found.setdefault(category.layer, []).append(category.name)
        return found

    def category(self, name):
        (found,) = (category for category in derive(self.folder) if category.name == name)
        return found

    def suite(self, name):
        return self.category(name).suite


def test_a_project_without_tests_has_no_categories(project):
    assert derive(project.put("src/app.py", "tests/data.txt", "setup.py").folder) == []


def test_one_folder_of_tests_is_one_category_that_comes_first(project):
    project.put("tests/test_a.py", "tests/more/test_b.py", "src/app.py")
    assert derive(project.folder) == [
        DerivedCategory(
            "tests", "fast_feedback", "pytest", PytestSuite(paths=("tests",)), "2 files of tests in `tests`"
        )
    ]


def test_folders_with_usual_names_are_categories_in_the_documented_layers(project):
    quick, core = ("smoke", "unit"), ("database", "api", "websocket", "integration")
    services, background = ("agent", "e2e_critical", "frontend"), ("cypress", "e2e", "performance")
    project.put(*(f"tests/{name}/test_it.py" for name in (*quick, *core, *services, *background)))
    layers = {layer: sorted(found) for layer, found in project.layers.items()}
    assert layers == {
        "fast_feedback": ["smoke", "unit"],
        "core_integration": ["api", "database", "integration", "websocket"],
        "service_integration": ["agent", "e2e_critical", "frontend"],
        "e2e_background": ["cypress", "e2e", "performance"],
    }
    assert list(project.layers) == list(LAYERS)


def test_a_folder_without_tests_is_no_category(project):
    project.put("tests/unit/test_a.py", "tests/integration/data.json", "tests/e2e/helper.py")
    assert project.layers == {"fast_feedback": ["unit"]}


def test_what_is_in_no_category_is_one_of_its_own_without_the_others(project):
    project.put("tests/unit/test_a.py", "tests/e2e/test_b.py", "tests/test_c.py")
    assert project.layers == {"fast_feedback": ["unit"], "core_integration": ["tests"], "e2e_background": ["e2e"]}
    assert project.suite("tests") == PytestSuite(paths=("tests",), exclude=("tests/e2e/*", "tests/unit/*"))
    assert project.category("tests").why == "1 file of tests in no folder of another category"


def test_what_is_left_comes_first_if_nothing_else_is_quick(project):
    project.put("tests/integration/test_a.py", "tests/test_b.py")
    assert project.layers == {"fast_feedback": ["tests"], "core_integration": ["integration"]}


def test_folders_of_several_places_with_the_same_name_are_one_category(project):
    project.put("tests/back/unit/test_a.py", "tests/front/unit/test_b.py", "src/shop/tests/unit/test_c.py")
    category = project.category("unit")
    assert category.suite.paths == ("src/shop/tests/unit", "tests/back/unit", "tests/front/unit")
    assert category.why == "`src/shop/tests/unit`, `tests/back/unit`, `tests/front/unit` have 3 files of tests"


def test_of_nested_folders_the_outer_one_counts(project):
    project.put("tests/unit/api/test_a.py", "tests/unit/test_b.py")
    assert project.layers == {"fast_feedback": ["unit"]}


def test_a_name_above_the_tests_is_no_category(project):
    assert project.put("api/tests/test_a.py", "src/database/tests/test_b.py").layers == {"fast_feedback": ["tests"]}


def test_copies_of_tests_in_builds_and_environments_are_left_out(project):
    project.put("tests/test_a.py", "build/lib/tests/test_a.py", "dist/tests/test_a.py", "node_modules/x/test_x.py")
    project.put("env/pyvenv.cfg", "env/lib/tests/test_x.py", ".tox/tests/test_x.py")
    assert project.suite("tests").paths == ("tests",)


def test_tests_beside_the_code_are_found(project):
    project.put("shop/cart_test.py", "shop/cart.py", "tests/test_a.py")
    assert project.suite("tests").paths == ("shop", "tests")
    assert project.put("test_top.py").suite("tests").paths == (".",)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\ntestpaths = checks\npython_files = check_*.py\n"),
        ("tox.ini", "[tox]\n[pytest]\ntestpaths =\n  checks\npython_files = check_*.py\n"),
        ("setup.cfg", "[tool:pytest]\ntestpaths = checks\npython_files = check_*.py\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\ntestpaths = ["checks"]\npython_files = ["check_*.py"]\n'),
        ("pyproject.toml", '[tool.pytest]\ntestpaths = ["checks"]\npython_files = ["check_*.py"]\n'),
        ("pytest.toml", '[pytest]\ntestpaths = ["checks"]\npython_files = ["check_*.py"]\n'),
    ],
)
def test_the_configuration_of_pytest_says_where_tests_are(project, name, text):
    project.put("checks/check_a.py", "checks/test_b.py", "tests/check_c.py", "tests/test_d.py").put(name, text=text)
    category = project.category("tests")
    assert category.suite.paths == ("checks",)
    assert category.why == f"1 file of tests in `testpaths` of {name}"


@pytest.mark.parametrize("text", ["[pytest", "= 1", "[tool.pytest]\n[tool.pytest]", "tool = 3", "[tool]\npytest = 3"])
@pytest.mark.parametrize("name", ["pytest.ini", "pyproject.toml", "setup.cfg"])
def test_a_configuration_that_cannot_be_read_says_nothing(project, name, text):
    assert project.put("tests/test_a.py").put(name, text=text).layers == {"fast_feedback": ["tests"]}


def test_patterns_of_testpaths_stand_for_the_folders_that_fit(project):
    project.put("parts/a/checks/test_a.py", "parts/b/checks/test_b.py", "parts/b/other/test_c.py")
    project.put("pytest.ini", text="[pytest]\ntestpaths = parts/*/checks\n")
    assert project.suite("tests").paths == ("parts/a/checks", "parts/b/checks")


def test_a_testpath_with_the_name_of_a_category_is_one(project):
    project.put("unit/test_a.py", "e2e/test_b.py").put("pytest.ini", text="[pytest]\ntestpaths = unit e2e\n")
    assert project.layers == {"fast_feedback": ["unit"], "e2e_background": ["e2e"]}


MARKERS = '[tool.pytest.ini_options]\nmarkers = ["smoke: quick", "e2e", "unit(x): never used", "own: not usual"]\n'


def test_registered_markers_are_categories_if_they_are_used_and_no_test_is_in_two(project):
    project.put("pyproject.toml", text=MARKERS).put("tests/test_c.py")
    project.put("tests/test_a.py", text="import pytest\n@pytest.mark.smoke\ndef test_a(): pass\n")
    project.put("tests/test_b.py", text="from pytest import mark\n@mark.e2e\n@mark.own\ndef test_b(): pass\n")
    assert project.layers == {"fast_feedback": ["smoke"], "core_integration": ["tests"], "e2e_background": ["e2e"]}
    assert [category.suite.markers for category in derive(project.folder)] == [
        "smoke",
        "not (smoke or e2e)",
        "e2e and not (smoke)",
    ]
    assert project.category("smoke").why == "the marker `smoke` is used in 1 file of tests"


def test_nothing_is_left_if_every_file_is_marked_as_a_whole(project):
    project.put("pyproject.toml", text=MARKERS)
    project.put("tests/test_a.py", text="import pytest\npytestmark = pytest.mark.smoke\n")
    project.put("tests/test_b.py", text="import pytest\npytestmark = [pytest.mark.e2e, pytest.mark.own]\n")
    assert project.layers == {"fast_feedback": ["smoke"], "e2e_background": ["e2e"]}


def test_files_named_after_a_kind_of_tests_are_categories(project):
    project.put(
        "tests/test_smoke.py", "tests/test_smoke_login.py", "tests/cart_integration_test.py", "tests/test_api.py"
    )
    assert project.layers == {"fast_feedback": ["smoke"], "core_integration": ["integration", "tests"]}
    assert project.suite("smoke").paths == ("tests/test_smoke.py", "tests/test_smoke_login.py")
    assert project.suite("tests").exclude == (
        "tests/cart_integration_test.py",
        "tests/test_smoke.py",
        "tests/test_smoke_login.py",
    )


# Other languages ---------------------------------------------------------------------------------------------------


def test_a_script_of_npm_that_runs_jest_writes_json(project):
    category = project.package(scripts={"test": "tsc && npx jest --coverage"}).category("jest")
    assert (category.layer, category.kind) == ("fast_feedback", "suite")
    assert category.suite.argv == ("npm", "--silent", "test", "--", "--json")
    assert (category.suite.report, category.suite.report_path) == ("jest", "")
    assert category.why == "`package.json` has a script `test`: tsc && npx jest --coverage"


@pytest.mark.parametrize(
    ("script", "name", "more", "report"),
    [
        ("vitest", "vitest", ("--reporter=junit", "--outputFile=.podium/reports/vitest.xml"), "junit"),
        ("react-scripts test", "jest", ("--json", "--watchAll=false"), "jest"),
        (
            "node_modules/.bin/mocha -x",
            "mocha",
            ("--reporter", "xunit", "--reporter-option", "output=.podium/reports/mocha.xml"),
            "junit",
        ),
    ],
)
def test_other_runners_of_node_write_what_they_can(project, script, name, more, report):
    suite = project.package(scripts={"test": script}).suite(name)
    assert suite.argv == ("npm", "--silent", "test", "--", *more)
    assert suite.report == report


def test_a_script_of_an_unknown_runner_is_run_as_it_is(project):
    suite = project.package(scripts={"test": "node --test"}).suite("npm")
    assert (suite.argv, suite.report, suite.env) == (("npm", "--silent", "test"), "auto", {"CI": "true"})


@pytest.mark.parametrize(("lock", "manager"), [("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn")])
def test_the_lock_file_says_which_manager_runs_scripts(project, lock, manager):
    suite = project.package("web/package.json", scripts={"test": "jest"}).put(f"web/{lock}").suite("web")
    assert (suite.argv, suite.cwd, suite.origin) == ((manager, "--silent", "test", "--json"), "web", "web")


def test_a_folder_called_frontend_belongs_where_the_documented_files_put_it(project):
    assert project.package("frontend/package.json", scripts={"test": "vitest run"}).layers == {
        "service_integration": ["frontend"]
    }


def test_browser_tests_are_found_by_their_configuration(project):
    project.package(devDependencies={"cypress": "13", "@playwright/test": "1"}).put(
        "cypress.config.ts", "playwright.config.ts"
    )
    assert project.layers == {"e2e_background": ["cypress", "playwright"]}
    assert project.suite("cypress").report_path == ".podium/reports/cypress-*.xml"
    assert project.suite("playwright").env["PLAYWRIGHT_JUNIT_OUTPUT_NAME"] == ".podium/reports/playwright.xml"


@pytest.mark.parametrize("script", ["playwright test", "npx cypress run"])
def test_browser_tests_as_the_script_are_found_once(project, script):
    project.package(scripts={"test": script}, devDependencies={"cypress": "13", "@playwright/test": "1"})
    project.put(f"{script.split()[-2].strip()}.config.ts")
    assert [len(found) for found in project.layers.values()] == [1]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"scripts": []}', '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}']
)
def test_a_package_without_a_script_for_tests_has_none(project, text):
    assert (
        project.put("package.json", text=text)
        .put("node_modules/x/package.json", text='{"scripts": {"test": "jest"}}')
        .layers
        == {}
    )


def test_go_is_found_if_it_has_tests(project):
    assert project.put("go.mod", "main.go").layers == {}
    suite = project.put("shop/cart_test.go").suite("go")
    assert (suite.argv, suite.report) == (("go", "test", "-json", "./..."), "go")


def test_cargo_is_one_result_unless_nextest_writes_junit(project, monkeypatch):
    project.put("core/Cargo.toml", "target/debug/build/x/Cargo.toml", text="")
    assert project.suite("core") == CommandSuite(cwd="core", origin="core", argv=("cargo", "test"), report="exit_code")
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    assert project.suite("core").argv == ("cargo", "test")
    project.put("core/.config/nextest.toml", text='[profile.default.junit]\npath = "junit.xml"\n')
    assert project.suite("core").report_path == "target/nextest/default/junit.xml"


def test_a_build_of_cmake_is_found_by_its_tests(project):
    assert project.put("CMakeLists.txt", "build/CMakeCache.txt").layers == {}
    suite = project.put("build/CTestTestfile.cmake", "build/src/CTestTestfile.cmake").suite("ctest")
    assert suite.argv[:3] == ("ctest", "--test-dir", "build")
    assert suite.report_path == "build/podium-ctest.xml"


def test_robot_files_are_found(project):
    category = project.put("acceptance/login.robot", "acceptance/deep/cart.robot", "smoke.robot").category("robot")
    assert category.suite.argv[-2:] == ("acceptance", "smoke.robot")
    assert category.why == "3 files of Robot Framework in `acceptance`, `smoke.robot`"


def test_categories_of_all_languages_have_names_of_their_own(project):
    project.put("tests/frontend/test_a.py", "go.mod", "frontend/go.mod", "frontend/a_test.go", "a_test.go")
    project.package("frontend/package.json", scripts={"test": "jest"})
    names = [category.name for category in derive(project.folder)]
    assert len(names) == len(set(names)) == 4


# By name -----------------------------------------------------------------------------------------------------------


def test_a_category_is_first_a_folder_of_tests(project):
    project.put("tests/unit/api/test_a.py", "tests/API/test_b.py", "tests/test_api.py", "api/code.py")
    found = find_category("api", project.folder)
    assert (found.kind, found.suite) == ("pytest", PytestSuite(paths=("tests/API", "tests/unit/api")))
    assert found.why == "`tests/API`, `tests/unit/api` have 2 files of tests"


def test_a_category_is_then_a_marker(project):
    project.put("tests/test_a.py", text="import pytest\n@pytest.mark.smoke\ndef test_a(): pass\n").put(
        "tests/test_smoke.py"
    )
    found = find_category("smoke", project.folder)
    assert found.suite == PytestSuite(paths=("tests",), markers="smoke")
    assert found.why == "the marker `smoke` is used in 1 file of tests"


@pytest.mark.parametrize(
    "file",
    ["test_database.py", "test_database_rows.py", "shop_database_test.py", "database_test.py", "test_shop_database.py"],
)
def test_a_category_is_then_files_named_after_it(project, file):
    project.put(f"tests/{file}", "tests/test_databases.py", "tests/test_other.py")
    found = find_category("database", project.folder)
    assert found.suite == PytestSuite(paths=(f"tests/{file}",))
    assert found.why == f"1 file is named after `database`: `tests/{file}`"


def test_a_category_is_at_last_a_command(project):
    project.package("frontend/package.json", scripts={"test": "jest"}, devDependencies={"cypress": "13"})
    project.put("frontend/cypress.config.js", "tests/test_a.py")
    for name, program in (("frontend", "npm"), ("cypress", "npx")):
        found = find_category(name, project.folder)
        assert (found.kind, found.suite.argv[0], found.suite.cwd) == ("suite", program, "frontend")


@pytest.mark.parametrize("name", ["websocket", "a-b", "", "not (x"])
def test_a_category_nobody_knows_is_not_found(project, name):
    assert find_category(name, project.put("tests/test_a.py").folder) is None


# No overlap --------------------------------------------------------------------------------------------------------

FOLDERS = st.lists(st.sampled_from(["unit", "e2e", "api", "more", "Smoke", "tests"]), max_size=3)
NAMES = st.sampled_from(["test_a.py", "test_smoke.py", "b_test.py", "test_login_e2e.py"])
TOPS = st.sampled_from(["tests", "src/shop/tests", "test", "checks"])


@settings(max_examples=50, deadline=None)
@given(paths=st.sets(st.tuples(TOPS, FOLDERS.map("/".join), NAMES), min_size=1, max_size=12))
def test_every_test_file_is_in_exactly_one_category(paths, tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("project"))
    files = sorted({PurePosixPath(*path).as_posix() for path in paths})
    project.put(*files)
    homes = {file: [] for file in files}
    for category in derive(project.folder):
        for file in files:
            chosen = any(file == path or file.startswith(f"{path}/") for path in category.suite.paths)
            if chosen and not any(fnmatch(file, pattern) for pattern in category.suite.exclude):
                homes[file].append(category.name)
    assert all(len(found) == 1 for found in homes.values()), homes


# The document ------------------------------------------------------------------------------------------------------


def suites_in(document):
    """Return the payloads a document asks for, by layer and category."""
    found = {}
    for layer, its in document.layers.items():
        for category in its.categories:
            if category.pytest is not None:
                given = category.pytest
                suite = PytestSuite(paths=tuple(given.paths), exclude=tuple(given.exclude), markers=given.markers)
            else:
                suite = CommandSuite(
                    cwd=category.cwd,
                    origin=category.cwd,
                    env=category.env,
                    argv=tuple(category.command),
                    report=category.report.format,
                    report_path=category.report.path,
                    exit_codes=tuple(category.exit_codes),
                )
            found[layer, category.name] = suite
    return found


def test_the_document_says_the_same_as_what_was_found(project):
    project.put(
        "tests/unit/test_a.py",
        "tests/e2e/test_b.py",
        "tests/test_c.py",
        "go.mod",
        "a_test.go",
        "x.robot",
        "core/Cargo.toml",
    )
    project.put("build/CMakeCache.txt", "build/CTestTestfile.cmake").package(
        "frontend/package.json", scripts={"test": "vitest"}
    )
    derived = derive(project.folder)
    text = layers_document(derived, "a shop: 1")
    loaded = load_layers_text(text)
    assert loaded.document.name == "a shop: 1"
    assert not loaded.warnings
    assert suites_in(loaded.document) == {(category.layer, category.name): category.suite for category in derived}
    assert {name: layer.needs for name, layer in loaded.document.layers.items()} == {
        "fast_feedback": [],
        "core_integration": ["fast_feedback"],
        "service_integration": ["core_integration"],
        "e2e_background": ["service_integration"],
    }
    assert [layer.background for layer in loaded.document.layers.values()] == [False, False, False, True]
    assert "# `tests/unit` has 1 file of tests." in text


def test_markers_and_empty_choices_are_in_the_document(project):
    suites = (PytestSuite(paths=("tests",), markers="smoke and not (e2e)"), PytestSuite())
    derived = [
        DerivedCategory(f"c{place}", "fast_feedback", "pytest", suite, "found") for place, suite in enumerate(suites)
    ]
    assert tuple(suites_in(load_layers_text(layers_document(derived)).document).values()) == suites


def test_the_document_is_planned_as_what_was_found(project):
    project.put("tests/unit/test_a.py", "tests/e2e/test_b.py", "tests/test_c.py", "x.robot").package(
        scripts={"test": "jest"}
    )
    derived = derive(project.folder)
    loaded = load_layers_text(layers_document(derived))
    planned = plan_layers(loaded, project=project.folder, environ={}, processors=2)
    suites = {step.name: step.work for step in planned.plan.steps if step.work.kind in {"pytest", "suite"}}
    assert set(suites) == {f"{category.layer}/{category.name}" for category in derived}
    for category in derived:
        work = suites[f"{category.layer}/{category.name}"]
        planned_suite = msgspec.convert(work.payload, type(category.suite))
        assert work.kind == category.kind
        assert category.suite.env.items() <= planned_suite.env.items()
        for name in ("cwd", "origin", *msgspec.structs.asdict(category.suite).keys() & OF_RUNNERS):
            assert getattr(planned_suite, name) == getattr(category.suite, name)


OF_RUNNERS = {"paths", "include", "exclude", "markers", "keyword", "argv", "shell"}
OF_RUNNERS |= {"report", "report_path", "exit_codes"}


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)


@settings(deadline=None, max_examples=40)
@given(name=texts, paths=st.lists(texts, max_size=4), why=texts, long=st.lists(texts, max_size=30))
def test_any_text_survives_the_document(name, paths, why, long):
    pytest_category = DerivedCategory(
        "unit", "fast_feedback", "pytest", PytestSuite(paths=tuple(paths), exclude=tuple(long)), why
    )
    env = dict.fromkeys((path for path in paths if "=" not in path), "yes")
    suite = CommandSuite(argv=("x", *long), env=env, exit_codes=(0, 1, *range(100, 130)))
    command = DerivedCategory("go", "fast_feedback", "suite", suite, why)
    loaded = load_layers_text(layers_document([pytest_category, command], name)).document
    assert loaded.name == name
    assert suites_in(loaded) == {("fast_feedback", "unit"): pytest_category.suite, ("fast_feedback", "go"): suite}
