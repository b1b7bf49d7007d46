"""Workflows with the real command: interrupted, cancelled and killed by people, with nothing left running."""

import signal
import time

import pytest
from tests.e2e.workflow_runs import ANY, DONE, HANGS, SAGA, UNDONE, events, lines, until
from tests.processes import gone


@pytest.fixture
def hanging(podium, begin):
    """A saga that hangs in its third step, with two grandchildren."""
    podium.write("saga.yaml", SAGA.format(three=HANGS))
    begun = begin("run", "saga.yaml")
    until(lambda: len(lines(podium, "pids")) == 2)
    return begun


def check_nothing_runs(podium, run, nothing_left):
    assert nothing_left(run.process.pid)
    assert all(gone(pid) for pid in lines(podium, "pids"))


def test_ctrl_c_undoes_and_tears_down(podium, hanging, nothing_left):
    hanging.process.send_signal(signal.SIGINT)
    assert hanging.end(ANY)["outcome"] == "compensated"
    assert lines(podium) == [*DONE, *UNDONE, "end"]
    (request,) = events(podium, "cancel_requested")
    assert (request["who"], request["why"]) == ("user", "interrupted by SIGINT")
    check_nothing_runs(podium, hanging, nothing_left)


def test_after_ctrl_c_the_exit_code_is_130_also_if_something_was_undone(hanging):
    hanging.process.send_signal(signal.SIGINT)
    hanging.end(130)


def test_cancel_from_elsewhere_undoes_and_says_who_and_why(podium, hanging, nothing_left):
    assert podium("cancel", "--why", "it is late").errors == ""
    assert hanging.end(1)["outcome"] == "compensated"
    assert lines(podium) == [*DONE, *UNDONE, "end"]
    (request,) = events(podium, "cancel_requested")
    assert request["why"] == "it is late"
    assert "@" in request["who"]
    assert "it is late" in podium("show").output
    check_nothing_runs(podium, hanging, nothing_left)
    assert "finished: compensated" in podium.refused("cancel", error="U415")


def test_cancel_without_compensation_leaves_what_was_done_and_the_run_can_go_on(podium, hanging, nothing_left):
    podium("cancel", "latest", "--no-compensate")
    ended = hanging.end(1)
    assert ended["outcome"] == "cancelled"
    assert lines(podium) == [*DONE, "end"]
    (request,) = events(podium, "cancel_requested")
    assert (request["why"], request["compensate"]) == ("cancelled by hand", False)
    assert "cancelled by hand" in podium("show", "latest", "four").output
    check_nothing_runs(podium, hanging, nothing_left)


def test_kill_ends_at_once_without_undoing_or_tearing_down(podium, hanging, nothing_left):
    podium("kill", "--why", "enough")
    assert hanging.end(1)["outcome"] == "cancelled"
    assert lines(podium) == DONE
    (request,) = events(podium, "cancel_requested")
    assert (request["why"], request["force"], request["compensate"]) == ("enough", True, False)
    (stopping,) = events(podium, "attempt_stopping")
    assert stopping["force"]
    assert "enough" in podium("show").output
    check_nothing_runs(podium, hanging, nothing_left)


def test_a_second_ctrl_c_kills_what_will_not_stop_and_still_undoes(podium, begin, nothing_left):
    stubborn = "trap '' TERM INT; echo $$ >> pids; echo three >> log; while :; do sleep 0.2; done"
    podium.write("saga.yaml", SAGA.format(three=stubborn).replace("name: three,", "name: three, grace: 60 s,"))
    run = begin("run", "saga.yaml")
    until(lambda: lines(podium, "pids"))
    run.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    run.process.send_signal(signal.SIGINT)
    assert run.end(ANY)["outcome"] == "compensated"
    assert lines(podium) == [*DONE, *UNDONE, "end"]
    check_nothing_runs(podium, run, nothing_left)


def test_a_cancelled_run_that_goes_on_begins_nothing_but_undoing(podium, hanging, nothing_left):
    until(lambda: lines(podium) == DONE)
    hanging.kill()
    podium("cancel", "latest", "--why", "given up")
    assert podium("resume", "--format", "json", code=1).json["outcome"] == "compensated"
    check_nothing_runs(podium, hanging, nothing_left)
    started = [event["step"] for event in events(podium, "attempt_started")]
    assert started == [*DONE, "two~undo", "one~undo", "end"]
