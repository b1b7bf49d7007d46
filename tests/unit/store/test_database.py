"""Which files become a store, which are brought up to date, and which are refused and left as they are."""

import sqlite3
import threading
from contextlib import closing

import pytest
from tests.unit.store.run_writing import code, held, write_run

from podium.errors import EnvironmentProblemError, StoreError
from podium.store import Store
from podium.store.database import connect, migrations


def test_a_new_store_is_made_with_its_directories_and_at_the_latest_version(tmp_path):
    path = tmp_path / "deep" / ".podium" / "podium.db"
    with closing(Store.open(path)) as store:
        write_run(store, "r1")
    assert (path.parent / ".gitignore").read_text() == "*\n"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(migrations())
    with closing(Store.open(path)) as store:
        assert [row.id for row in store.runs()] == ["r1"]


def test_an_empty_file_becomes_a_store(path):
    path.touch()
    with closing(Store.open(path)) as store:
        write_run(store, "r1")
        assert store.run("r1").outcome == "passed"


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_durability_is_what_was_asked_for(path, durability):
    with closing(connect(path, durability=durability)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == ({"normal": 1, "full": 2}[durability],)


def test_a_store_of_a_later_version_is_refused_and_left_as_it_is(path):
    with closing(Store.open(path)) as store:
        write_run(store, "r1")
    later = len(migrations()) + 1
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {later}")
    with pytest.raises(StoreError, match=f"schema version {later}") as caught:
        Store.open(path)
    assert code(caught) == "E513"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == later
    assert held(path, "journal") == 5


def test_a_migration_that_fails_leaves_the_file_as_it_was(path, monkeypatch):
    with closing(Store.open(path)) as store:
        write_run(store, "r1")
    scripts = [*migrations(), "CREATE TABLE extra (x);\nALTER TABLE missing ADD COLUMN y;\n"]
    monkeypatch.setattr("podium.store.database.migrations", lambda: scripts)
    with pytest.raises(EnvironmentProblemError):
        Store.open(path)
    monkeypatch.undo()
    with closing(Store.open(path)) as store:
        assert [row.id for row in store.runs()] == ["r1"]
        tables = {row[0] for row in store._connection.execute("SELECT name FROM sqlite_master")}
    assert "extra" not in tables


def test_a_store_of_an_earlier_version_is_brought_up_to_date(path, monkeypatch):
    with closing(Store.open(path)) as store:
        write_run(store, "r1")
    scripts = [*migrations(), "ALTER TABLE run ADD COLUMN note TEXT;\n", "CREATE TABLE extra (x);\n"]
    monkeypatch.setattr("podium.store.database.migrations", lambda: scripts)
    for _ in range(2):
        with closing(Store.open(path)) as store:
            assert store._connection.execute("SELECT note FROM run").fetchall() == [(None,)]
            assert store._connection.execute("PRAGMA user_version").fetchone()[0] == len(scripts)


@pytest.mark.parametrize("text", ["hello", "kind: scenario\n" * 1000])
def test_a_text_file_is_no_store_and_is_left_as_it_is(path, text):
    path.write_text(text)
    with pytest.raises(StoreError) as caught:
        Store.open(path)
    assert code(caught) == "E514"
    assert path.read_text() == text


@pytest.mark.parametrize("version", [0, len(migrations())])
def test_a_database_of_another_program_is_no_store_and_gets_no_tables(path, version):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE run (x)")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()
    with pytest.raises(StoreError, match="another program") as caught:
        Store.open(path)
    assert code(caught) == "E514"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("run",)]


def test_a_place_that_cannot_be_written_is_a_problem_of_the_environment(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for place in (file / "podium.db", file / "deeper" / "podium.db", tmp_path):
        with pytest.raises(EnvironmentProblemError, match="cannot be written") as caught:
            Store.open(place)
        assert code(caught) == "E501"


def test_a_new_file_can_be_opened_by_many_at_the_same_moment(tmp_path):
    problems = []

    def open_one(path, barrier):
        barrier.wait()
        try:
            Store.open(path).close()
        except Exception as problem:  # noqa: BLE001 (told below)
            problems.append(problem)

    for n in range(25):
        barrier = threading.Barrier(6, timeout=20)
        arguments = (tmp_path / f"new{n}" / "podium.db", barrier)
        threads = [threading.Thread(target=open_one, args=arguments) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert problems == []
