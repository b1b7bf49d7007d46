"""Services in runs of the real engine: steps that need them, and what is left when a run is over or killed."""

import signal
import subprocess
import sys

import psutil
import pytest
from tests.real_services import (
    alive,
    left_in,
    listens,
    place,  # noqa: F401 (a fixture)
    postgres,
    postgres_service,
    until,
)

from podium.plan.graph import Need, Plan, Step
from podium.plan.policy import Policy
from podium.protocols import Work
from podium.session import Session

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform != "linux", reason="what an open file marks is found on Linux"),
    pytest.mark.usefixtures("place"),
]

WEB = {
    "name": "web",
    "argv": [sys.executable, "-m", "http.server", "${port}", "--bind", "127.0.0.1", "--directory", "${folder}"],
    "ports": {"http": 0},
    "exports": {"PORT": "${port}"},
    "health": {"http": "http://127.0.0.1:${port}/"},
}
FETCH = (
    "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1])); c.request('GET', '/'); "
    "print(c.getresponse().status)"
)


def service(payload, **policy):
    return Step(payload["name"], Work("service", payload), role="service", policy=Policy(grace=5, **policy))


def uses(name, argv, service="web"):
    return Step(name, Work("command", {"argv": argv}, template=True), needs=(Need(service),))


def port_of(name="web"):
    return f"${{string(steps['{name}'].output.env.PORT)}}"


@pytest.fixture
def store(tmp_path):
    """Where the store of the runs is."""
    return tmp_path / "podium.db"


def conducted(store, *steps):
    """Return the summary of a run and what its steps came to."""
    with Session.open(store) as session:
        summary = session.run(Plan.of("services", steps, slots=3))
        events = [record.event for record in session.store.read(summary.run)]
    return summary, events


def finished(events, name):
    return next(event for event in events if type(event).__name__ == "AttemptFinished" and event.step == name)


def test_steps_use_a_service_that_is_stopped_after_the_last_of_them(store, place):  # noqa: F811
    fetch = [sys.executable, "-c", FETCH, port_of()]
    summary, events = conducted(store, service(WEB), uses("one", fetch), uses("two", fetch))
    assert (summary.outcome, summary.counts) == ("passed", {"passed": 3})
    assert finished(events, "one").output == "200"
    port = finished(events, "web").output["ports"]["http"]
    assert not listens(port)
    assert left_in(place) == []


def test_a_step_queries_postgresql(store, place):  # noqa: F811
    query = [f"{postgres()}/psql", "${steps.database.output.env.DATABASE_URL}", "-Atc", "select 6 * 7"]
    summary, events = conducted(store, service(postgres_service()), uses("query", query, "database"))
    assert summary.counts == {"passed": 2}, events
    assert finished(events, "query").output == "42"
    assert (alive(str(place)), left_in(place)) == ([], [])


def test_a_service_that_does_not_come_up_in_time_says_what_its_health_said(store, place):  # noqa: F811
    slow = WEB | {"argv": ["sleep", "621"], "health": {"tcp": "127.0.0.1:${port}"}}
    summary, events = conducted(store, service(slow, timeout=0.5), uses("one", ["true"]))
    assert summary.outcome != "passed"
    failure = finished(events, "web").failure
    assert (finished(events, "web").outcome, failure.type) == ("timed_out", "Timeout")
    assert failure.details.startswith("service `web` is not up: connection refused at 127.0.0.1:")
    assert (alive("621"), left_in(place)) == ([], [])


def test_a_service_that_is_not_up_is_stopped_when_another_that_the_same_steps_need_has_failed(store, place):  # noqa: F811
    broken = WEB | {"name": "broken", "argv": ["sh", "-c", "exit 1"]}
    slow = WEB | {"argv": ["sleep", "623"], "health": {"tcp": "127.0.0.1:${port}"}}
    one = Step("one", Work("command", {"argv": ["true"]}), needs=(Need("web"), Need("broken")))
    _, events = conducted(store, service(slow, timeout=300), service(broken), one)
    ends = {event.step: (event.outcome, event.reason) for event in events if type(event).__name__ == "StepFinished"}
    assert ends["web"] == ("skipped", "nothing needs it any more")
    assert ends["one"] == ("skipped", "`broken` errored")
    (stopping,) = [event for event in events if type(event).__name__ == "AttemptStopping"]
    assert (stopping.step, stopping.reason) == ("web", "unneeded")
    assert (alive("623"), left_in(place)) == ([], [])


def test_a_service_that_dies_takes_the_steps_that_need_it_with_it(store, place):  # noqa: F811
    dies = WEB | {"argv": ["sh", "-c", "sleep 1; exit 3"], "health": {"command": ["true"]}}
    summary, events = conducted(store, service(dies), uses("one", ["sleep", "622"]))
    assert summary.counts == {"errored": 2}
    assert finished(events, "web").failure.message == "service `web` died: exited with code 3"
    assert finished(events, "one").failure.type == "ServiceDied"
    assert (alive("622"), left_in(place)) == ([], [])


HOLDS = """
import pathlib, time
def test_first(): pass
def test_held():
    pathlib.Path("started").touch()
    time.sleep(1000)
def test_never(): pass
"""


def test_a_suite_whose_service_dies_says_what_was_broken_off_and_how_much_was_not_run(store, place):  # noqa: F811
    (store.parent / "test_it.py").write_text(HOLDS, encoding="utf-8")
    waits = f"until [ -e {store.parent}/started ]; do sleep 0.05; done; exit 3"
    dies = WEB | {"argv": ["sh", "-c", waits], "health": {"command": ["true"]}}
    payload = {"cwd": str(store.parent), "python": sys.executable, "args": ["-p", "no:cacheprovider"]}
    suite = Step("suite", Work("pytest", payload), needs=(Need("web"),), policy=Policy(grace=60))
    _, events = conducted(store, service(dies), suite)
    ended = finished(events, "suite")
    assert (ended.outcome, ended.failure.type) == ("errored", "ServiceDied")
    assert ended.output["counts"] == {"passed": 1, "left_out": 2, "not_run": 2}
    assert ended.output["notes"] == ["`test_it.py::test_held` was broken off", "2 of 3 tests not run"]
    assert left_in(place) == []


RUN = """
import pathlib, sys
from tests.integration.test_services_in_runs import conducted, postgres_service, service, uses
store, time = pathlib.Path(sys.argv[1]), str(600 + 23)
print(conducted(store, service(postgres_service()), uses("one", ["sleep", time], "database")))
"""


@pytest.mark.parametrize("moment", ["initdb", "623"])
def test_when_podium_is_killed_nothing_of_its_run_is_left(moment, store, place):  # noqa: F811
    """It is killed while the database is made, and while a step uses it."""
    with subprocess.Popen([sys.executable, "-c", RUN, str(store)]) as owner:
        assert until(lambda: alive(moment))
        guards = psutil.Process(owner.pid).children()
        owner.send_signal(signal.SIGKILL)
    psutil.wait_procs(guards, timeout=60)
    assert left_in(place) == []
    assert until(lambda: not alive(str(place)) and not alive("623"))
    with Session.open(store) as session:
        assert [row.outcome for row in session.store.runs()] == [None]
