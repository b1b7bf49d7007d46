"""Projects whose configuration of pytest decides which tests there are."""

import pytest
from tests.unit.plan.project_folder import ProjectFolder

from podium.model.layers_loading import load_layers_text
from podium.plan.discovery import derive, find_category
from podium.plan.discovery_document import layers_document
from podium.plan.suites import PytestSuite


class Project(ProjectFolder):
    def settings(self, *lines, path="pytest.ini"):
        return self.put(path, text="\n".join(["[pytest]", *lines, ""]))

    @property
    def suites(self):
        return {category.name: category.suite for category in derive(self.folder)}


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_files_are_never_named_because_pytest_would_run_those_it_is_told_to_ignore(project):
    project.put("test_top.py", "conftest.py", "test_ignored.py").settings("addopts = --ignore=test_ignored.py")
    assert project.suites == {"tests": PytestSuite(paths=(".",))}


def test_folders_pytest_does_not_enter_are_no_categories(project):
    project.put("tests/test_a.py", "tests/slow/test_b.py", "soak/test_c.py")
    assert sorted(project.suites) == ["slow", "soak", "tests"]
    project.settings("norecursedirs = slo* soak .*")
    assert project.suites == {"tests": PytestSuite(paths=("tests",))}
    project.settings("norecursedirs = slo* soak .*", "testpaths = tests soak")
    assert sorted(project.suites) == ["soak", "tests"]


def test_a_category_that_is_asked_for_by_name_may_be_in_a_folder_pytest_does_not_enter(project):
    project.put("tests/test_a.py", "tests/slow/test_b.py").settings("norecursedirs = slow")
    found = find_category("slow", project.folder)
    assert found is not None
    assert found.suite == PytestSuite(paths=("tests/slow",))


def test_tests_beside_the_code_are_looked_for_in_its_folder(project):
    project.put("src/shop/test_cart.py", "src/shop/mail/test_mail.py", "tests/test_it.py", "scripts/build.py")
    assert project.suites == {"tests": PytestSuite(paths=("src", "tests"))}


def test_folders_of_tests_within_a_folder_of_tests_are_not_named_twice(project):
    project.put("src/test_cart.py", "src/shop/tests/test_it.py")
    assert project.suites == {"tests": PytestSuite(paths=("src",))}


def test_a_category_beside_tests_of_the_top_is_left_out_of_the_rest(project):
    project.put("test_top.py", "tests/unit/test_a.py", "e2e/test_b.py")
    assert project.suites == {
        "unit": PytestSuite(paths=("tests/unit",)),
        "e2e": PytestSuite(paths=("e2e",)),
        "tests": PytestSuite(paths=(".",), exclude=("e2e/*", "tests/unit/*")),
    }


@pytest.mark.parametrize(
    "options", ["--doctest-modules", "-q --doctest-glob=*.md", "--doctest-plus", "--strict-markers --nbval"]
)
def test_doctests_are_tests_of_the_whole_project(project, options):
    project.put("tests/test_a.py", "shop.py").settings(f"addopts = {options}")
    (category,) = derive(project.folder)
    assert (category.name, category.suite) == ("tests", PytestSuite(paths=(".",)))
    assert category.why == "1 file of tests in the project, and what its options find in others"


def test_doctests_alone_are_tests(project):
    project.put("shop.py").settings("addopts = --doctest-modules")
    assert project.suites == {"tests": PytestSuite(paths=(".",))}
    assert project.settings("addopts = -q").suites == {"tests": PytestSuite()}


def test_doctests_are_what_categories_leave(project):
    project.put("tests/unit/test_a.py", "shop.py").settings("addopts = --doctest-modules")
    assert project.suites == {
        "unit": PytestSuite(paths=("tests/unit",)),
        "tests": PytestSuite(paths=(".",), exclude=("tests/unit/*",)),
    }


def test_doctests_are_looked_for_where_the_project_says(project):
    project.put("tests/test_a.py", "src/shop.py", "docs/a.py")
    project.settings("addopts = --doctest-modules", "testpaths = src tests")
    assert project.suites == {"tests": PytestSuite(paths=("src", "tests"))}


def test_doctests_are_left_by_markers(project):
    marked = "import pytest\npytestmark = pytest.mark.unit\ndef test_it(): pass\n"
    project.put("tests/test_a.py", text=marked).put("shop.py").settings(
        "markers =", "    unit: small", "addopts = --doctest-modules"
    )
    assert project.suites == {
        "unit": PytestSuite(paths=(".",), markers="unit"),
        "tests": PytestSuite(paths=(".",), markers="not (unit)"),
    }


@pytest.mark.parametrize(
    "option", ["-m 'not network'", "-m'not network'", "-qm 'not network'", "-q\n    -m not_network"]
)
def test_markers_are_no_categories_if_the_options_of_pytest_choose_by_markers(project, option):
    marked = "import pytest\n@pytest.mark.slow\ndef test_it(): pass\n"
    project.put("tests/test_a.py", text=marked).settings("markers =", "    slow", f"addopts = {option}")
    assert project.suites == {"tests": PytestSuite(paths=("tests",))}


def test_folders_are_categories_though_the_options_of_pytest_choose_by_markers(project):
    project.put("tests/unit/test_a.py", "tests/e2e/test_b.py").settings("addopts = -m 'not network'")
    assert project.suites == {"unit": PytestSuite(paths=("tests/unit",)), "e2e": PytestSuite(paths=("tests/e2e",))}


def test_options_of_pytest_that_choose_by_markers_may_be_in_the_environment(project, monkeypatch):
    marked = "import pytest\n@pytest.mark.slow\ndef test_it(): pass\n"
    project.put("tests/test_a.py", text=marked).settings("markers =", "    slow", "addopts = -q --maxfail=2 -p mine")
    assert project.suites["slow"].markers == "slow"
    monkeypatch.setenv("PYTEST_ADDOPTS", "-m 'not network'")
    assert project.suites == {"tests": PytestSuite(paths=("tests",))}


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("docs/test_doc.txt", "`docs/test_doc.txt` may hold doctests"),
        ("cases/conftest.py", "no file is called a test, and `cases/conftest.py` may say which other files hold tests"),
        ("pytest.ini", "no file is called a test, and pytest has settings in `pytest.ini`"),
    ],
)
def test_pytest_itself_looks_for_tests_where_no_file_is_called_one(project, file, why):
    project.put("shop.py", "notes.txt")
    assert project.suites == {}
    project.put(file, text="")
    assert project.suites == {"tests": PytestSuite()}
    assert [category.why for category in derive(project.folder)] == [why]
    loaded = load_layers_text(layers_document(derive(project.folder), "shop"))
    assert not loaded.warnings
    (category,) = loaded.document.layers["fast_feedback"].categories
    assert category.pytest.paths == []


def test_settings_above_a_folder_without_tests_make_it_no_category(tmp_path):
    Project(tmp_path).settings("addopts = -q")
    assert Project(tmp_path / "shop").put("shop.py").suites == {}


def test_suites_of_other_languages_are_found_without_a_guess_about_pytest(project):
    project.put("conftest.py", text="").put("go.mod", "shop_test.go")
    assert sorted(project.suites) == ["go"]


def test_paths_that_are_not_there_are_not_relied_on(project):
    project.put("tests/test_a.py").settings("testpaths = checks specs")
    assert project.suites == {"tests": PytestSuite(paths=("tests",))}


def test_paths_that_are_there_are_relied_on_even_if_they_hold_no_tests(project):
    project.put("tests/test_a.py", "checks/data.txt").settings("testpaths = checks")
    assert project.suites == {"tests": PytestSuite()}


def test_settings_above_the_project_count_but_not_where_they_look_for_tests(tmp_path):
    Project(tmp_path).settings("python_files = check_*.py", "testpaths = elsewhere")
    project = Project(tmp_path / "shop").put("checks/check_a.py", "checks/test_b.py")
    (category,) = derive(project.folder)
    assert category.suite == PytestSuite(paths=("checks",))
    assert category.why == "1 file of tests in `checks`"


def test_settings_of_the_project_come_before_those_above_it(tmp_path):
    Project(tmp_path).settings("python_files = check_*.py")
    project = Project(tmp_path / "shop").put("checks/check_a.py", "checks/test_b.py").put("pytest.ini", text="")
    assert [category.why for category in derive(project.folder)] == ["1 file of tests in `checks`"]
    assert project.put("checks/test_c.py").suites == {"tests": PytestSuite(paths=("checks",))}


def test_an_empty_file_of_settings_settles_the_matter(project):
    project.put("tests/test_a.py", "checks/test_b.py").put("pytest.ini", text="")
    project.put("pyproject.toml", text='[tool.pytest.ini_options]\ntestpaths = ["checks"]\n')
    assert project.suites == {"tests": PytestSuite(paths=("checks", "tests"))}


# Projects in a folder of projects ----------------------------------------------------------------------------------


@pytest.fixture
def shop(project):
    project.put("back/tests/test_a.py", "front/tests/unit/test_a.py", "front/tests/test_b.py")
    project.put("back/pyproject.toml", text='[tool.pytest.ini_options]\ntestpaths = ["tests"]\n')
    return project.put("front/tox.ini", text="[pytest]\n")


def test_projects_with_settings_of_their_own_are_run_in_their_own_folders(shop):
    assert {(category.layer, category.name) for category in derive(shop.folder)} == {
        ("fast_feedback", "back"),
        ("fast_feedback", "front_unit"),
        ("core_integration", "front"),
    }
    assert shop.suites == {
        "back": PytestSuite(cwd="back", origin="back", paths=("tests",)),
        "front_unit": PytestSuite(cwd="front", origin="front", paths=("tests/unit",)),
        "front": PytestSuite(cwd="front", origin="front", paths=("tests",), exclude=("tests/unit/*",)),
    }
    (back,) = (category for category in derive(shop.folder) if category.name == "back")
    assert back.why == "in `back`: 1 file of tests in `testpaths` of pyproject.toml"


def test_tests_above_such_projects_are_categories_without_them(shop):
    shop.put("tests/test_all.py", "test_top.py")
    assert shop.suites["tests"] == PytestSuite(paths=(".",), exclude=("back/*", "front/*"))
    assert shop.suites["back"].cwd == "back"


def test_settings_above_such_projects_make_them_one(shop):
    shop.settings("testpaths = back front")
    assert {suite.cwd for suite in shop.suites.values()} == {""}


def test_only_the_outermost_of_such_projects_count(shop):
    shop.put("back/plugins/mail/tests/test_a.py").settings("addopts = -q", path="back/plugins/mail/pytest.ini")
    assert {suite.cwd for suite in shop.suites.values()} == {"back", "front"}


def test_settings_within_tests_make_no_project(project):
    project.put("tests/data/shop/test_a.py").settings("addopts = -q", path="tests/data/shop/pytest.ini")
    project.settings("addopts = -q", path="tests/pytest.ini").put("docs/pyproject.toml", text="[project]\n")
    assert project.suites == {"tests": PytestSuite(paths=("tests",))}


def test_a_project_without_tests_among_others_is_no_category(shop):
    assert sorted(shop.settings("addopts = -q", path="docs/pytest.ini").suites) == ["back", "front", "front_unit"]


def test_the_document_says_where_such_projects_are(shop):
    loaded = load_layers_text(layers_document(derive(shop.folder), "shop"))
    assert not loaded.warnings
    given = [category for layer in loaded.document.layers.values() for category in layer.categories]
    assert {(category.name, category.pytest.cwd, *category.pytest.paths) for category in given} == {
        ("back", "back", "tests"),
        ("front_unit", "front", "tests/unit"),
        ("front", "front", "tests"),
    }
