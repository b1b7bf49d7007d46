"""What is kept of the environments of tasks in the background."""

import os
import stat

import pytest

from podium.errors import EnvironmentProblemError
from podium.server.background_environment import environment, forget, keep, kept


@pytest.fixture
def store(tmp_path):
    return tmp_path / "runs.db"


def kept_files(store):
    return sorted(path.name for path in store.parent.rglob("*") if path.is_file())


def test_an_environment_is_kept_as_it_is(store):
    variables = {"A": "x=y\nz", "EMPTY": "", "BYTES": os.fsdecode(b"\xff"), "Ä": "ö"}
    keep(store, "run", variables)
    assert kept(store, "run") == variables


def test_nobody_else_can_read_it(store):
    keep(store, "run", {"PASSWORD": "secret"})
    (file,) = store.parent.rglob("run")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_without_one_that_of_the_process_is_taken(store, monkeypatch):
    monkeypatch.setenv("ONLY_HERE", "1")
    assert kept(store, "run") == environment()
    assert kept(store, "run")["ONLY_HERE"] == "1"


def test_what_is_over_is_forgotten_and_the_rest_is_not(store):
    for run in ("over", "under_way", "unknown", "never_announced"):
        keep(store, run, {"A": run})
    (old,) = store.parent.rglob("never_announced")
    os.utime(old, (0, 0))
    forget(store, {"over": True, "under_way": False}.get)
    assert kept_files(store) == ["under_way", "unknown"]
    assert kept(store, "under_way") == {"A": "under_way"}
    forget(store, lambda _: True)
    assert list(store.parent.iterdir()) == []
    forget(store, lambda _: True)


def test_what_cannot_be_written_is_told(store):
    store.with_name("runs.db.background").write_text("in the way")
    with pytest.raises(EnvironmentProblemError) as caught:
        keep(store, "run", {})
    assert caught.value.diagnostics[0].code == "E502"
