"""The live board: a run on a terminal, always the same height."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from rich.console import Console, Group, OverflowMethod, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from podium.events import OUTCOMES, RunOutcome, StepFinished, TestsFinished, outcome_word
from podium.protocols import Record
from podium.sinks.lines import case_lines, closing_outcome, summary_lines
from podium.sinks.tally import StepTally, Tally, short_id
from podium.sinks.test_lines import closing_lines, counts_in_words, new_result_lines
from podium.sinks.writing import for_stream, how_long, printable

_STYLES: dict[RunOutcome, str] = {
    "passed": "green",
    "failed": "bold red",
    "errored": "bold magenta",
    "timed_out": "bold magenta",
    "skipped": "yellow",
    "cancelled": "yellow",
    "compensated": "bold red",
    "compensation_failed": "bold red",
}
_PERIOD = 0.1
_FINISHED_ROWS = 8
_HEADER_ROWS = 2
_BAR_WIDTH = 20


class Board:
    """Shows a run while it goes on, and leaves a summary with every failing case.

    The board is painted when something has happened, at most ten times a second; what happens in between is painted
    by a timer, so the last state is always on show.

    Args:
        console: The terminal; it belongs to the caller.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally = Tally()
        self._finished: list[StepTally] = []
        self._unsaid: list[str] = []
        self._live: Live | None = None
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._painted_at = float("-inf")
        self._problem: Exception | None = None
        self._closed = False

    def emit(self, run: str, records: Sequence[Record]) -> None:
        """Take in a batch, and paint if it is time.

        Raises:
            Exception: The terminal could not be written.
        """
        with self._lock:
            if self._problem is not None:
                raise self._problem
            if not records:
                return
            self._take(run, records)
            left = self._painted_at + _PERIOD - time.monotonic()
            if left <= 0:
                self._paint()
            elif self._timer is None and not self._closed:
                self._timer = threading.Timer(left, self._paint_later)
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        """Replace the board with the summary."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            timer.join()
        if self._live is not None:
            self._live.stop()
        if self._tally.run:
            for line in self._last_words():
                self._console.print(line, soft_wrap=True)

    def __rich__(self) -> RenderableType:
        """Return the board as it is to be painted now."""
        running, finished = self._rows()
        return Group(self._title(), self._bar(), self._running_rows(running), self._finished_rows(finished))

    def _take(self, run: str, records: Sequence[Record]) -> None:
        self._tally.take(run, records)
        for record in records:
            if isinstance(record.event, TestsFinished):
                self._unsaid += new_result_lines(record.event.step, record.event.results)
            if isinstance(record.event, StepFinished):
                step = self._tally.steps[record.event.step]
                if step in self._finished:
                    self._finished.remove(step)
                self._finished.append(step)
                if len(self._finished) > 2 * _FINISHED_ROWS:
                    self._finished = self._shown_finished(_FINISHED_ROWS)
        self._finished = self._shown_finished(_FINISHED_ROWS)

    def _paint(self) -> None:
        if self._closed:
            return
        if self._live is None:
            self._live = Live(get_renderable=self.__rich__, console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        unsaid, self._unsaid = self._unsaid, []
        for line in unsaid:
            self._console.print(self._text(line), soft_wrap=True)
        self._live.refresh()
        self._painted_at = time.monotonic()

    def _paint_later(self) -> None:
        with self._lock:
            self._timer = None
            try:
                self._paint()
            except Exception as error:  # noqa: BLE001 (the next emit raises it, where the engine can see it)
                self._problem = error

    def _rows(self) -> tuple[int, int]:
        """Return how many rows there are for running and for finished cases."""
        tally = self._tally
        room = max(2, self._console.height - _HEADER_ROWS - 1)
        running = max(1, min(tally.slots or len(tally.running), tally.total, max(room - _FINISHED_ROWS, room // 2)))
        return running, max(0, min(_FINISHED_ROWS, tally.total, room - running))

    def _title(self) -> Text:
        tally = self._tally
        run = f"run {short_id(tally.run)}"
        title = self._text(f"{tally.name}  {run}" if tally.name else run, "bold")
        if tally.cancel is not None and tally.outcome is None:
            title.append_text(self._text(f"  cancelled: {tally.cancel.why}", "yellow"))
        return title

    def _bar(self) -> Table:
        tally = self._tally
        counts = self._text(f"{tally.done}/{tally.total}")
        for outcome in OUTCOMES:
            if tally.counts.get(outcome):
                counts.append("  ")
                counts.append(f"{tally.counts[outcome]} {outcome_word(outcome)}", _STYLES[outcome])
        tests = tally.tests
        if tests.total:
            style = _STYLES["failed"] if tests.bad else _STYLES["passed"]
            counts.append("  ")
            counts.append(f"tests: {counts_in_words(tests)}", style)
        bar = ProgressBar(total=max(1, tally.total), completed=tally.done, width=_BAR_WIDTH)
        row = Table.grid(padding=(0, 2, 0, 0))
        row.add_column(width=_BAR_WIDTH, no_wrap=True)
        row.add_column(no_wrap=True, overflow=self._overflow)
        row.add_row(bar, counts)
        return row

    def _running_rows(self, rows: int) -> Table:
        running = list(self._tally.running.values())
        table = self._grid(ratio=(2, None, 3))
        shown = running if len(running) <= rows else running[: rows - 1]
        for step in shown:
            done = "" if step.done is None else ProgressBar(total=1.0, completed=step.done, width=_BAR_WIDTH)
            table.add_row(self._text(step.name), done, self._text(step.message, "dim"))
        if len(shown) < len(running):
            table.add_row(self._text(f"and {len(running) - len(shown)} more running", "dim"), "", "")
        return _filled(table, rows)

    def _finished_rows(self, rows: int) -> Table:
        table = self._grid(ratio=(None, 2, 3), middle=None)
        for step in self._shown_finished(rows):
            outcome = step.outcome or "cancelled"
            time_taken = "" if step.duration is None else how_long(step.duration)
            first = self._text(f"{outcome_word(outcome):<9}", _STYLES[outcome])
            table.add_row(first, self._text(step.name), self._text(f"{time_taken}  {_why(step)}".strip(), "dim"))
        return _filled(table, rows)

    def _grid(self, *, ratio: tuple[int | None, ...], middle: int | None = _BAR_WIDTH) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        for number, share in enumerate(ratio):
            width = middle if number == 1 else None
            table.add_column(ratio=share, width=width, no_wrap=True, overflow=self._overflow)
        return table

    @property
    def _overflow(self) -> OverflowMethod:
        return "crop" if self._console.options.ascii_only else "ellipsis"

    def _text(self, text: str, style: str = "") -> Text:
        """Return text in which neither markup nor control characters mean anything, on a single line."""
        harmless = for_stream(printable(text), self._console.encoding)
        return Text(harmless, style, no_wrap=True, overflow=self._overflow)

    def _last_words(self) -> Iterator[Text]:
        """Yield the lines that stay: what was not said yet, failing cases and the summary."""
        for line in self._unsaid:
            yield self._text(line)
        for step in self._tally.failing:
            first, *others = case_lines(step)
            line = self._text(first)
            line.stylize(_STYLES[step.outcome or "failed"], 0, len(outcome_word(step.outcome or "failed")))
            yield line
            for other in others:
                yield self._text(other)
        yield Text()
        for other in closing_lines(self._tally):
            yield self._text(other)
        outcome = closing_outcome(self._tally)
        first, *others = summary_lines(self._tally)
        yield self._text(first, _STYLES[outcome] if outcome else "")
        for other in others:
            yield self._text(other)

    def _shown_finished(self, rows: int) -> list[StepTally]:
        """Return the last steps that finished, failing ones before others, in the order they finished."""
        done = [step for step in self._finished if step.state == "done"]
        others = [step for step in done if not step.failing]
        failing = [step for step in done if step.failing][-rows:] if rows else []
        room = rows - len(failing)
        kept = {id(step) for step in failing} | {id(step) for step in (others[-room:] if room else [])}
        return [step for step in done if id(step) in kept]


def _why(step: StepTally) -> str:
    """Return in a few words why a step did not pass."""
    if step.failing:
        return case_lines(step)[1].strip() if len(case_lines(step)) > 1 else ""
    return step.reason if step.outcome != "passed" else ""


def _filled(table: Table, rows: int) -> Table:
    while table.row_count < rows:
        table.add_row("", "", "")
    return table
