"""`podium serve` with real HTTP: starting, watching, ending, answering, many at once, and over restarts."""

import contextlib
import json
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest
from tests.e2e.workflow_runs import lines, until
from tests.processes import gone

WAITS = """\
kind: workflow
name: waits
inputs: {n: {type: integer, default: 1}}
outputs: {paid: "${steps.paid.output}", n: "${inputs.n}"}
steps:
  - {name: paid, wait: {signal: paid}}
  - {name: ok, needs: [paid], wait: {approval: Ship it?}}
  - {name: ship, needs: [ok], shell: "echo ship >> log", compensate: {shell: "echo undo >> log"}}
"""
SLEEPS = """\
kind: workflow
name: sleeps
inputs: {name: string, seconds: {type: number, default: 0.2}}
steps:
  - {name: a, shell: "echo begin ${inputs.name} >> log; sleep ${inputs.seconds}; echo end ${inputs.name} >> log"}
"""
HANGS = """\
kind: workflow
name: hangs
order: sequence
steps:
  - {name: a, shell: "echo a >> log", compensate: {shell: "echo undo-a >> log"}}
  - {name: b, shell: "sleep 63 & echo $! >> pids; sleep 64"}
teardown: [{name: end, shell: "echo end >> log"}]
"""
GUARDED = """\
kind: workflow
name: guarded
order: sequence
steps:
"""


def guarded(count):
    """Return a workflow of short steps: each says that it is called, and has one effect guarded by its key."""
    step = (
        '  - {{name: s{0}, shell: \'echo "$PODIUM_RUN {0}" >> calls; sleep 0.05; '
        'grep -qsx "$PODIUM_IDEMPOTENCY_KEY" log || echo "$PODIUM_IDEMPOTENCY_KEY" >> log\'}}\n'
    )
    return GUARDED + "".join(step.format(n) for n in range(count))


class Server:
    """A server and a client of it."""

    def __init__(self, podium, *options, **environment):
        self.process = podium.start("serve", "--port", "0", *options, **environment)
        said = self.process.stderr.readline()
        found = re.fullmatch(r"podium serves on (http://\S+); Ctrl-C stops it\n", said)
        assert found, said + self.process.stderr.read()
        self.url = found[1]
        self.client = httpx.Client(base_url=self.url, timeout=20)

    def post(self, path, body=None, *, code=202, **options):
        answer = self.client.post(path, content=b"" if body is None else json.dumps(body).encode(), **options)
        assert answer.status_code == code, answer.text
        return answer.json()

    def get(self, path, *, code=200, **options):
        answer = self.client.get(path, **options)
        assert answer.status_code == code, answer.text
        return answer.json()

    def begin(self, document, **inputs):
        return self.post("/workflows", {"document": document, "inputs": inputs})["run"]

    def state(self, run):
        return self.get(f"/runs/{run}")["state"]

    def comes_to(self, run, state):
        until(lambda: self.state(run) == state)

    def outcomes(self, run):
        return {step["name"]: step["outcome"] for step in self.get(f"/runs/{run}")["results"]}

    def stop(self, number=signal.SIGTERM, code=0):
        self.client.close()
        self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=30)
        assert self.process.returncode == code, errors
        assert output == ""
        assert "Traceback" not in errors, errors
        return errors

    def close(self):
        self.client.close()
        self.process.kill()
        self.process.communicate(timeout=30)


@pytest.fixture
def serving(podium, nothing_left):
    """Return a function that starts a server; in the end all are killed, and nothing of them is left."""
    servers = []

    def start(*options, **environment):
        servers.append(Server(podium, *options, **environment))
        return servers[-1]

    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [server.close() for server in servers])
        yield start
    assert all(nothing_left(server.process.pid) for server in servers)


@pytest.fixture(scope="module")
def shared(podium_in, tmp_path_factory, nothing_left_of):
    """One server for tests that do not disturb each other, with its folder."""
    podium = podium_in(tmp_path_factory.mktemp("served"))
    podium.write("waits.yaml", WAITS)
    server = Server(podium, "--worker", "first=3", "--worker", "second=5")
    server.podium = podium
    yield server
    server.stop()
    assert nothing_left_of(server.process.pid)


@pytest.fixture(scope="module")
def nothing_left_of():
    def check(pid):
        label = f"{pid}:"
        mine = [p for p in psutil.process_iter() if p.pid != pid and _owner(p).startswith(label)]
        _, left = psutil.wait_procs(mine, timeout=10)
        return not left

    return check


def _owner(process):
    try:
        return process.environ().get("PODIUM_OWNER", "")
    except (psutil.Error, OSError):
        return ""


# One workflow


def test_a_document_named_by_its_path_runs_to_its_end_with_a_signal_and_an_approval(shared):
    begun = shared.post("/workflows", {"path": "waits.yaml", "inputs": {"n": 4}})
    run = begun["run"]
    assert begun["warnings"] == []
    shared.comes_to(run, "running")
    assert shared.post(f"/runs/{run}/signals/paid", {"receipt": 7}) == {"run": run}
    shared.post(f"/runs/{run}/approvals/ok", {"comment": "go"}, headers={"X-Podium-User": "ada"})
    shared.comes_to(run, "passed")
    assert shared.get(f"/runs/{run}")["output"] == {"paid": {"receipt": 7}, "n": 4}
    events = shared.podium("replay", run, "--format", "jsonl").events
    told = [(event["name"], event["who"]) for event in events if event["kind"] == "signal_received"]
    assert told == [("paid", "http from 127.0.0.1"), ("approve:ok", "ada over http")], "each once"
    finished = {event["step"]: event for event in events if event["kind"] == "attempt_finished"}
    assert finished["ok"]["output"]["who"] == "ada over http"


def test_a_document_in_the_body_runs(shared):
    run = shared.begin("kind: workflow\nname: given\nsteps: [{name: a, command: [pwd]}]\n")
    shared.comes_to(run, "passed")
    (step,) = shared.get(f"/runs/{run}")["results"]
    assert (step["name"], step["output"]) == ("a", str(shared.podium.folder.resolve()))
    assert shared.podium("show", run, "a").output.startswith("step")


def test_a_rejected_approval_fails_the_run(shared):
    run = shared.post("/workflows", {"path": "waits.yaml"})["run"]
    shared.post(f"/runs/{run}/approvals/ok", {"approved": False, "comment": "no"})
    shared.post(f"/runs/{run}/signals/paid")
    shared.comes_to(run, "failed")
    assert shared.outcomes(run) == {"paid": "passed", "ok": "failed", "ship": "skipped"}


def test_the_command_line_reaches_the_runs_of_a_server(shared):
    run = shared.post("/workflows", {"path": "waits.yaml"})["run"]
    shared.comes_to(run, "running")
    assert "it waits for the signal" in shared.podium("why", run, "paid").output
    assert shared.podium("signal", run, "paid", "--payload", "5").errors == ""
    assert shared.podium("approve", run, "ok").errors == ""
    shared.comes_to(run, "passed")


def test_runs_are_listed_by_state_and_name_newest_first(shared):
    runs = [shared.begin(WAITS.replace("name: waits", "name: listed")) for _ in range(2)]
    shared.post(f"/runs/{runs[0]}/cancel")
    shared.comes_to(runs[0], "cancelled")
    until(lambda: [row["id"] for row in shared.get("/runs?name=listed&state=running")] == runs[1:])
    assert [row["id"] for row in shared.get("/runs?name=listed")] == runs[::-1]
    assert [row["id"] for row in shared.get("/runs?name=listed&limit=1")] == runs[1:]
    assert shared.get("/runs?state=nonsense") == []
    shared.post(f"/runs/{runs[1]}/cancel", {"why": "enough"})
    shared.comes_to(runs[1], "cancelled")
    assert {row["reason"] for row in shared.get(f"/runs/{runs[1]}")["results"]} == {"enough"}


def test_a_run_that_is_cancelled_is_undone_unless_told_otherwise_or_killed(shared):
    folder = shared.podium
    bodies = ({"why": "late"}, {"compensate": False}, {"force": True, "compensate": False})
    expected = [("compensated", ["a", "undo-a", "end"]), ("cancelled", ["a", "end"]), ("cancelled", ["a"])]
    for number, (body, (state, log)) in enumerate(zip(bodies, expected, strict=True)):
        run = shared.begin(HANGS.replace("log", f"log{number}").replace("pids", f"pids{number}"))
        until(lambda: lines(folder, f"pids{number}"))  # noqa: B023 (called at once)
        shared.post(f"/runs/{run}/cancel", body)
        shared.comes_to(run, state)
        assert lines(folder, f"log{number}") == log
        assert all(gone(pid) for pid in lines(folder, f"pids{number}"))


@pytest.mark.parametrize(
    ("request_", "body", "status", "code"),
    [
        ("POST /workflows", "{", 400, "U400"),
        ("POST /workflows", "[]", 400, "U400"),
        ("POST /workflows", "\udcff", 400, "U400"),
        ("POST /workflows", "{}", 400, "U400"),
        ("POST /workflows", '{"pfad": "x"}', 400, "U400"),
        ("POST /workflows", '{"path": "waits.yaml", "document": ""}', 400, "U400"),
        ("POST /workflows", '{"path": "none.yaml"}', 400, "U400"),
        ("POST /workflows", '{"path": "../../../etc/passwd"}', 400, "U400"),
        ("POST /workflows", '{"path": "a\\u0000b"}', 400, "U400"),
        ("POST /workflows", '{"document": ""}', 422, "D"),
        ("POST /workflows", '{"path": "waits.yaml", "inputs": {"n": "x"}}', 422, "P"),
        ("GET /runs/nope", None, 404, "U411"),
        ("POST /runs/nope/cancel", None, 404, "U411"),
        ("POST /runs/nope/signals/s", None, 404, "U411"),
        ("GET /runs?limit=x", None, 400, "U400"),
        ("GET /runs?limit=99999999999999999999", None, 400, "U400"),
        ("PUT /workers/third", '{"capacity": 0}', 400, "U400"),
        ("PUT /workers/third", "{}", 400, "U400"),
        ("PUT /workers/first", '{"capacity": 1}', 400, "U400"),
        ("DELETE /workers/nobody", None, 404, "U419"),
    ],
)
def test_a_mistake_is_answered_as_json_with_its_status(shared, request_, body, status, code):
    content = None if body is None else body.encode("utf-8", "surrogateescape")
    answer = shared.client.request(*request_.split(), content=content)
    assert answer.status_code == status, answer.text
    errors = answer.json()["errors"]
    assert errors[0]["code"].startswith(code), errors
    assert errors[0]["message"]


def test_all_mistakes_of_a_document_are_answered_with_their_places(shared):
    document = "kind: workflow\nname: w\nsteps:\n  - {name: a, needs: [x], value: 1}\n  - {name: b}\n"
    before = len(shared.get("/runs?limit=1000"))
    errors = shared.post("/workflows", {"document": document}, code=422)["errors"]
    places = [(error["place"]["line"], error["place"]["column"]) for error in errors]
    assert places == [(4, 23), (5, 5)]
    assert all(error["code"] and error["message"] and error["hint"] for error in errors)
    assert len(shared.get("/runs?limit=1000")) == before


def test_a_finished_run_hears_nothing_more(shared):
    run = shared.begin("kind: workflow\nname: w\nsteps: [{name: a, value: 1}]\n")
    shared.comes_to(run, "passed")
    for path in ("cancel", "signals/x", "approvals/a"):
        assert shared.post(f"/runs/{run}/{path}", code=409)["errors"][0]["code"] == "U415"


def test_unknown_paths_and_methods_and_bodies_that_are_too_large_are_refused(shared):
    for method, path, status in (("GET", "/nonsense", 404), ("DELETE", "/runs", 405)):
        answer = shared.client.request(method, path)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, "U400")
    answer = shared.client.post("/workflows", content=b'{"document": "' + b"x" * (5 << 20) + b'"}')
    assert answer.status_code in (400, 413)
    assert "larger than" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:80"}, 403),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1", "Host": "localhost:1"}, 200),
    ],
)
def test_web_pages_of_others_cannot_reach_the_server(shared, headers, status):
    answer = shared.client.get("/health", headers=headers)
    assert answer.status_code == status
    assert status == 200 or answer.json()["errors"][0]["code"] == "U417"


def test_an_answer_is_not_held_back(shared):
    shared.get("/health")
    took = []
    for _ in range(10):
        began = time.monotonic()
        shared.get("/health")
        took.append(time.monotonic() - began)
    assert min(took) < 0.03, "40 ms are a delayed acknowledgement"


def test_workers_come_and_go(shared):
    states = shared.get("/workers")
    assert {name: worker["capacity"] for name, worker in states["workers"].items()} == {"first": 3, "second": 5}
    answer = shared.client.put("/workers/third", json={"capacity": 2})
    assert answer.json()["workers"]["third"] == {"capacity": 2, "healthy": True, "workflows": []}
    runs = [shared.post("/workflows", {"path": "waits.yaml"})["run"] for _ in range(10)]
    until(lambda: shared.get("/health") == {"running": 10, "queued": 0})
    assert all(len(w["workflows"]) == w["capacity"] for w in shared.get("/workers")["workers"].values())

    moved = shared.client.delete("/workers/third").json()["moved"]
    assert len(moved) == 2
    for run in runs:
        shared.post(f"/runs/{run}/signals/paid")
        shared.post(f"/runs/{run}/approvals/ok")
    for run in runs:
        shared.comes_to(run, "passed")
    assert set(shared.get("/workers")["workers"]) == {"first", "second"}


# Who may


def test_with_a_token_nobody_gets_in_without_it(serving, podium):
    server = serving(PODIUM_TOKEN="s3crét")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cr"}):
        assert server.get("/health", code=401, headers=headers)["errors"][0]["code"] == "U417"
    given = {"Authorization": "Bearer s3crét".encode()}
    assert server.get("/health", headers=given) == {"running": 0, "queued": 0}
    assert server.client.put("/workers/new", json={"capacity": 1}, headers=given).status_code == 200


def test_the_server_is_refused_where_it_cannot_or_must_not_listen(shared, podium):
    assert "others" in podium.refused("serve", "--host", "0.0.0.0", error="U418")
    port = shared.url.rpartition(":")[2]
    assert "cannot listen" in podium.refused("serve", "--port", port, code=5, error="E520")
    assert "NAME=CAPACITY" in podium.refused("serve", "--worker", "a=0", error="U400")


# Many at once


def most_at_once(log):
    running = most = 0
    for line in log:
        running += 1 if line.startswith("begin") else -1
        most = max(most, running)
    return most


def test_no_more_workflows_run_than_allowed_and_no_name_waits_behind_the_whole_flood_of_another(serving, podium):
    server = serving("--max-concurrent-workflows", 2)
    flood = [server.begin(SLEEPS, name=f"flood{n}") for n in range(8)]
    other = server.begin(SLEEPS.replace("name: sleeps", "name: other"), name="other")
    begun = len([line for line in lines(podium) if line.startswith("begin")])
    assert server.get("/health")["running"] == 2
    assert len(server.get("/runs?state=queued")) > 3
    for run in (*flood, other):
        server.comes_to(run, "passed")
    assert len(lines(podium)) == 18
    assert most_at_once(lines(podium)) == 2
    assert [line for line in lines(podium) if line.startswith("begin")].index("begin other") <= begun + 1


def test_a_queued_run_that_is_cancelled_ends_without_waiting_for_its_turn(serving, podium):
    server = serving("--max-concurrent-workflows", 1)
    first = server.begin(SLEEPS, name="first", seconds=60)
    queued, told = server.begin(SLEEPS, name="queued"), server.begin(SLEEPS, name="told")
    assert server.state(queued) == "queued"
    server.post(f"/runs/{queued}/cancel", {"why": "no need"})
    podium("cancel", told, "--why", "no need either")
    for run in (queued, told):
        server.comes_to(run, "cancelled")
    assert server.state(first) == "running"
    assert lines(podium) == ["begin first"]
    (step,) = server.get(f"/runs/{queued}")["results"]
    assert (step["outcome"], step["attempts"], step["reason"]) == ("cancelled", 0, "no need")


def test_a_worker_that_leaves_ends_what_it_has_begun_and_its_runs_go_on_elsewhere(serving, podium):
    server = serving("--worker", "a=2")
    run = server.begin(SLEEPS, name="long", seconds=0.5)
    until(lambda: lines(podium))
    assert server.client.delete("/workers/a").status_code == 400, "the only one stays"
    server.client.put("/workers/b", json={"capacity": 2})
    assert server.client.delete("/workers/a").json() == {"moved": [run]}
    server.comes_to(run, "passed")
    assert lines(podium) == ["begin long", "end long"]


def test_a_request_that_is_not_answered_yet_does_not_keep_the_server_from_stopping(serving, podium):
    server = serving("--worker", "a=2", "--worker", "b=2", "--patience", "100ms")
    server.begin(SLEEPS, name="long", seconds=60)
    until(lambda: lines(podium))
    with ThreadPoolExecutor(1) as threads, httpx.Client(base_url=server.url, timeout=20) as client:
        leaving = threads.submit(client.delete, "/workers/a")
        until(lambda: "a" not in server.get("/workers")["workers"])
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)
        assert time.monotonic() - began < 10
        assert leaving.result().status_code == 503
        assert "Traceback" not in server.process.stderr.read()


# Over restarts


def test_a_server_that_is_asked_to_stop_leaves_nothing_and_the_next_one_goes_on(serving, podium):
    server = serving("--max-concurrent-workflows", 2)
    runs = [server.begin(guarded(6)) for _ in range(4)]
    waiting = server.begin(WAITS.replace("name: waits", "name: waiting"))
    server.post(f"/runs/{waiting}/signals/paid", 1)
    until(lambda: len(lines(podium, "calls")) >= 4)
    assert "podium stops" in server.stop()
    assert len(lines(podium, "calls")) == len(lines(podium)), "what was under way was ended"

    server = serving()
    server.comes_to(waiting, "running")
    server.post(f"/runs/{waiting}/approvals/ok")
    for run in (*runs, waiting):
        server.comes_to(run, "passed")
    calls = lines(podium, "calls")
    assert sorted(calls) == sorted(f"{run} {n}" for run in runs for n in range(6)), "each step once"
    assert server.get(f"/runs/{waiting}")["output"]["paid"] == 1
    told = [e for e in podium("replay", waiting, "--format", "jsonl").events if e["kind"] == "signal_received"]
    assert [event["name"] for event in told] == ["paid", "approve:ok"], "each once"


def test_a_server_does_not_wait_longer_than_its_patience_for_steps(serving, podium, nothing_left):
    server = serving("--patience", "100ms")
    run = server.begin(HANGS)
    until(lambda: lines(podium, "pids"))
    began = time.monotonic()
    server.stop(signal.SIGINT)
    assert time.monotonic() - began < 5
    assert nothing_left(server.process.pid)
    assert all(gone(pid) for pid in lines(podium, "pids"))
    server = serving()
    until(lambda: len(lines(podium, "pids")) == 2)
    server.post(f"/runs/{run}/cancel")
    server.comes_to(run, "compensated")
    assert lines(podium) == ["a", "undo-a", "end"]


def test_a_server_that_is_killed_at_any_moment_loses_and_repeats_nothing(serving, podium, nothing_left):
    server = serving("--max-concurrent-workflows", 3)
    runs = [server.begin(guarded(5)) for _ in range(5)]
    kills = 0
    for more in (1, 6, 4):
        before = len(lines(podium, "calls"))
        until(lambda: len(lines(podium, "calls")) >= before + more)  # noqa: B023 (called at once)
        server.close()
        kills += 1
        assert nothing_left(server.process.pid)
        server = serving("--max-concurrent-workflows", 3)
    for run in runs:
        server.comes_to(run, "passed")
    assert sorted(lines(podium)) == sorted(f"{run}:s{n}" for run in runs for n in range(5)), "each effect once"
    assert len(lines(podium, "calls")) <= len(lines(podium)) + 3 * kills, "only what was under way was begun again"
