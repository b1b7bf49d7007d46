"""What every journal must do, as checks to run against one.

Each check takes an empty journal and raises `AssertionError` if it deviates. With pytest:

    @pytest.fixture
    def journal(tmp_path):
        with closing(MyJournal(tmp_path / "file")) as journal:
            yield journal

    @pytest.mark.parametrize("check", JOURNAL_CHECKS, ids=check_id)
    def test_my_journal(check, journal):
        check(journal)

All checks write only journals that follow the grammar of `podium.events`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from podium.errors import StoreError
from podium.events import (
    OUTCOMES,
    AnyEvent,
    AttemptFinished,
    AttemptLost,
    AttemptProgressed,
    AttemptRefused,
    AttemptScheduled,
    AttemptStarted,
    AttemptStopping,
    CacheChecked,
    CancelRequested,
    CircuitChanged,
    CompensationStarted,
    Failure,
    FallbackTaken,
    ItemsFound,
    LateResult,
    RunFinished,
    RunResumed,
    RunStarted,
    ServiceReady,
    SignalReceived,
    StepFinished,
    TestsFinished,
)
from podium.protocols import Journal, Record, content_digest
from podium.test_results import TEST_OUTCOMES, TestOutcome, TestResult

JournalCheck = Callable[[Journal], None]
"""Takes an empty journal; raises `AssertionError` if it deviates."""

AT_US = 1_700_000_000_000_000
_AWKWARD = "ünïcode ✓ 🎉 \"quoted\" 'single' \\ \n\t\x00 ;-- end"


def check_id(check: JournalCheck) -> str:
    """Return the name of a check, for `ids` of `pytest.mark.parametrize`."""
    return str(getattr(check, "__name__", check))


def plain_run(run: str, count: int) -> list[AnyEvent]:
    """Return the first events of a run that is under way, each different from the others.

    Args:
        run: Run id.
        count: How many, at least 2.
    """
    events: list[AnyEvent] = [
        RunStarted(at_us=AT_US, run=run, work="plan", name="plain", definition="0" * 32, steps=1, slots=1),
        AttemptStarted(at_us=AT_US + 1, step="a", number=1, token=2),
    ]
    events += [AttemptProgressed(at_us=AT_US + n, step="a", token=2, message=f"{run} {n}") for n in range(2, count)]
    return events


def bare_run(run: str) -> list[AnyEvent]:
    """Return a journal with every kind of event, all that has a default left out."""
    return [
        RunStarted(at_us=AT_US, run=run, work="plan", name="bare", definition="0" * 32, steps=2, slots=1),
        SignalReceived(at_us=AT_US, name="go"),
        CacheChecked(at_us=AT_US, step="a", digest="0" * 32, hit=False),
        CircuitChanged(at_us=AT_US, target="t", state="open"),
        AttemptRefused(at_us=AT_US, step="a", target="t", reason="open", retry_after=0.0),
        FallbackTaken(at_us=AT_US, step="a", index=1, name="", reason=""),
        ItemsFound(at_us=AT_US, step="c", items=[]),
        AttemptStarted(at_us=AT_US, step="a", number=1, token=2),
        AttemptProgressed(at_us=AT_US, step="a", token=2),
        TestsFinished(at_us=AT_US, step="a", token=2, results=()),
        ServiceReady(at_us=AT_US, step="a", token=2, duration=0.0),
        RunResumed(at_us=AT_US, engine="host:1:2"),
        AttemptLost(at_us=AT_US, step="a", token=2, reason="gone"),
        AttemptScheduled(at_us=AT_US, step="a", number=2, not_before_us=AT_US, delay=0.0, reason="lost"),
        AttemptStarted(at_us=AT_US, step="a", number=2, token=7),
        LateResult(at_us=AT_US, step="a", token=2, outcome="passed"),
        CancelRequested(at_us=AT_US, who="user", why="enough"),
        AttemptStopping(at_us=AT_US, step="a", token=7, reason="cancel"),
        AttemptFinished(at_us=AT_US, step="a", token=7, outcome="cancelled", duration=0.0),
        StepFinished(at_us=AT_US, step="a", outcome="cancelled"),
        StepFinished(at_us=AT_US, step="b", outcome="cancelled", attempts=0),
        CompensationStarted(at_us=AT_US, steps=(), reason="cancelled"),
        RunFinished(at_us=AT_US, outcome="cancelled", counts={}, duration=0.0),
    ]


def full_run(run: str) -> list[AnyEvent]:
    """Return a journal with every kind of event, every field given, and values that are awkward to store."""
    output: dict[str, Any] = {
        "numbers": [0, -1, 2**53, 0.1, -1e300],
        "nothing": None,
        "yes": True,
        "": _AWKWARD,
        "deep": [[{"a": []}]],
    }
    failure = Failure(type="Criteria", message=_AWKWARD, details="line\n" * 1000)
    digest = content_digest(b"log")
    events: list[AnyEvent] = [
        RunStarted(
            at_us=AT_US,
            run=run,
            work="campaign",
            name=_AWKWARD,
            definition=digest,
            steps=len(OUTCOMES),
            slots=3,
            seed=2**53,
            parent="0190-parent",
            options={"speed": 2.5, "paths": ["a", _AWKWARD], "none": None},
            engine="host:12:3.5",
        ),
        SignalReceived(at_us=AT_US, name=_AWKWARD, payload=output, who=_AWKWARD, message=2**40),
        CacheChecked(at_us=AT_US, step=_AWKWARD, digest=digest, hit=True, run="other", source=_AWKWARD),
        CircuitChanged(at_us=AT_US, target=_AWKWARD, state="half_open"),
        AttemptRefused(at_us=AT_US, step=_AWKWARD, target=_AWKWARD, reason=_AWKWARD, retry_after=1 / 3),
        FallbackTaken(at_us=AT_US, step=_AWKWARD, index=2, name=_AWKWARD, reason=_AWKWARD),
        ItemsFound(at_us=AT_US, step=f"{_AWKWARD}[]", items=[output, None, 1]),
        CompensationStarted(at_us=AT_US, steps=(_AWKWARD, "b"), reason="failed"),
        AttemptStarted(at_us=AT_US + 1, step=_AWKWARD, number=1, token=2, fallback=_AWKWARD),
        AttemptProgressed(at_us=AT_US + 2, step=_AWKWARD, token=2, done=1 / 3, message=_AWKWARD),
        TestsFinished(
            at_us=AT_US + 2, step=_AWKWARD, token=2, results=(_result("passed"),), total=2**40, origin=_AWKWARD
        ),
        TestsFinished(
            at_us=AT_US + 2, step=_AWKWARD, token=2, results=tuple(map(_result, TEST_OUTCOMES)), origin=_AWKWARD
        ),
        ServiceReady(at_us=AT_US + 2, step=_AWKWARD, token=2, duration=1 / 3, output=output),
        AttemptStopping(at_us=AT_US + 3, step=_AWKWARD, token=2, reason="timeout", force=True),
        RunResumed(at_us=AT_US + 4, engine="other:1:2", reopens=False),
        AttemptLost(at_us=AT_US + 5, step=_AWKWARD, token=2, reason=_AWKWARD, by="engine"),
        AttemptScheduled(
            at_us=AT_US + 6,
            step=_AWKWARD,
            number=2,
            not_before_us=AT_US + 1_000_000,
            delay=0.1 + 0.2,
            reason="retry",
            rule=3,
        ),
        AttemptStarted(at_us=AT_US + 7, step=_AWKWARD, number=2, token=8),
        LateResult(at_us=AT_US + 8, step=_AWKWARD, token=2, outcome="errored"),
        AttemptFinished(
            at_us=AT_US + 9,
            step=_AWKWARD,
            token=8,
            outcome="failed",
            duration=1 / 7,
            output=output,
            failure=failure,
            artifacts={"log": digest, _AWKWARD: digest},
        ),
        CancelRequested(at_us=AT_US + 10, who="deadline", why=_AWKWARD, force=True, compensate=False, message=7),
    ]
    events += [
        StepFinished(at_us=AT_US + 11, step=f"{_AWKWARD} {outcome}", outcome=outcome, attempts=2, reason=_AWKWARD)
        for outcome in OUTCOMES
    ]
    events.append(
        RunFinished(
            at_us=AT_US + 12,
            outcome="compensated",
            counts=dict.fromkeys(OUTCOMES, 1),
            duration=123.456,
            output=output,
        )
    )
    return events


def _result(outcome: TestOutcome) -> TestResult:
    return TestResult(
        id=f"{_AWKWARD}::{outcome}",
        outcome=outcome,
        duration=1 / 3,
        message=_AWKWARD,
        details="line\n" * 1000,
        attempts=3,
        flaky=True,
        quarantined=True,
        file=_AWKWARD,
        line=2**31,
        markers=(_AWKWARD, "slow"),
        worker=7,
        finished_us=AT_US + 1,
    )


def what_was_appended_is_read_in_order(journal: Journal) -> None:
    """One batch after the other, each event at its position."""
    events = plain_run("run", 12)
    journal.append("run", 1, events[:1])
    journal.append("run", 2, events[1:7])
    journal.append("run", 8, events[7:], {})
    _same(list(journal.read("run")), _records(events), "read")


def reading_after_a_position_leaves_out_what_is_before(journal: Journal) -> None:
    """`after` is the last position the reader has seen; it may be the end, or beyond."""
    events = plain_run("run", 8)
    journal.append("run", 1, events)
    for after in range(11):
        _same(list(journal.read("run", after)), _records(events)[after:], f"read after {after}")


def a_reader_follows_by_reading_after_what_it_has(journal: Journal) -> None:
    """What is appended between two reads is in the second."""
    events = plain_run("run", 9)
    seen: list[Record] = []
    for first, last in ((0, 2), (2, 3), (3, 9)):
        journal.append("run", first + 1, events[first:last])
        seen += journal.read("run", len(seen))
        _same(seen, _records(events[:last]), f"read up to {last}")


def an_unknown_run_has_no_records(journal: Journal) -> None:
    """Reading it is no error."""
    _same(list(journal.read("unknown")), [], "read of an unknown run")
    journal.append("run", 1, plain_run("run", 3))
    _same(list(journal.read("unknown")), [], "read of an unknown run beside another")


def a_taken_position_is_refused_and_nothing_is_written(journal: Journal) -> None:
    """No event of the batch, not even those at free positions, and no blob; the run can still go on."""
    events = plain_run("run", 6)
    journal.append("run", 1, events[:4])
    for first in (1, 2, 4):
        _refuse_at(journal, first)
        _same(list(journal.read("run")), _records(events[:4]), f"read after the append refused at {first}")
    journal.append("run", 5, events[4:])
    _same(list(journal.read("run")), _records(events), "read after going on")


def a_gap_is_refused_and_nothing_is_written(journal: Journal) -> None:
    """A run has no position without the one before it: not at its beginning, not later."""
    events = plain_run("run", 6)
    journal.append("other", 1, plain_run("other", 6))
    _refused("E511", "append at 2 of an empty run", lambda: journal.append("run", 2, events[1:]))
    _same(list(journal.read("run")), [], "read after the refused append at 2")
    journal.append("run", 1, events[:3])
    _refused("E511", "append at 5 of 3", lambda: journal.append("run", 5, events[4:]))
    journal.append("run", 4, events[3:])
    _same(list(journal.read("run")), _records(events), "read")


def a_second_start_of_a_run_is_refused(journal: Journal) -> None:
    """Two processes cannot begin a run of the same id."""
    events = plain_run("run", 3)
    journal.append("run", 1, events)
    _refused("E511", "second start", lambda: journal.append("run", 1, full_run("run")))
    _same(list(journal.read("run")), _records(events), "read after the second start")


def blobs_are_found_by_digest(journal: Journal) -> None:
    """Whatever their bytes: none, all values, text, many."""
    contents = (b"", bytes(range(256)), _AWKWARD.encode(), b"x" * 3_000_000)
    blobs = {content_digest(data): data for data in contents}
    journal.append("run", 1, plain_run("run", 2), blobs)
    for digest, data in blobs.items():
        found = journal.blob(digest)
        _same(type(found), bytes, "type of a blob")
        if found != data:
            raise AssertionError(f"a blob of {len(data)} bytes came back as {len(found)} other bytes")


def a_blob_may_be_stored_again(journal: Journal) -> None:
    """In the same run or in another, and it stays what it is."""
    data = b"the same"
    blobs = {content_digest(data): data}
    first, second = plain_run("first", 3), plain_run("second", 2)
    journal.append("first", 1, first[:2], blobs)
    journal.append("first", 3, first[2:], blobs)
    journal.append("second", 1, second, {**blobs, content_digest(b"new"): b"new"})
    _same(journal.blob(content_digest(data)), data, "blob stored three times")
    _same(journal.blob(content_digest(b"new")), b"new", "blob beside one stored before")
    _same(list(journal.read("first")), _records(first), "read of the first run")


def an_unknown_blob_is_an_error(journal: Journal) -> None:
    """With its code, whether or not there are others."""
    _refused("E512", "unknown blob", lambda: journal.blob("0" * 32))
    journal.append("run", 1, plain_run("run", 2), {content_digest(b"x"): b"x"})
    _refused("E512", "unknown blob beside another", lambda: journal.blob("0" * 32))
    _refused("E512", "blob by the beginning of its digest", lambda: journal.blob(content_digest(b"x")[:8]))


def runs_are_separate(journal: Journal) -> None:
    """Each has its own positions, however alike the ids and however the appends alternate."""
    names = ("a", "A", "ab", "a%", "a_", "ä", "a ")
    runs = {name: plain_run(name, 5) for name in names}
    for first, last in ((0, 2), (2, 5)):
        for name, events in runs.items():
            journal.append(name, first + 1, events[first:last])
    for name, events in runs.items():
        _same(list(journal.read(name)), _records(events), f"read of run {name!r}")


def long_journals_are_read_whole(journal: Journal) -> None:
    """Several thousand events, in many batches and in one large one."""
    events = plain_run("run", 4321)
    position = 0
    for size in (*range(1, 51), 1000, 1001):
        journal.append("run", position + 1, events[position : position + size])
        position += size
    journal.append("run", position + 1, events[position:])
    for after in (0, 999, 1000, 1001, 2321, 3320, 4320, 4321):
        found = list(journal.read("run", after))
        if found != _records(events)[after:]:
            raise AssertionError(
                f"read after {after} of {len(events)} events: {len(found)} records, not those expected"
            )


def every_kind_of_event_comes_back_as_it_was(journal: Journal) -> None:
    """With all fields given, with all defaults left out, and with awkward values."""
    for run, events in (("bare", bare_run("bare")), ("full", full_run("full"))):
        journal.append(run, 1, events, {content_digest(b"log"): b"log"})
        for found, expected in zip(journal.read(run), _records(events), strict=True):
            _same(found, expected, f"{type(expected.event).__name__} of the {run} run")
            _same(type(found.event), type(expected.event), "kind of event")


def what_is_written_does_not_change(journal: Journal) -> None:
    """The caller may go on to use its list, its output and its blobs for something else."""
    output: dict[str, Any] = {"x": [1]}
    finished = AttemptFinished(at_us=AT_US, step="a", token=2, outcome="passed", duration=1.0, output=output)
    events = [*plain_run("run", 2), finished]
    blobs = {content_digest(b"kept"): b"kept"}
    journal.append("run", 1, events, blobs)
    output["x"].append(2)
    events.clear()
    blobs.clear()
    records = list(journal.read("run"))
    _same(len(records), 3, "number of records")
    event = records[2].event
    _same(event.output if isinstance(event, AttemptFinished) else event, {"x": [1]}, "output")
    _same(journal.blob(content_digest(b"kept")), b"kept", "blob")


JOURNAL_CHECKS: tuple[JournalCheck, ...] = (
    what_was_appended_is_read_in_order,
    reading_after_a_position_leaves_out_what_is_before,
    a_reader_follows_by_reading_after_what_it_has,
    an_unknown_run_has_no_records,
    a_taken_position_is_refused_and_nothing_is_written,
    a_gap_is_refused_and_nothing_is_written,
    a_second_start_of_a_run_is_refused,
    blobs_are_found_by_digest,
    a_blob_may_be_stored_again,
    an_unknown_blob_is_an_error,
    runs_are_separate,
    long_journals_are_read_whole,
    every_kind_of_event_comes_back_as_it_was,
    what_is_written_does_not_change,
)
"""All of them, to parametrize a test with."""


def _records(events: Sequence[AnyEvent]) -> list[Record]:
    return [Record(seq, event) for seq, event in enumerate(events, 1)]


def _refuse_at(journal: Journal, first: int) -> None:
    data = f"refused at {first}".encode()
    digest = content_digest(data)
    batch = [AttemptProgressed(at_us=AT_US, step="a", token=2, message=f"refused {n}") for n in range(5)]
    _refused("E511", f"append at {first}", lambda: journal.append("run", first, batch, {digest: data}))
    _refused("E512", f"blob of the batch refused at {first}", lambda: journal.blob(digest))


def _same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise AssertionError(f"{what}: {found!r}, expected {expected!r}")


def _refused(code: str, what: str, action: Callable[[], object]) -> None:
    try:
        result = action()
    except StoreError as error:
        _same(error.diagnostics[0].code, code, f"code of the error: {what}")
    else:
        raise AssertionError(f"{what}: no StoreError {code} but {result!r}")
