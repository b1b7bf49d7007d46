"""Records of services, and what is removed by them."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from podium.errors import EnvironmentProblemError
from podium.runtime import ownership
from podium.runtime.services import leftovers
from podium.runtime.services.leftovers import Claim

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what an open file marks is found on Linux")
GONE = "1:never/run"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The folder of records, which is not there yet."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"podium-{os.getuid()}"


def names(root):
    return sorted(path.name for path in root.iterdir()) if root.exists() else []


def mine():
    return ownership.label("run")


def test_a_claim_is_a_record_and_a_folder_until_it_is_released(root):
    claim = Claim(mine())
    other = Claim(mine())
    assert claim.id != other.id
    assert names(root) == sorted([claim.id, f"{claim.id}.json", other.id, f"{other.id}.json"])
    (claim.folder / "data").mkdir()
    (claim.folder / "data" / "file").write_text("x")
    assert claim.release()
    assert names(root) == [other.id, f"{other.id}.json"]
    assert other.release()
    assert not root.exists()
    assert other.release(), "again"


def test_nobody_else_may_enter_the_folder_or_list_the_records(root):
    claim = Claim(mine())
    assert (root.stat().st_mode & 0o777, claim.folder.stat().st_mode & 0o777) == (0o711, 0o700)
    claim.release()


def test_only_what_dead_owners_left_is_reaped(root):
    living, dead, other = Claim(mine()), Claim(GONE), Claim("nonsense")
    assert sorted(leftovers.reap()) == sorted([dead.id, other.id])
    assert names(root) == [living.id, f"{living.id}.json"]
    assert leftovers.reap() == []
    living.release()


def test_without_records_reaping_starts_no_process(root, monkeypatch):
    monkeypatch.setattr(leftovers, "_docker", lambda *_: pytest.fail("there is nothing to ask for"))
    assert leftovers.reap() == []
    Claim(GONE)
    assert len(leftovers.reap()) == 1, "no container was used"


def test_what_one_owner_left_is_removed_and_nothing_else(root):
    one, two = Claim("1:x/run-1"), Claim("1:x/run-2")
    leftovers.remove_owned("1:x/run-1")
    assert names(root) == [two.id, f"{two.id}.json"]
    assert not one.folder.exists()


def test_processes_that_inherited_the_mark_are_killed(root):
    claim, other = Claim(GONE), Claim(mine())
    code = "import time; time.sleep(600)"
    children = []
    for each in (claim, other):
        with each.mark() as fd:
            children.append(subprocess.Popen([sys.executable, "-c", code], pass_fds=[fd], env={}))
    assert leftovers.reap() == [claim.id]
    assert children[0].wait(10) == -9
    assert psutil.Process(children[1].pid).is_running()
    assert other.release()
    assert children[1].wait(10) == -9


def test_a_record_that_is_being_written_is_left_alone_until_it_is_old(root):
    Claim(GONE).release()
    root.mkdir()
    (root / "half.json").write_text('{"own')
    (root / "half").mkdir()
    assert leftovers.reap() == []
    os.utime(root / "half.json", (time.time() - 7200, time.time() - 7200))
    assert leftovers.reap() == ["half"]
    assert not root.exists()


def test_the_folder_of_records_may_vanish_at_any_moment(root, monkeypatch):
    check = leftovers._check
    times = iter([True, True, False])

    def vanishes(folder):
        check(folder)
        if next(times, False):
            folder.rmdir()

    monkeypatch.setattr(leftovers, "_check", vanishes)
    claim = Claim(mine())
    assert claim.folder.is_dir()
    claim.release()


@pytest.mark.parametrize("how", ["link", "file"])
def test_a_folder_of_records_that_is_none_is_refused_and_not_read(root, how):
    elsewhere = root.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "abc.json").write_text(json.dumps({"owner": GONE}))
    if how == "link":
        root.symlink_to(elsewhere)
    else:
        root.write_text("")
    with pytest.raises(EnvironmentProblemError) as caught:
        Claim(mine())
    assert caught.value.diagnostics[0].code == "E535"
    assert leftovers.reap() == []
    assert (elsewhere / "abc.json").exists()


def test_a_folder_of_records_of_another_user_is_refused_and_not_read(root, monkeypatch):
    claim = Claim(GONE)
    uid = os.getuid()
    monkeypatch.setattr(leftovers, "_root", lambda: root)
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with pytest.raises(EnvironmentProblemError, match="is not a folder of this user"):
        Claim(mine())
    assert leftovers.reap() == []
    assert claim.folder.exists()


class Engine:
    """A container engine that answers what it is told to."""

    def __init__(self, **things):
        self.things = things
        self.asked = []
        self.environments = []

    def __call__(self, arguments, environment):
        self.asked.append(" ".join(arguments))
        self.environments.append(environment)
        kind = arguments[0] if arguments[0] in ("network", "volume") else "container"
        if "--filter" in arguments:
            return list(self.things.get(kind, ()))
        self.things[kind] = [name for name in self.things[kind] if name not in arguments]
        return []


def test_containers_are_asked_for_where_they_were_made(root, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///then")
    claim = Claim(GONE)
    claim.use("container")
    monkeypatch.setenv("DOCKER_HOST", "unix:///now")
    monkeypatch.setenv("DOCKER_CONTEXT", "now")
    engine = Engine(container=["c1", "c2"])
    monkeypatch.setattr(leftovers, "_docker", engine)
    assert leftovers.reap() == [claim.id]
    look = f"ps --all --quiet --filter label=podium.id={claim.id}"
    assert engine.asked == [look, "rm --force --volumes c1 c2", look]
    assert {environment["DOCKER_HOST"] for environment in engine.environments} == {"unix:///then"}
    assert not any("DOCKER_CONTEXT" in environment for environment in engine.environments)


def test_of_a_compose_project_networks_and_volumes_are_removed_too(root, monkeypatch):
    claim = Claim(mine())
    claim.use("compose")
    engine = Engine(container=["c"], network=["n"], volume=["v"])
    monkeypatch.setattr(leftovers, "_docker", engine)
    assert claim.release()
    label = f"--filter label=com.docker.compose.project={claim.project}"
    assert engine.asked == [
        f"ps --all --quiet {label}",
        "rm --force --volumes c",
        f"network ls --quiet {label}",
        "network rm n",
        f"volume ls --quiet {label}",
        "volume rm --force v",
        f"ps --all --quiet {label}",
        f"network ls --quiet {label}",
        f"volume ls --quiet {label}",
    ]


def test_an_engine_that_may_still_be_busy_is_asked_again(root, monkeypatch):
    monkeypatch.setattr(leftovers, "_SETTLING", 0)
    claim = Claim(mine())
    claim.use("container")
    engine = Engine(container=[])
    monkeypatch.setattr(leftovers, "_docker", engine)
    assert claim.release(settle=True)
    assert len(engine.asked) == 3


def test_while_the_engine_cannot_be_asked_the_record_stays_for_a_week(root, monkeypatch):
    claim = Claim(GONE)
    claim.use("container")
    monkeypatch.setattr(leftovers, "_docker", lambda *_: None)
    assert leftovers.reap() == []
    assert names(root) == [f"{claim.id}.json"], "its folder is gone"
    long_ago = time.time() - 8 * 86400
    os.utime(root / f"{claim.id}.json", (long_ago, long_ago))
    assert leftovers.reap() == [claim.id]


def test_a_program_that_fails_or_is_not_there_gives_no_answer(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert leftovers._docker(("ps",), {"PATH": str(tmp_path)}) is None
    program = tmp_path / "docker"
    program.write_text('#!/bin/sh\necho "$1 a b"; test "$1" = ps\n')
    program.chmod(0o755)
    assert leftovers._docker(("ps",), {"PATH": str(tmp_path)}) == ["ps", "a", "b"]
    assert leftovers._docker(("rm",), {"PATH": str(tmp_path)}) is None


def test_what_cannot_be_deleted_is_said_and_kept_in_mind(root, monkeypatch):
    claim = Claim(mine())
    monkeypatch.setattr(leftovers.shutil, "rmtree", lambda *_, **__: None)
    assert not claim.release()
    assert Path(root, f"{claim.id}.json").exists()
