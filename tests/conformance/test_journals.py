"""Every journal does what `podium.testing.journal_conformance` asks of it."""

from contextlib import closing
from typing import get_args

import pytest

from podium.events import AnyEvent
from podium.store import Store
from podium.testing import journal_conformance
from podium.testing.journal import MemoryJournal
from podium.testing.journal_conformance import JOURNAL_CHECKS, bare_run, check_id, full_run


@pytest.fixture
def store(tmp_path):
    with closing(Store.open(tmp_path / "podium.db")) as store:
        yield store


@pytest.mark.parametrize("check", JOURNAL_CHECKS, ids=check_id)
def test_the_store_conforms(check, store):
    check(store)


@pytest.mark.parametrize("check", JOURNAL_CHECKS, ids=check_id)
def test_the_journal_in_memory_conforms(check):
    check(MemoryJournal())


@pytest.mark.parametrize("run", [bare_run, full_run])
def test_the_checks_cover_every_kind_of_event(run):
    assert {type(event) for event in run("run")} == set(get_args(AnyEvent))


def test_no_check_is_left_out():
    public = {
        value
        for name, value in vars(journal_conformance).items()
        if not name.startswith("_") and getattr(value, "__annotations__", {}).keys() == {"journal", "return"}
    }
    assert public == set(JOURNAL_CHECKS)


class Deviating(MemoryJournal):
    """Does one thing wrong."""

    def __init__(self, wrong):
        super().__init__()
        self.wrong = wrong

    def append(self, run, first_seq, events, blobs=None):
        if self.wrong == "keeps refused blobs":
            self._blobs.update(blobs or {})
        if self.wrong == "overwrites":
            del self._runs.setdefault(run, [])[first_seq - 1 :]
        if self.wrong == "one run for all":
            run = "all"
        if self.wrong == "folds case":
            run = run.lower()
        if self.wrong == "drops the end of a batch":
            events = events[:1000]
        super().append(run, first_seq, events, blobs)

    def read(self, run, after=0):
        records = list(super().read("all" if self.wrong == "one run for all" else run, after))
        if self.wrong == "after is included" and after:
            records = list(super().read(run, after - 1))
        if self.wrong == "reads backwards":
            records.reverse()
        if self.wrong == "reads one page":
            records = records[:1000]
        return iter(records)


@pytest.mark.parametrize(
    "wrong",
    [
        "keeps refused blobs",
        "overwrites",
        "one run for all",
        "folds case",
        "drops the end of a batch",
        "after is included",
        "reads backwards",
        "reads one page",
    ],
)
def test_a_journal_that_deviates_is_found(wrong):
    failed = []
    for check in JOURNAL_CHECKS:
        try:
            check(Deviating(wrong))
        except Exception:  # noqa: BLE001 (a deviating journal may fail in any way)
            failed.append(check)
    assert failed
