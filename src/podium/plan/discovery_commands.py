"""Suites of other languages in a project: the commands that run them, and where these leave their results.

Exit codes of theirs are not among those that pass: a code other than 0 has to be accounted for by a test that did not
pass. Runners also end with 1 for what is in no report: an error outside of every test, a coverage threshold.
"""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, cast

import msgspec

from podium.plan.discovery_names import as_name, layer_of
from podium.plan.discovery_tree import Tree, below
from podium.plan.suites import CommandSuite

_DEPTH = 1
"""How far below the project's folder a suite of another language may begin."""
_NO_TEST = "no test specified"
_LAST = re.compile(r"&&|\|\||[;|]")
_REPORTS = ".podium/reports"


class FoundCommand(msgspec.Struct, frozen=True):
    """A command that runs tests.

    Attributes:
        name: What the category is called.
        layer: Where it belongs.
        suite: The command.
        why: How it was found.
    """

    name: str
    layer: str
    suite: CommandSuite
    why: str


def commands(tree: Tree) -> list[FoundCommand]:
    """Return the commands that run tests which are not Python's, in no two categories of the same name."""
    found = [*_packages(tree), *_go(tree), *_cargo(tree), *_ctest(tree), *_robot(tree)]
    taken: set[str] = set()
    different: list[FoundCommand] = []
    for one in found:
        name = one.name
        number = 2
        while name in taken:
            name = f"{one.name}_{number}"
            number += 1
        taken.add(name)
        different.append(msgspec.structs.replace(one, name=name))
    return different


def _folders_with(tree: Tree, name: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a name near the project's folder, and the folder each is in (empty: the project's)."""
    for file in tree.named(name):
        path = PurePosixPath(file)
        if len(path.parts) <= _DEPTH + 1:
            yield file, "" if path.parent == PurePosixPath() else path.parent.as_posix()


def _command(name: str, folder: str, layer: str, why: str, **suite: Any) -> FoundCommand:
    """Return a command; in a folder of its own, the category is called after the folder."""
    called = as_name(folder) if folder else name
    return FoundCommand(called, layer_of(called) or layer, CommandSuite(cwd=folder, origin=folder, **suite), why)


def _packages(tree: Tree) -> Iterator[FoundCommand]:
    for file, folder in _folders_with(tree, "package.json"):
        package = _json(tree.text(file))
        scripts = _mapping(package.get("scripts"))
        depends = {**_mapping(package.get("dependencies")), **_mapping(package.get("devDependencies"))}
        script = str(scripts.get("test") or "")
        if script and _NO_TEST not in script:
            yield _script(tree, file, folder, script)
        beside = {
            PurePosixPath(other).stem
            for other in tree.files
            if PurePosixPath(other).parent.as_posix() == (folder or ".")
        }
        if "cypress.config" in beside and "cypress" in depends and "cypress" not in script:
            yield _cypress(file, folder)
        if "playwright.config" in beside and "@playwright/test" in depends and "playwright" not in script:
            yield _playwright(file, folder)


def _script(tree: Tree, file: str, folder: str, script: str) -> FoundCommand:
    """Return the script `test` of a package, with a report if its last command is a runner that can write one."""
    words = [PurePosixPath(word).name for word in _LAST.split(script)[-1].split()]
    if "playwright" in words:
        return _playwright(file, folder)
    if "cypress" in words:
        return _cypress(file, folder)
    manager = _manager(tree, folder)
    run = (manager, "--silent", "test")
    given = (*run, "--") if manager == "npm" else run
    suite: dict[str, Any] = {"argv": run}
    name = "npm"
    if "jest" in words or "react-scripts" in words:
        name, more = "jest", ("--watchAll=false",) if "react-scripts" in words else ()
        suite = {"argv": (*given, "--json", *more), "report": "jest"}
    elif "vitest" in words:
        name, path = "vitest", f"{_REPORTS}/vitest.xml"
        argv = (*given, "--reporter=junit", f"--outputFile={path}")
        suite = {"argv": argv, "report": "junit", "report_path": path}
    elif "mocha" in words:
        name, path = "mocha", f"{_REPORTS}/mocha.xml"
        argv = (*given, "--reporter", "xunit", "--reporter-option", f"output={path}")
        suite = {"argv": argv, "report": "junit", "report_path": path}
    why = f"`{file}` has a script `test`: {script}"
    return _command(name, folder, "fast_feedback", why, env={"CI": "true"}, **suite)


def _playwright(file: str, folder: str) -> FoundCommand:
    path = f"{_REPORTS}/playwright.xml"
    suite = CommandSuite(
        cwd=folder,
        origin=folder,
        argv=("npx", "--no-install", "playwright", "test", "--reporter=junit"),
        env={
            "CI": "true",
            "PLAYWRIGHT_JUNIT_OUTPUT_NAME": path,
            "PLAYWRIGHT_JUNIT_OUTPUT_FILE": path,
            "PLAYWRIGHT_JUNIT_INCLUDE_PROJECT_IN_TEST_NAME": "true",
            "PLAYWRIGHT_JUNIT_INCLUDE_RETRIES": "true",
        },
        report="junit",
        report_path=path,
    )
    return FoundCommand("playwright", "e2e_background", suite, f"`{file}` uses Playwright")


def _cypress(file: str, folder: str) -> FoundCommand:
    options = f"mochaFile={_REPORTS}/cypress-[hash].xml"
    suite = CommandSuite(
        cwd=folder,
        origin=folder,
        argv=("npx", "--no-install", "cypress", "run", "--reporter", "junit", "--reporter-options", options),
        env={"CI": "true"},
        report="junit",
        report_path=f"{_REPORTS}/cypress-*.xml",
    )
    return FoundCommand("cypress", "e2e_background", suite, f"`{file}` uses Cypress")


def _manager(tree: Tree, folder: str) -> str:
    beside = f"{folder}/" if folder else ""
    for lock, manager in (("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn")):
        if f"{beside}{lock}" in tree.files:
            return manager
    return "npm"


def _go(tree: Tree) -> Iterator[FoundCommand]:
    for file, folder in _folders_with(tree, "go.mod"):
        tests = [one for one in tree.named("*_test.go") if below(one, folder)]
        if tests:
            why = f"`{file}` is a module of Go, with {_files(tests)} of tests"
            argv = ("go", "test", "-json", "./...")
            yield _command("go", folder, "fast_feedback", why, argv=argv, report="go")


def _cargo(tree: Tree) -> Iterator[FoundCommand]:
    for file, folder in _folders_with(tree, "Cargo.toml"):
        path = _nextest_report(tree, folder)
        if path and shutil.which("cargo-nextest"):
            why = f"`{file}` is a package of Cargo, and nextest is configured to write JUnit"
            argv = ("cargo", "nextest", "run", "--no-fail-fast")
            yield _command("cargo", folder, "fast_feedback", why, argv=argv, report="junit", report_path=path)
        else:
            why = f"`{file}` is a package of Cargo; its tests count as one, since `cargo test` has no report to read"
            yield _command("cargo", folder, "fast_feedback", why, argv=("cargo", "test"), report="exit_code")


def _nextest_report(tree: Tree, folder: str) -> str:
    """Return where nextest writes JUnit with its default profile; empty if it does not."""
    name = f"{folder}/.config/nextest.toml" if folder else ".config/nextest.toml"
    try:
        settings: Any = tomllib.loads(tree.text(name))
    except tomllib.TOMLDecodeError:
        return ""
    for key in ("profile", "default", "junit"):
        settings = _mapping(settings).get(key)
    path = _mapping(settings).get("path")
    return f"target/nextest/default/{path}" if isinstance(path, str) else ""


def _ctest(tree: Tree) -> Iterator[FoundCommand]:
    for _, folder in _folders_with(tree, "CTestTestfile.cmake"):
        if not folder or f"{folder}/CMakeCache.txt" not in tree.files:
            continue
        argv = ("ctest", "--test-dir", folder, "--output-junit", "podium-ctest.xml", "--no-tests=error")
        suite = CommandSuite(argv=argv, report="junit", report_path=f"{folder}/podium-ctest.xml", exit_codes=(0, 8))
        yield FoundCommand("ctest", "core_integration", suite, f"`{folder}` is a build of CMake with tests")


def _robot(tree: Tree) -> Iterator[FoundCommand]:
    files = tree.named("*.robot")
    if files:
        tops = sorted({PurePosixPath(file).parts[0] for file in files})
        path = f"{_REPORTS}/robot"
        argv = ("robot", "--outputdir", path, "--xunit", "xunit.xml", *tops)
        suite = CommandSuite(argv=argv, report="junit", report_path=f"{path}/xunit.xml")
        why = f"{_files(files)} of Robot Framework in {', '.join(f'`{top}`' for top in tops)}"
        yield FoundCommand("robot", "e2e_background", suite, why)


def _files(files: list[str]) -> str:
    return "1 file" if len(files) == 1 else f"{len(files):,} files"


def _json(text: str) -> dict[str, Any]:
    try:
        return _mapping(json.loads(text))
    except ValueError:
        return {}


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
