"""What of a project's files is not as it was."""

import os
import subprocess
import time

import pytest

from podium.errors import EnvironmentProblemError, UsageError
from podium.executors import changes
from podium.executors.changes import (
    SEEN,
    Impacts,
    Snapshot,
    changed_files,
    differing,
    impact_since,
    project_files,
    remember,
    remembered,
    snapshot,
)


class Project:
    def __init__(self, folder):
        self.folder = folder

    def put(self, path, text=""):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return self

    def git(self, *arguments):
        identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
        command = ["git", "-C", self.folder, *identity, *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        return self

    def committed(self):
        return self.git("init", "--quiet").git("add", "--all").git("commit", "--quiet", "-m", "all")


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project").put("src/a.py", "1").put("tests/test_a.py", "import a").put("README.md")


def test_nothing_is_known_before_a_full_run(project):
    assert remembered(project.folder) is None
    assert changed_files(project.folder) is None
    assert impact_since(project.folder) is None


def test_files_that_changed_came_or_went_since_the_last_full_run_are_found(project):
    remember(project.folder, snapshot(project.folder))
    assert changed_files(project.folder) == []
    project.put("src/a.py", "2").put("src/new.py")
    (project.folder / "README.md").unlink()
    assert changed_files(project.folder) == ["README.md", "src/a.py", "src/new.py"]
    impact = impact_since(project.folder)
    assert impact is not None
    assert impact.changed == ("README.md", "src/a.py", "src/new.py")
    assert impact.touches("tests/test_a.py")


def test_all_suites_of_a_run_get_the_same_answer_and_the_next_run_another(project):
    remember(project.folder, snapshot(project.folder))
    project.put("src/a.py", "2")
    impacts = Impacts(project.folder)
    first = impacts.since("one")
    project.put("tests/test_b.py", "import a")
    assert impacts.since("one") is first
    assert first.changed == ("src/a.py",)
    assert impacts.since("two").changed == ("src/a.py", "tests/test_b.py")


def test_the_answer_is_new_when_any_file_is_not_as_it_was(project):
    remember(project.folder, snapshot(project.folder))
    project.put("src/a.py", "2")
    first = impact_since(project.folder)
    assert impact_since(project.folder) is first
    project.put("tests/test_b.py", "import a")
    assert impact_since(project.folder).touches("tests/test_b.py")
    project.put("tests/test_a.py", "")
    assert impact_since(project.folder).changed == ("src/a.py", "tests/test_a.py", "tests/test_b.py")


def test_a_file_written_again_with_the_same_text_and_size_or_time_is_compared_by_content(project):
    remember(project.folder, snapshot(project.folder))
    file = project.folder / "src/a.py"
    stat = file.stat()
    project.put("src/a.py", "1")
    os.utime(file, ns=(1, 1))
    assert changed_files(project.folder) == []
    project.put("src/a.py", "2")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert changed_files(project.folder) == ["src/a.py"]


def test_large_files_are_compared_by_size_and_time(project, monkeypatch):
    monkeypatch.setattr(changes, "_WHOLE", 10)
    file = project.put("data.bin", "x" * 11).folder / "data.bin"
    os.utime(file, ns=(1, 1))
    before = snapshot(project.folder)
    os.utime(file, ns=(1, 2))
    assert differing(before, snapshot(project.folder)) == {"data.bin"}


def test_what_was_kept_without_a_time_is_of_no_known_time(project):
    project.put(str(SEEN), '{"version": 1, "files": {"a": "1"}}')
    assert remembered(project.folder) == {"a": "1"}
    assert remembered(project.folder).taken_us == 0


def test_what_changed_is_told_with_the_time_at_which_the_last_full_run_began(project):
    earliest = time.time_ns() // 1000
    remember(project.folder, seen := snapshot(project.folder))
    assert earliest <= seen.taken_us <= time.time_ns() // 1000
    assert impact_since(project.folder).since_us == seen.taken_us
    project.put("src/a.py", "2")
    assert impact_since(project.folder).since_us == seen.taken_us
    remember(project.folder, Snapshot(seen, seen.taken_us + 1))
    assert impact_since(project.folder).since_us == seen.taken_us + 1
    assert impact_since(project.committed().folder, "HEAD").since_us == 0


@pytest.mark.parametrize("text", ["", "{", '{"version": 1}', '{"version": 2, "files": {}}', "[]", "\xff"])
def test_what_was_kept_and_cannot_be_read_counts_as_nothing_kept(project, text):
    project.put(str(SEEN), text)
    assert remembered(project.folder) is None


def test_what_is_kept_replaces_what_was_kept_and_leaves_nothing_else(project):
    remember(project.folder, Snapshot({"a": "1"}, 1))
    remember(project.folder, Snapshot({"b": "2"}, 2))
    assert (kept := remembered(project.folder)) == {"b": "2"}
    assert kept.taken_us == 2
    assert [file.name for file in (project.folder / SEEN).parent.iterdir()] == [SEEN.name]


def test_a_place_that_cannot_be_written_is_an_error_in_words(project):
    project.put(".podium", "a file")
    with pytest.raises(EnvironmentProblemError, match="cannot be written") as raised:
        remember(project.folder, Snapshot({}, 1))
    assert raised.value.diagnostics[0].code == "E502"


@pytest.mark.parametrize(
    "file",
    [
        ".git/config",
        ".podium/podium.db",
        "src/__pycache__/a.pyc",
        "node_modules/x/index.js",
        ".venv/lib/x.py",
        "shop.egg-info/PKG-INFO",
        ".coverage",
        "run.log",
        "src/a.py~",
    ],
)
def test_caches_and_leftovers_are_no_files_of_the_project(project, file):
    before = set(project_files(project.folder))
    assert set(project_files(project.put(file).folder)) == before == {"README.md", "src/a.py", "tests/test_a.py"}


def test_an_environment_under_any_name_is_no_part_of_the_project(project):
    project.put("env311/pyvenv.cfg").put("env311/lib/x.py")
    assert "env311/lib/x.py" not in set(project_files(project.folder))


def test_what_git_ignores_counts_only_if_it_is_code(project):
    project.put(".gitignore", "build/\n").put("build/report.xml").put("build/made.py").put("build/fast.so").committed()
    files = set(project_files(project.folder))
    assert {"build/made.py", "build/fast.so"} <= files
    assert "build/report.xml" not in files


def test_since_a_revision_committed_changed_staged_and_new_files_are_found(project):
    project.put("gone.py").put("old.py", "a long enough text to be taken for the same file").committed()
    project.put("src/a.py", "2").git("commit", "--quiet", "-a", "-m", "second")
    project.put("src/staged.py").git("add", "src/staged.py").put("src/new.py").put("name with ä.py")
    (project.folder / "gone.py").unlink()
    project.git("mv", "old.py", "moved.py")
    expected = ["gone.py", "moved.py", "name with ä.py", "old.py", "src/a.py", "src/new.py", "src/staged.py"]
    assert changed_files(project.folder, "HEAD~1") == expected
    assert changed_files(project.folder, "HEAD") == [file for file in expected if file != "src/a.py"]


def test_a_project_in_a_folder_of_a_repository_sees_only_its_own_files(project):
    project.put("part/b.py").committed().put("part/b.py", "2").put("src/a.py", "2").put("part/new.py")
    assert changed_files(project.folder / "part", "HEAD") == ["b.py", "new.py"]


@pytest.mark.parametrize("revision", ["no-such", "--all", "-h", "HEAD^{tree}", "HEAD~7"])
def test_a_revision_that_is_none_is_refused(project, revision):
    project.committed()
    with pytest.raises(UsageError, match="is no revision of git") as raised:
        changed_files(project.folder, revision)
    assert raised.value.diagnostics[0].code == "U450"


def test_since_needs_a_repository(project, monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.folder.parent))
    with pytest.raises(UsageError, match="is in no repository of git") as raised:
        changed_files(project.folder, "HEAD")
    assert raised.value.diagnostics[0].code == "U451"


def test_without_git_itself_files_are_found_all_the_same(project, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert "src/a.py" in snapshot(project.folder)


@pytest.fixture
def odd(project):
    """A project in git with a file whose name is not UTF-8."""
    try:
        project.put(os.fsdecode(b"caf\xe9.txt"), "1")
    except OSError:
        pytest.skip("the file system refuses the name")
    return project.committed()


def test_a_file_whose_name_is_not_utf8_is_compared_by_content(odd):
    remember(odd.folder, seen := snapshot(odd.folder))
    assert remembered(odd.folder) == seen
    assert changed_files(odd.folder) == []
    odd.put(os.fsdecode(b"caf\xe9.txt"), "2")
    assert changed_files(odd.folder) == changed_files(odd.folder, "HEAD") == ["caf\\xe9.txt"]
    for revision in ("", "HEAD"):
        assert impact_since(odd.folder, revision).everything.startswith("caf\\xe9.txt is neither")


def test_a_python_file_whose_name_is_not_utf8_may_be_affected_by_anything(odd):
    odd.put(os.fsdecode(b"test_\xe9.py"), "import a")
    remember(odd.folder, snapshot(odd.folder))
    odd.put("src/a.py", "2")
    assert impact_since(odd.folder).touches("test_\\xe9.py")


def test_a_folder_whose_name_is_not_utf8_may_hold_a_project(odd):
    folder = odd.folder.parent / os.fsdecode(b"caf\xe9")
    odd.folder.rename(folder)
    remember(folder, snapshot(folder))
    assert impact_since(folder).changed == ()
