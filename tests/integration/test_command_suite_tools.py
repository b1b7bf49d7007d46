"""Suites of real tools: the runner of Node.js, Jest, Vitest, Mocha, Playwright, Go, CTest, Robot Framework, prove.

A tool that is not there is skipped; with `PODIUM_REQUIRE_ALL` set it has to be there. Those that come from registries
are installed into a temporary folder, in the versions named here.
"""

import json
import os
import shutil
import subprocess
import sys

import msgspec
import pytest
from tests.integration.suites import run_suite

from podium.plan.discovery import derive

pytestmark = [pytest.mark.once, pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")]

JEST = {"jest": "29.7.0", "jest-junit": "16.0.0"}
VITEST = {"vitest": "3.2.4", "vite": "6.4.1"}
MOCHA = {"mocha": "11.7.4"}
PLAYWRIGHT = {"@playwright/test": "1.65.1"}
ROBOT = "robotframework==7.3.2"


def missing(what):
    if os.environ.get("PODIUM_REQUIRE_ALL"):
        pytest.fail(f"PODIUM_REQUIRE_ALL is set, but {what}")
    pytest.skip(what)


def needs(*programs):
    for program in programs:
        if shutil.which(program) is None:
            missing(f"there is no {program}")


def install(*argv, cwd):
    try:
        done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=180, check=False)
    except subprocess.TimeoutExpired:
        missing(f"{' '.join(argv[:3])} took longer than 180 s")
    if done.returncode:
        missing(f"{' '.join(argv[:3])} failed: {done.stderr[-500:]}")


def from_npm(packages, factory):
    """Install packages into a new folder; return it."""
    needs("node", "npm", "npx")
    folder = factory.mktemp("packages")
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": packages}))
    install("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", cwd=folder)
    return folder


def run_discovered(project):
    """Run the only category of a project, as it was found in it; return its name and what it told."""
    (category,) = derive(project)
    return category.name, run_suite(project, **msgspec.to_builtins(category.suite))


def package(folder, installed, files, **content):
    """Write a package whose dependencies are installed in another folder."""
    (folder / "node_modules").symlink_to(installed / "node_modules")
    (folder / "package.json").write_text(json.dumps({"name": "shop", **content}))
    for name, text in files.items():
        (folder / name).write_text(text)


@pytest.fixture(scope="module")
def jest(tmp_path_factory):
    return from_npm(JEST, tmp_path_factory)


@pytest.fixture(scope="module")
def vitest(tmp_path_factory):
    return from_npm(VITEST, tmp_path_factory)


@pytest.fixture(scope="module")
def mocha(tmp_path_factory):
    return from_npm(MOCHA, tmp_path_factory)


@pytest.fixture(scope="module")
def playwright(tmp_path_factory):
    return from_npm(PLAYWRIGHT, tmp_path_factory)


@pytest.fixture(scope="module")
def robot(tmp_path_factory):
    """Install Robot Framework; return the folder."""
    folder = tmp_path_factory.mktemp("robot")
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(folder)]
    install(sys.executable, "-m", "pip", "install", *options, ROBOT, cwd=folder)
    return folder


NODE = """
import { test, describe, it } from 'node:test';
import assert from 'node:assert';
test('adds', () => {});
test('fails', () => { assert.equal(1, 2); });
test('later', { skip: 'not now' }, () => {});
test('known', { todo: true }, () => { throw new Error('bug'); });
describe('group', () => { it('works', () => {}); it('breaks', () => { throw new Error('boom'); }); });
test('slow', { timeout: 50 }, async () => { await new Promise(() => setTimeout(() => {}, 300)); });
"""
NODE_OUTCOMES = {
    "adds": "passed",
    "fails": "failed",
    "later": "skipped",
    "known": "xfailed",
    "group{}works": "passed",
    "group{}breaks": "failed",
    "slow": "timed_out",
}


@pytest.mark.parametrize(("reporter", "between"), [("tap", " > "), ("junit", "::")])
def test_the_test_runner_of_node(tmp_path, reporter, between):
    needs("node")
    (tmp_path / "a.test.mjs").write_text(NODE)
    told = run_suite(tmp_path, argv=["node", "--test", f"--test-reporter={reporter}", "a.test.mjs"])
    assert told.outcome == "failed"
    assert told.finished.output["runner"] == f"command, {reporter}"
    assert told.outcomes == {name.format(between): outcome for name, outcome in NODE_OUTCOMES.items()}
    assert told.results["later"].message == "not now"
    assert "1 == 2" in told.results["fails"].message
    assert told.results["slow"].duration > 0.04


def test_files_of_node_that_cannot_be_read_are_no_success(tmp_path):
    needs("node")
    (tmp_path / "a.test.mjs").write_text("import './gone.mjs';")
    assert run_suite(tmp_path, argv=["node", "--test", "--test-reporter=tap", "a.test.mjs"]).outcome == "failed"


CTEST = """
cmake_minimum_required(VERSION 3.20)
project(tested NONE)
enable_testing()
add_test(NAME good COMMAND sh -c "echo fine")
add_test(NAME bad COMMAND sh -c "echo because; exit 1")
add_test(NAME off COMMAND true)
set_tests_properties(off PROPERTIES DISABLED TRUE)
add_test(NAME left_out COMMAND sh -c "exit 4")
set_tests_properties(left_out PROPERTIES SKIP_RETURN_CODE 4)
add_test(NAME gone COMMAND no-such-program)
"""


def test_ctest(tmp_path):
    needs("cmake", "ctest")
    (tmp_path / "CMakeLists.txt").write_text(CTEST)
    line = "cmake -S . -B build >&2 && exec ctest --test-dir build --output-junit report.xml"
    told = run_suite(tmp_path, shell=line, report_path="build/report.xml")
    assert (told.outcome, told.finished.output["runner"]) == ("failed", "command, junit")
    assert told.outcomes == {
        "good": "passed",
        "bad": "failed",
        "off": "skipped",
        "left_out": "skipped",
        "gone": "errored",
    }
    assert "because" in told.results["bad"].details


def test_shards_of_ctest_cover_every_test_once(tmp_path):
    needs("cmake", "ctest")
    tests = "\n".join(f"add_test(NAME t{n} COMMAND true)" for n in range(7))
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.20)\nproject(tested NONE)\nenable_testing()\n{tests}\n"
    )
    subprocess.run(["cmake", "-S", ".", "-B", "build"], cwd=tmp_path, check=True, capture_output=True)
    found = []
    for number in (1, 2, 3):
        line = f"ctest --test-dir build -I $PODIUM_SHARD,,$PODIUM_SHARDS --output-junit shard{number}.xml"
        selection = {"shard": [number, 3]}
        told = run_suite(tmp_path, shell=line, report_path="build/shard*.xml", selection=selection)
        assert told.outcome == "passed"
        found += told.results
    assert sorted(found) == [f"t{n}" for n in range(7)]


PERL = """
use Test::More tests => 5;
ok(1, 'adds');
is(1, 2, 'fails');
subtest group => sub { plan tests => 2; ok(1, 'works'); ok(0, 'breaks'); };
TODO: { local $TODO = 'bug 7'; ok(0, 'known'); }
SKIP: { skip 'no network', 1; }
"""
PERL_OUTCOMES = {
    "adds": "passed",
    "fails": "failed",
    "group > works": "passed",
    "group > breaks": "failed",
    "known": "xfailed",
    "test 5": "skipped",
}


def test_perl_prints_tap(tmp_path):
    needs("perl")
    (tmp_path / "a.t").write_text(PERL)
    told = run_suite(tmp_path, argv=["perl", "a.t"], report="tap")
    assert (told.outcome, told.outcomes) == ("failed", PERL_OUTCOMES)


def test_prove_runs_several_files(tmp_path):
    needs("prove")
    (tmp_path / "a.t").write_text(PERL)
    (tmp_path / "b.t").write_text("use Test::More skip_all => 'no display';")
    (tmp_path / "c.t").write_text("use Test::More tests => 3; ok(1, 'one'); exit 3;")
    told = run_suite(tmp_path, argv=["prove", "-v", "a.t", "b.t", "c.t"])
    assert told.outcome == "failed"
    assert told.outcomes == {
        **{f"a.t > {name}": outcome for name, outcome in PERL_OUTCOMES.items()},
        "b.t": "skipped",
        "c.t > one": "passed",
        "c.t > test 2": "errored",
        "c.t > test 3": "errored",
    }


def test_prove_keeps_the_tap_of_every_file(tmp_path):
    needs("prove")
    for name in "ab":
        (tmp_path / f"{name}.t").write_text("use Test::More tests => 1; ok(1, 'same name');")
    told = run_suite(
        tmp_path, argv=["prove", "a.t", "b.t"], env={"PERL_TEST_HARNESS_DUMP_TAP": "dump"}, report_path="dump/*.t"
    )
    assert (told.outcome, told.outcomes) == (
        "passed",
        {"dump/a.t > same name": "passed", "dump/b.t > same name": "passed"},
    )


def test_robot_framework(tmp_path, robot):
    (tmp_path / "a.robot").write_text(
        "*** Test Cases ***\nAdds\n    Should Be Equal As Integers    ${1 + 1}    2\n"
        "Fails\n    Fail    because\nLater\n    Skip    not now\n"
    )
    options = ["--xunit", "out/x.xml", "--output", "NONE", "--log", "NONE", "--report", "NONE"]
    told = run_suite(
        tmp_path,
        argv=[sys.executable, "-m", "robot", *options, "a.robot"],
        env={"PYTHONPATH": str(robot)},
        report_path="out/*.xml",
    )
    assert told.outcome == "failed"
    assert told.outcomes == {"A::Adds": "passed", "A::Fails": "failed", "A::Later": "skipped"}
    assert (told.results["A::Fails"].message, told.results["A::Later"].message) == ("because", "not now")


JEST_TESTS = """
describe('sum', () => {
  test('adds', () => { expect(1 + 2).toBe(3); });
  test('fails', () => { expect(1 + 1).toBe(3); });
  test.skip('later', () => {});
});
"""


def in_jest(jest, tmp_path, *options, files, **payload):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "package.json").write_text("{}")
    program = str(jest / "node_modules" / ".bin" / "jest")
    return run_suite(tmp_path, argv=[program, "--ci", "--rootDir", str(tmp_path), *options], **payload)


def test_jest_writes_junit(tmp_path, jest):
    reporter = str(jest / "node_modules" / "jest-junit")
    told = in_jest(jest, tmp_path, f"--reporters={reporter}", files={"a.test.js": JEST_TESTS}, report_path="junit.xml")
    assert (told.outcome, told.outcomes) == (
        "failed",
        {"sum adds": "passed", "sum fails": "failed", "sum later": "skipped"},
    )
    assert "toBe(expected)" in told.results["sum fails"].message


def test_a_file_that_jest_cannot_run_and_its_report_leaves_out_is_no_success(tmp_path, jest):
    reporter = str(jest / "node_modules" / "jest-junit")
    files = {"a.test.js": "test('adds', () => {});", "b.test.js": "require('./gone'); test('x', () => {});"}
    told = in_jest(jest, tmp_path, f"--reporters={reporter}", files=files, report_path="junit.xml")
    assert (told.outcome, told.failure.type, told.outcomes) == ("errored", "ExitCode", {"adds": "passed"})


def test_what_jest_prints_has_the_names_of_what_failed(tmp_path, jest):
    for name, content in {"a.test.js": JEST_TESTS, "b.test.js": "require('./gone'); test('x', () => {});"}.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "package.json").write_text("{}")
    told = run_suite(tmp_path, argv=[f"{jest}/node_modules/.bin/jest", "--ci", "--rootDir", "."])
    assert (told.outcome, told.finished.output["runner"]) == ("failed", "command, jest")
    assert told.outcomes == {"sum \u203a fails": "failed", "b.test.js": "errored"}
    assert told.counts == {"passed": 1, "failed": 1, "errored": 1, "skipped": 1}


VITEST_TESTS = """
import { describe, expect, test } from 'vitest';
describe('sum', () => {
  test('adds', () => { expect(1 + 2).toBe(3); });
  test('fails', () => { expect(1 + 1).toBe(3); });
  test.skip('later', () => {});
  test('slow', { timeout: 50 }, () => new Promise(() => {}));
});
"""


def test_vitest_is_found_and_names_its_tests(tmp_path, vitest):
    files = {"a.test.mjs": VITEST_TESTS, "b.test.mjs": "import './gone.mjs';"}
    package(tmp_path, vitest, files, scripts={"test": "vitest run"})
    name, told = run_discovered(tmp_path)
    assert (name, told.outcome, told.finished.output["runner"]) == ("vitest", "failed", "command, junit")
    assert told.outcomes == {
        "a.test.mjs::sum > adds": "passed",
        "a.test.mjs::sum > fails": "failed",
        "a.test.mjs::sum > later": "skipped",
        "a.test.mjs::sum > slow": "timed_out",
        "b.test.mjs": "failed",
    }
    assert told.results["a.test.mjs::sum > fails"].message == "expected 2 to be 3 // Object.is equality"
    assert "./gone.mjs" in told.results["b.test.mjs"].message


def test_an_error_outside_of_the_tests_of_vitest_is_no_success(tmp_path, vitest):
    """It is in no report: only the exit code tells."""
    late = "import { test } from 'vitest'; test('adds', () => { Promise.reject(new Error('late')); });"
    package(tmp_path, vitest, {"a.test.mjs": late}, scripts={"test": "vitest run"})
    _, told = run_discovered(tmp_path)
    assert told.outcomes == {"a.test.mjs::adds": "passed"}
    assert (told.outcome, told.failure.type) == ("errored", "ExitCode")


MOCHA_TESTS = """
const assert = require('node:assert');
describe('sum', () => {
  it('adds', () => {});
  it('fails', () => { assert.equal(1 + 1, 3, 'two is not three'); });
  it.skip('later', () => {});
  it('slow', (done) => {}).timeout(50);
});
"""


def test_mocha_is_found_and_names_its_tests(tmp_path, mocha):
    package(tmp_path, mocha, {"test.js": MOCHA_TESTS}, scripts={"test": "mocha test.js"})
    name, told = run_discovered(tmp_path)
    assert (name, told.outcome, told.finished.output["runner"]) == ("mocha", "failed", "command, junit")
    assert told.outcomes == {
        "sum::adds": "passed",
        "sum::fails": "failed",
        "sum::later": "skipped",
        "sum::slow": "timed_out",
    }
    assert (told.results["sum::fails"].message, told.results["sum::fails"].file) == ("two is not three", "test.js")


PLAYWRIGHT_TESTS = """
const { test, expect } = require('@playwright/test');
test.describe('sum', () => {
  test('adds', () => { expect(1 + 2).toBe(3); });
  test('fails', () => { expect(1 + 1).toBe(3); });
  test('later', () => { test.skip(true, 'not now'); });
  test('slow', async () => { test.setTimeout(100); await new Promise(() => setTimeout(() => {}, 5000)); });
  test('sometimes', ({}, info) => { expect(info.retry).toBe(1); });
});
"""
PLAYWRIGHT_SETTINGS = "module.exports = { retries: 1, projects: [{ name: 'one' }, { name: 'two', grep: /adds/ }] };"


def test_playwright_is_found_and_names_its_tests(tmp_path, playwright):
    """Without a browser: none of the tests asks for one."""
    files = {"playwright.config.js": PLAYWRIGHT_SETTINGS, "a.spec.js": PLAYWRIGHT_TESTS}
    package(tmp_path, playwright, files, devDependencies=PLAYWRIGHT)
    name, told = run_discovered(tmp_path)
    assert (name, told.outcome, told.finished.output["runner"]) == ("playwright", "failed", "command, junit")
    results = {id_.removeprefix("a.spec.js::"): result for id_, result in told.results.items()}
    assert {id_: (result.outcome, result.attempts, result.flaky) for id_, result in results.items()} == {
        "[one] sum \u203a adds": ("passed", 1, False),
        "[one] sum \u203a fails": ("failed", 2, False),
        "[one] sum \u203a later": ("skipped", 1, False),
        "[one] sum \u203a slow": ("timed_out", 2, False),
        "[one] sum \u203a sometimes": ("passed", 2, True),
        "[two] sum \u203a adds": ("passed", 1, False),
    }
    assert results["[one] sum \u203a fails"].message == "expect(received).toBe(expected) // Object.is equality"
    assert results["[one] sum \u203a later"].message == "not now"


def test_a_file_that_playwright_cannot_read_is_no_success(tmp_path, playwright):
    files = {"playwright.config.js": "", "a.spec.js": "require('./gone');"}
    package(tmp_path, playwright, files, devDependencies=PLAYWRIGHT)
    _, told = run_discovered(tmp_path)
    assert (told.outcome, told.outcomes) == ("errored", {})


GO_TESTS = """
package sum

import "testing"

func TestAdds(t *testing.T)  {}
func TestFails(t *testing.T) { t.Errorf("got %d", 1+1) }
func TestLater(t *testing.T) { t.Skip("no network") }
func TestGroup(t *testing.T) {
	t.Run("works", func(t *testing.T) {})
	t.Run("breaks", func(t *testing.T) { t.Fatal("boom") })
}
"""


def in_go(folder, **packages):
    """Write a module of Go with a package of tests for each name."""
    needs("go")
    (folder / "go.mod").write_text("module example.com/shop\n\ngo 1.18\n")
    for name, tests in packages.items():
        (folder / name).mkdir()
        (folder / name / "a_test.go").write_text(tests)
    name, told = run_discovered(folder)
    assert (name, told.finished.output["runner"]) == ("go", "command, go")
    return told, {id_.removeprefix("example.com/shop/"): result for id_, result in told.results.items()}


def test_go_is_found_and_names_its_tests(tmp_path):
    panics = 'package p\n\nimport "testing"\n\nfunc TestPanics(t *testing.T) { panic("bang") }\n'
    told, results = in_go(tmp_path, sum=GO_TESTS, p=panics)
    assert told.outcome == "failed"
    assert {id_: result.outcome for id_, result in results.items()} == {
        "sum::TestAdds": "passed",
        "sum::TestFails": "failed",
        "sum::TestLater": "skipped",
        "sum::TestGroup/works": "passed",
        "sum::TestGroup/breaks": "failed",
        "p::TestPanics": "failed",
    }
    assert results["sum::TestFails"].message == "a_test.go:7: got 2"
    assert results["sum::TestLater"].message == "a_test.go:8: no network"
    assert results["p::TestPanics"].message.startswith("panic: bang")


def test_packages_of_go_that_cannot_be_built_are_errors_with_their_names(tmp_path):
    fine = 'package fine\n\nimport "testing"\n\nfunc TestFine(t *testing.T) {}\n'
    told, results = in_go(tmp_path, fine=fine, broken=fine.replace("{}", "{ undefined() }"))
    assert {id_: result.outcome for id_, result in results.items()} == {"fine::TestFine": "passed", "broken": "errored"}
    assert results["broken"].message.startswith("the package failed, it was not built")
    assert (told.outcome, told.failure.type) == ("errored", "TestsFailed")
