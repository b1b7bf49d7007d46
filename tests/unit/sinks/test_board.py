import io
import re
import threading
import time

import pytest
from rich.console import Console

from podium.sinks.board import Board
from podium.sinks.lines import Lines, summary_lines
from podium.sinks.tally import Tally

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def terminal(width=80, height=24, **options):
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, _environ={}, **options)


def painted(board, width=80, height=24):
    """What the board looks like now, as text."""
    console = Console(file=io.StringIO(), width=width, height=height, _environ={})
    console.print(board)
    return [line.rstrip() for line in console.file.getvalue().split("\n")[:-1]]


@pytest.fixture
def board(story):
    board = Board(terminal())
    story.sinks.append(board)
    yield board
    board.close()


def test_a_run_under_way(story, board):
    story.begin("nominal", steps=12, slots=3).case("a").case("b", "errored", failure=("ValueError", "bad"))
    story.start("c").progress("c", 0.5, "t = 60 s of 120 s").start("d")
    lines = painted(board)
    assert lines == [
        "nominal  run 456789ab",
        "━━━                   2/12  1 passed  1 errored",
        "c                       ━━━━━━━━━━            t = 60 s of 120 s",
        "d",
        "",
        "passed     a                           1.00 s",
        "errored    b                           1.00 s  ValueError: bad",
        *[""] * 6,
    ]


def test_the_height_does_not_change(story, board):
    heights = set()
    story.begin(steps=100, slots=4)
    for number in range(100):
        story.start(f"case {number}")
        heights.add(len(painted(board)))
        outcome = "failed" if number % 7 == 0 else "passed"
        failure = ("E", "one\ntwo " + "long " * 50)
        story.progress(f"case {number}", 0.5, "wide " * 50).end(f"case {number}", outcome, failure=failure)
        story.done(f"case {number}", outcome)
        heights.add(len(painted(board)))
    assert heights == {2 + 4 + 8}


@pytest.mark.parametrize(("height", "slots"), [(24, 64), (10, 64), (10, 2), (5, 1), (1, 3)])
def test_it_fits_the_terminal(story, height, slots):
    console = terminal(height=height)
    board = Board(console)
    story.sinks.append(board)
    story.begin(steps=100, slots=slots)
    for number in range(slots):
        story.start(f"case {number}")
    for number in range(100, 110):
        story.case(f"case {number}")
    assert len(painted(board, height=height)) <= max(4, height - 1)
    rows = len(painted(board, height=24))
    assert rows <= 23
    board.close()


def test_more_running_than_there_is_room_for(story):
    board = Board(terminal(height=12))
    story.sinks.append(board)
    story.begin(steps=50, slots=10)
    for number in range(10):
        story.start(f"c{number}")
    lines = painted(board, height=12)
    assert [line for line in lines if line][2:] == ["c0", "c1", "c2", "and 7 more running"]
    board.close()


def test_failing_cases_stay_listed_longest(story, board):
    story.begin(steps=100, slots=1).case("bad 1", "failed").case("bad 2", "timed_out")
    for number in range(20):
        story.case(f"good {number}")
    finished = [
        line.split("  ")[1].strip() if "timed" in line else line[11:].split("  ")[0] for line in painted(board)[3:]
    ]
    assert finished == ["bad 1", "bad 2", *[f"good {number}" for number in range(14, 20)]]
    for number in range(3, 12):
        story.case(f"bad {number}", "failed")
    assert [line[11:].split("  ")[0] for line in painted(board)[3:]] == [f"bad {number}" for number in range(4, 12)]


def test_markup_and_control_characters_mean_nothing(story, board):
    story.begin("n [bold]x[/]\x1b[2J", slots=2).case("[red]a[/red]", "failed", failure=("E", "m [x]\x1b[31m\r\n"))
    story.start("b [link=x]").progress("b [link=x]", 0.1, "t [/] \x07\u202e ü 日本")
    text = "\n".join(painted(board))
    assert "n [bold]x[/]\\x1b[2J  run" in text
    assert "b [link=x]" in text
    assert "t [/] \\x07\\u202e ü 日本" in text
    assert "failed     [red]a[/red]" in text
    assert "E: m [x]\\x1b[31m" in text


def test_resumption(story, board):
    story.begin(slots=1).case("a").cancel("too [late]").done("b", "cancelled", "too late")
    assert painted(board)[0] == "nominal  run 456789ab  cancelled: too [late]"
    story.finish("cancelled", passed=1, cancelled=1)
    assert painted(board)[1].endswith("2/2  1 passed  1 cancelled")
    story.resume()
    lines = painted(board)
    assert lines[0] == "nominal  run 456789ab"
    assert lines[1].endswith("1/2  1 passed")
    assert [line for line in lines[2:] if line] == ["passed     a                           1.00 s"]


def test_a_lost_worker_is_no_longer_running(story, board):
    story.begin(slots=1).start("a").lose("a")
    assert painted(board)[2:] == ["", "", ""]


def test_what_stays_is_what_lines_say(story, hot):
    story.begin("n [x]", steps=4).case("ok").case("[b]", "failed", 2.5, ("Criteria", "1 of 2"), hot)
    story.case("c\x1b[1m", "errored", failure=("E", "bad\nmore")).case("ok 2")
    story.finish("failed", passed=2, failed=1, errored=1)
    console, stream = terminal(width=40), io.StringIO()
    story.feed(Board(console))
    story.feed(Lines(stream))
    without_passed = [line for line in stream.getvalue().split("\n")[1:] if not line.startswith("passed")]
    assert without_passed[0] == "failed     [b]  2.50 s"
    assert ESCAPES.sub("", console.file.getvalue().split("\x1b[2K")[-1]).split("\n") == without_passed


@pytest.mark.parametrize("terminal_like", [True, False])
def test_a_board_painted_or_not_leaves_the_same(story, terminal_like):
    console = Console(file=io.StringIO(), force_terminal=terminal_like, width=80, _environ={})
    story.begin().case().finish(passed=1).feed(Board(console))
    left = ESCAPES.sub("", console.file.getvalue().split("\x1b[2K")[-1])
    assert left == "\nnominal passed: 1 passed in 12.3 s\n"


def test_without_records_nothing_is_written(story):
    console = terminal()
    board = story.feed(Board(console))
    board.close()
    assert console.file.getvalue() == ""


def test_zero_steps_finished(story):
    console = terminal()
    story.begin().feed(Board(console))
    tally = Tally()
    tally.take(story.run, story.records)
    left = console.file.getvalue().split("\x1b[2K")[-1]
    assert ESCAPES.sub("", left).strip().split("\n") == summary_lines(tally)


def test_no_color(story):
    console = terminal(no_color=True)
    story.begin().case("a", "failed").finish("failed", failed=1).feed(Board(console))
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", console.file.getvalue())


def test_a_terminal_that_knows_ascii_only(story):
    below = io.BytesIO()
    console = Console(
        file=io.TextIOWrapper(below, encoding="ascii"), force_terminal=True, width=40, height=24, _environ={}
    )
    story.begin("ü " * 40).start("日").progress("日", 0.5, "ü").case("b", "failed").feed(Board(console))
    console.file.flush()
    assert b"\\xfc" in below.getvalue()


def test_a_burst_is_painted_a_few_times_and_its_last_state_too(story, board):
    paints = []
    paint = board._paint
    board._paint = lambda: (paints.append(time.monotonic()), paint())
    began = time.monotonic()
    story.begin(steps=500, slots=1)
    for number in range(300):
        story.case(f"c{number}")
    took = time.monotonic() - began
    deadline = time.monotonic() + 5
    while "300/500" not in board._console.file.getvalue() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "300/500" in board._console.file.getvalue()
    assert len(paints) <= 2 + (took + 0.2) / 0.1


def test_closing_leaves_no_thread_behind(story):
    before = threading.active_count()
    board = Board(terminal())
    story.sinks.append(board)
    story.begin().case("a").case("b")
    board.close()
    assert threading.active_count() == before


def test_a_terminal_that_fails_later_is_told_to_the_engine(story):
    board = Board(terminal())
    story.sinks.append(board)
    story.begin()
    board._paint = lambda: 1 / 0
    board._paint_later()
    with pytest.raises(ZeroDivisionError):
        story.start("a")
    board.close()
