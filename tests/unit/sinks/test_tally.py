import pytest

from podium.sinks.tally import Tally, short_id

NOON_US = 1_767_355_445_000_007


def tally_of(story, **options):
    tally = Tally(**options)
    tally.take(story.run, story.records)
    return tally


def test_the_short_id_is_the_part_that_differs_between_runs_of_one_day():
    assert short_id("019b7e9a-1111-7222-8333-0123456789ab") == "456789ab"


def test_nothing_happened_yet():
    tally = Tally()
    assert (tally.total, tally.done, tally.duration, tally.outcome, tally.failing) == (0, 0, 0.0, None, [])


def test_a_finished_run(story, hot):
    story.begin("n", steps=3, slots=2).case("b").case("a", "failed", 2.5, ("Criteria", "1 of 2"), hot)
    story.done("c", "skipped", "`a` failed").finish("failed", 12.3, passed=1, failed=1, skipped=1)
    tally = tally_of(story)
    assert (tally.run, tally.name, tally.work, tally.slots, tally.total) == (story.run, "n", "campaign", 2, 3)
    assert list(tally.steps) == ["b", "a", "c"]
    assert tally.counts == {"passed": 1, "failed": 1, "skipped": 1}
    assert (tally.outcome, tally.duration, tally.started_us, tally.finished_us) == ("failed", 12.3, NOON_US, NOON_US)
    assert [step.name for step in tally.failing] == ["a"]
    failed, skipped = tally.steps["a"], tally.steps["c"]
    assert (failed.state, failed.outcome, failed.attempts, failed.duration) == ("done", "failed", 1, 2.5)
    assert [verdict.name for verdict in failed.verdicts] == ["cool", "charged"]
    assert [verdict.name for verdict in failed.failing_verdicts] == ["cool"]
    assert (skipped.attempts, skipped.duration, skipped.reason) == (0, None, "`a` failed")


def test_outputs_are_kept_on_request_only(story):
    story.begin().case(output={"x": 1})
    assert tally_of(story).steps["a"].output is None
    assert tally_of(story, keep_output=True).steps["a"].output == {"x": 1}


@pytest.mark.parametrize("output", [None, 1, "text", [], {}, {"criteria": 5}, {"criteria": [{"name": 1}]}])
def test_outputs_of_other_work_have_no_verdicts(story, output):
    story.begin().case(output=output)
    assert tally_of(story).steps["a"].verdicts == ()


def test_progress_is_of_the_attempt_under_way(story):
    story.begin().start().progress(done=0.5, message="t = 10 s")
    step = tally_of(story).steps["a"]
    assert (step.state, step.done, step.message) == ("running", 0.5, "t = 10 s")
    story.progress(done=0.9, message="from another attempt", token=99)
    step = tally_of(story).steps["a"]
    assert (step.done, step.message) == (0.5, "t = 10 s")
    story.progress(done=1.7)
    assert tally_of(story).steps["a"].done == 1.0
    story.end().done().progress(done=0.1)
    step = tally_of(story).steps["a"]
    assert (step.state, step.done, step.message) == ("done", None, "")


def test_a_retry_forgets_why_the_attempt_before_failed(story, hot):
    story.begin().start().end(outcome="failed", failure=("Criteria", "1 of 2"), output=hot).retry()
    tally = tally_of(story)
    assert (tally.steps["a"].state, tally.steps["a"].failure.message, tally.running) == ("waiting", "1 of 2", {})
    story.start().end().done()
    step = tally_of(story).steps["a"]
    assert (step.outcome, step.attempts, step.failure, step.verdicts) == ("passed", 2, None, ())


def test_a_lost_worker(story):
    story.begin().start()
    story.at = 2
    story.lose()
    tally = tally_of(story)
    assert (tally.steps["a"].state, tally.steps["a"].duration, tally.running) == ("waiting", 2.0, {})


def test_what_a_dead_engine_ran_is_not_running(story):
    story.begin(steps=3).case("a").start("b").progress("b", 0.5, "half").start("c")
    assert list(tally_of(story).running) == ["b", "c"]
    story.at = 10
    story.start("d")
    story.at = 1000
    story.resume()
    tally = tally_of(story)
    assert tally.running == {}
    assert [step.state for step in tally.steps.values()] == ["done", "waiting", "waiting", "waiting"]
    assert (tally.steps["b"].done, tally.steps["b"].message, tally.resumed) == (None, "", 1)
    story.lose("b", by="engine")
    assert tally_of(story).steps["b"].duration is None


def test_the_time_between_a_crash_and_the_resumption_does_not_count(story):
    story.begin().start()
    story.at = 10
    story.progress()
    assert tally_of(story).duration == 10
    story.at = 1000
    story.resume()
    assert tally_of(story).duration == 10
    story.at = 1004
    story.start()
    assert tally_of(story).duration == 14
    story.end().done().finish(duration=5.5, passed=1)
    assert tally_of(story).duration == 15.5


def test_a_resumed_run_has_its_cancelled_steps_pending_again(story):
    story.begin().case("a").cancel().done("b", "cancelled", "Ctrl-C").finish("cancelled", passed=1, cancelled=1)
    tally = tally_of(story)
    assert (tally.cancel.who, tally.counts, tally.outcome) == ("user", {"passed": 1, "cancelled": 1}, "cancelled")
    story.resume()
    tally = tally_of(story)
    assert (tally.cancel, tally.counts, tally.outcome, tally.finished_us) == (None, {"passed": 1}, None, None)
    step = tally.steps["b"]
    assert (step.state, step.outcome, step.reason) == ("waiting", None, "")
    story.case("b").finish(duration=1.0, passed=2)
    assert tally_of(story).counts == {"passed": 2}
    assert list(tally_of(story).steps) == ["a", "b"]


def test_one_record_at_a_time_comes_to_the_same(story):
    story.begin().case("a").cancel().done("b", "cancelled").finish("cancelled", passed=1, cancelled=1).resume()
    once, slowly = tally_of(story), Tally()
    for record in story.records:
        slowly.take(story.run, [record])
    assert (once.counts, once.duration, list(once.steps)) == (slowly.counts, slowly.duration, list(slowly.steps))
