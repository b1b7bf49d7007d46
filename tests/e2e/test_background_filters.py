"""`podium status --category` and tasks that have several."""

from podium.messages import Cancel
from podium.plan.graph import Plan, Step
from podium.protocols import Work
from podium.server.background import cancel, enqueue
from podium.session import Session


def queued(session, folder, category):
    plan = Plan.of(category, [Step(name="s", work=Work("command", {"shell": "true"}))])
    return enqueue(session, plan, cwd=folder, category=category)


def test_a_task_of_several_categories_is_found_by_each(podium):
    with Session.open(podium.folder / ".podium" / "podium.db") as session:
        for category in ("e2e,cypress", "cypress", "e2e_critical"):
            queued(session, podium.folder, category)
        for category in ("e2e", "load,e2e", "e2e"):
            run = queued(session, podium.folder, category)
            assert cancel(session, session.store.run(run), Cancel("me", "why"))
    status = podium("status", "--format", "json", "--category", "e2e").json
    assert [run["name"] for run in status["background"]] == ["e2e,cypress"]
    assert [run["name"] for run in status["results"]] == ["e2e", "load,e2e", "e2e"]
    latest = podium("status", "--format", "json", "--category", "e2e", "--results", "2").json
    assert [run["name"] for run in latest["results"]] == ["e2e", "load,e2e"]
    both = podium("status", "--format", "json", "--category", "load,e2e").json
    assert [run["name"] for run in both["results"]] == ["load,e2e"]
