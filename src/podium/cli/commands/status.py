"""`podium status`: what is under way, what waits in the background, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from podium.cli.options import duration, format_option, known_store_option
from podium.cli.output import print_json, print_table
from podium.cli.words import counts_in_words, local_time, outcome_of
from podium.events import RunOutcome
from podium.session import Session
from podium.sinks.tally import short_id
from podium.sinks.writing import how_long
from podium.store import RunRow, Task, task_of


class RunStatus(msgspec.Struct, frozen=True):
    """One run, as `--format json` shows it.

    Attributes:
        run: Run id.
        name: What a person calls it.
        state: `queued`, `running`, `interrupted` or its outcome.
        started_us: When it began, or was queued [us since the Unix epoch].
        finished_us: When it ended [us since the Unix epoch].
        outcome: How it ended.
        counts: Outcome to number of steps.
        duration: How long it took [s].
        task: What the background queue knows of it.
        parent: The run it repeats.
    """

    run: str
    name: str
    state: str
    started_us: int
    finished_us: int | None
    outcome: RunOutcome | None
    counts: dict[str, int]
    duration: float | None
    task: Task | None
    parent: str | None


class Status(msgspec.Struct, frozen=True):
    """What `--format json` gives.

    Attributes:
        foreground: Runs without an end that are no tasks of the queue.
        background: Tasks without an end: those under way, then in the order in which they begin.
        worked_on: Whether a process works on the queue.
        results: Tasks that are over, newest first.
    """

    foreground: list[RunStatus]
    background: list[RunStatus]
    worked_on: bool
    results: list[RunStatus]


@click.command("status")
@click.option("-n", "--results", type=click.IntRange(min=0), default=10, show_default=True, help="How many at most.")
@click.option("--category", help="Only queued runs and results of this category.")
@click.option("--since", type=duration, help="Only results of so long ago or less, such as 2h.")
@click.option("--start", is_flag=True, help="Have the queue worked on, if no process does.")
@format_option("text", "json")
@known_store_option
def command(
    *, results: int, category: str | None, since: float | None, start: bool, format_: str, store: Path | None
) -> int:
    """Show runs under way, the background queue, and the latest results of it, newest first.

    `podium cancel` and `podium kill` take runs out of the queue, too.
    """
    from podium.server.background import ensure_daemon, is_there  # noqa: PLC0415

    since_us = 0 if since is None else round((time.time() - since) * 1e6)
    with Session.open(store) as session:
        if start:
            ensure_daemon(session)
        done = _done(session, results, category, since_us)
        queued = [_of(session, row) for row in session.store.tasks()]
        status = Status(
            foreground=[_of(session, row) for row in session.store.unfinished() if task_of(row) is None],
            background=sorted((one for one in queued if _fits(one, category)), key=_place),
            worked_on=is_there(session.store.daemon),
            results=[_of(session, row) for row in done],
        )
    if format_ == "json":
        print_json(status)
    else:
        _print(status)
    return 0


def _done(session: Session, limit: int, category: str | None, since_us: int) -> list[RunRow]:
    """Return tasks that are over, newest first."""
    if category is None:
        return session.store.tasks_done(limit, since_us=since_us)
    found = session.store.tasks_done(since_us=since_us)
    return [row for row in found if _has(task_of(row), category)][:limit]


def _of(session: Session, row: RunRow) -> RunStatus:
    return RunStatus(
        run=row.id,
        name=row.name,
        state=outcome_of(session, row),
        started_us=row.started_us,
        finished_us=row.finished_us,
        outcome=row.outcome,
        counts=row.counts,
        duration=row.duration,
        task=task_of(row),
        parent=row.parent,
    )


def _fits(one: RunStatus, category: str | None) -> bool:
    return one.task is not None and _has(one.task, category)


def _has(task: Task | None, category: str | None) -> bool:
    """Return whether a task is of a category; one of several names them with commas between."""
    return category is None or (task is not None and category in (task.category, *task.category.split(",")))


def _place(one: RunStatus) -> tuple[int, int, int, str]:
    states = ("running", "interrupted", "queued")
    return states.index(one.state), one.task.priority if one.task else 0, one.started_us, one.run


def _print(status: Status) -> None:
    if status.foreground:
        click.echo("under way")
        print_table(
            ("RUN", "NAME", "STATE", "STARTED"),
            ((short_id(one.run), one.name, one.state, local_time(one.started_us)) for one in status.foreground),
        )
    else:
        click.echo("nothing is under way")
    click.echo("")
    _print_queue(status.background)
    if status.background and not status.worked_on:
        click.echo("nobody works on the queue: `podium status --start` has it worked on")
    if status.results:
        click.echo("\nresults")
        _print_results(status.results)


def _print_queue(queue: Sequence[RunStatus]) -> None:
    if not queue:
        click.echo("the background queue is empty")
        return
    click.echo("background queue")
    print_table(
        ("RUN", "NAME", "CATEGORY", "PRIORITY ", "STATE", "QUEUED"),
        (
            (short_id(one.run), one.name, one.task.category or "-", one.task.priority, one.state, _when(one.started_us))
            for one in queue
            if one.task is not None
        ),
    )


def _print_results(results: Sequence[RunStatus]) -> None:
    print_table(
        ("RUN", "NAME", "CATEGORY", "OUTCOME", "COUNTS", "ENDED", "TOOK "),
        (
            (
                short_id(one.run),
                one.name,
                (one.task.category if one.task else "") or "-",
                one.state.replace("_", " "),
                counts_in_words(one.counts),
                _when(one.finished_us),
                None if one.duration is None else how_long(one.duration),
            )
            for one in results
        ),
    )


def _when(us: int | None) -> str:
    return "-" if us is None else local_time(us)
