"""What layers, categories and services become in a plan."""

import sys
from pathlib import Path

import msgspec
import pytest
from tests.unit.plan.layers_planning import DOCUMENTED, Found, found_nowhere, native, needs, new, planned, step

from podium.errors import NothingSelectedError, PlanError
from podium.model.expressions import Cel
from podium.model.layers_loading import load_layers, load_layers_text
from podium.plan.graph import Plan
from podium.plan.layers import plan_layers
from podium.plan.services import Health, Service
from podium.plan.suites import CommandSuite, Criteria, Limits, PytestSuite, Selection, SharedLimits

LAYERS = load_layers(DOCUMENTED / "test_layers.yaml")


def suite(made, name, kind=PytestSuite):
    return msgspec.convert(step(made, name).work.payload, kind)


# Categories


def test_pytest_gets_all_that_its_category_says():
    text = native(
        "  a:\n    limits: {memory: 2 GiB, cpu: 80 %}\n    env: {X: layer, Y: layer}\n    categories:\n"
        "      - name: c\n        timeout: 60 s\n        test_timeout: 5 s\n        retries: 2\n        parallel: 3\n"
        "        limits: {memory: 1 GiB, processes: 9}\n        success: {max_failures: 2}\n        env: {X: own}\n"
        "        tags: [db, slow]\n        expected: 20 s\n"
        "        pytest: {paths: [t], markers: m, keyword: k, include: [i], exclude: [e], args: [-v], python: p,\n"
        "                 fork: false, cwd: backend}\n",
        "quarantine: [{test: 't::*', until: '2030-01-01', reason: moves}]\n",
    )
    made = planned(text)
    got = suite(made, "a/c")
    assert got == PytestSuite(
        cwd="backend",
        origin="backend",
        env={"X": "own", "Y": "layer"},
        timeout=5.0,
        retries=2,
        criteria=Criteria(min_pass_rate=0.0, max_failures=2),
        limits=Limits(memory=2**30, processes=9, shared=SharedLimits("layer `a`", memory=2**31, cpu=0.8)),
        quarantine=got.quarantine,
        python="p",
        paths=("t",),
        include=("i",),
        exclude=("e",),
        markers="m",
        keyword="k",
        args=("-v",),
        workers=3,
        fork=False,
    )
    assert [(q.test, q.until, q.reason) for q in got.quarantine] == [("t::*", "2030-01-01", "moves")]
    assert step(made, "a/c").policy.timeout == 60
    assert step(made, "a/c").expected == 20
    assert step(made, "a/c").labels == {"layer": "a", "category": "c", "tags": "db,slow"}
    assert step(made, "a/c").allow_failure
    assert step(made, "a/c").group == "a"


def test_categories_of_a_layer_share_its_limits_and_have_their_own():
    text = native(
        "  a:\n    limits: {memory: 2 GiB, cpu: 100 %}\n    categories:\n"
        "      - {name: c, shards: 2, shell: x, limits: {memory: 1 GiB}}\n      - {name: d, shell: x}\n"
        "  b: {limits: {cpu: 100 %}, categories: [{name: e, shell: x, limits: {cpu: 90 %}}]}\n",
        "execution: {cpu: 60 %}\n",
    )
    made = planned(text)
    shared = SharedLimits("layer `a`", memory=2**31)
    own = Limits(memory=2**30, cpu=0.6, shared=shared)
    assert [suite(made, name, CommandSuite).limits for name in ("a/c/1", "a/c/2")] == [own, own]
    assert suite(made, "a/d", CommandSuite).limits == Limits(cpu=0.6, shared=shared)
    assert suite(made, "b/e", CommandSuite).limits == Limits(cpu=0.6)


def test_a_command_and_a_line_for_the_shell_say_where_their_results_are():
    made = planned(
        native(
            "  a:\n    categories:\n"
            "      - {name: c, command: [npx, jest], cwd: web, exit_codes: [0, 5],\n"
            "         report: {format: junit, path: r.xml}}\n"
            "      - {name: d, shell: make check}\n"
        )
    )
    assert suite(made, "a/c", CommandSuite) == CommandSuite(
        cwd="web", origin="web", argv=("npx", "jest"), report="junit", report_path="r.xml", exit_codes=(0, 5)
    )
    assert suite(made, "a/d", CommandSuite) == CommandSuite(shell="make check")


def test_scenarios_are_run_by_podium_itself():
    made = planned(native("  a: {categories: [{name: c, run: scenarios}]}\n"))
    got = suite(made, "a/c", CommandSuite)
    report = ".podium/reports/a.c.xml"
    assert got.argv == ("podium", "run", "scenarios", "--junit", report)
    assert (got.report, got.report_path) == ("junit", report)


def test_by_default_scenarios_are_run_by_this_podium():
    loaded = load_layers_text(native("  a: {categories: [{name: c, run: scenarios}]}\n"))
    made = plan_layers(loaded, project=Path("/project"))
    assert suite(made, "a/c", CommandSuite).argv[:4] == (sys.executable, "-m", "podium", "run")


def test_shards_are_steps_that_know_their_number():
    made = planned(
        native(
            '  a: {categories: [{name: c, shards: 2, command: [x, "--shard=${shard}/${shards}"]},'
            " {name: d, shell: y, needs: [c]}]}\n"
        )
    )
    second = suite(made, "a/c/2", CommandSuite)
    assert second.argv == ("x", "--shard=2/2")
    assert second.env == {"PODIUM_SHARD": "2", "PODIUM_SHARDS": "2"}
    assert second.selection == Selection(shard=(2, 2))
    assert needs(made, "a/d") == {"a/c/1": "only_passed", "a/c/2": "only_passed"}
    assert list(step(made, "a").work.payload["outcomes"]) == ["c/1", "c/2", "d"]


def test_a_runner_that_is_found_gets_filters_unless_it_is_narrow_already():
    asked = []

    def find(name, project):
        asked.append((name, project))
        return Found("pytest", PytestSuite(paths=("tests/a",) if name == "c" else ()), "x")

    text = native(
        "  a: {categories: [{name: c, filters: {include: [i], exclude: [e]}},"
        " {name: d, filters: {include: [i], exclude: [e]}}]}\n"
    )
    made = planned(text, find=find)
    assert asked == [("c", Path("/project")), ("d", Path("/project"))]
    assert suite(made, "a/c") == PytestSuite(paths=("tests/a",), exclude=("e",))
    assert suite(made, "a/d") == PytestSuite(include=("i",), exclude=("e",))


def test_a_native_category_without_a_runner_is_an_error_at_its_place():
    with pytest.raises(PlanError) as caught:
        planned(native("  a: {categories: [{name: c}, {name: d}]}\n"), find=found_nowhere)
    first, second = caught.value.diagnostics
    assert (first.code, first.span.line, first.span.column, second.span.column) == ("P238", 3, 27, 38)
    assert first.hint


def test_a_documented_category_without_a_runner_is_left_out_with_a_warning():
    def only_unit(name, project):
        return Found("pytest", PytestSuite(), "x") if name == "unit" else None

    made = planned(LAYERS, find=only_unit, mode="commit")
    assert [s.name for s in made.plan.steps] == ["fast_feedback/unit", "fast_feedback"]
    assert next(line for line in new(made, LAYERS) if line.startswith("P238")) == (
        "P238 nothing in the project looks like the tests of `fast_feedback/smoke`, so it is not run"
    )
    with pytest.raises(NothingSelectedError, match="no valid layers selected"):
        planned(LAYERS, find=found_nowhere)


# What the command line says


def test_the_command_line_is_stronger_than_the_document():
    text = native(
        "  a: {parallel: 4, categories: [{name: c, retries: 2, test_timeout: 5 s, pytest: {keyword: k, python: p}}]}\n"
    )
    made = planned(
        text,
        retries=0,
        test_timeout=1.0,
        workers=3,
        pattern="login",
        python="q",
        fork=False,
        pytest_args=("--no-cov",),
        env=(("A", "b"),),
        changed=True,
        since="main",
        repeat=3,
        until_fail=True,
        only=("x",),
        max_failures=7,
    )
    got = suite(made, "a/c")
    assert (got.retries, got.timeout, got.workers, got.keyword) == (0, 1.0, 3, "(k) and (login)")
    assert got.narrowed == "-k login"
    assert (got.python, got.fork, got.args, got.env) == ("q", False, ("--no-cov",), {"A": "b"})
    assert got.selection == Selection(("x",), changed=True, since="main", repeat=3, until_fail=True)
    assert got.max_failures == 7


@pytest.mark.parametrize("pattern", ["tests/login/*", "*login*", "test_login.py"])
def test_a_pattern_of_paths_selects_files(pattern):
    got = suite(planned(native("  a: {categories: [{name: c, pytest: {keyword: k}}]}\n"), pattern=pattern), "a/c")
    assert (got.include, got.keyword, got.narrowed) == ((pattern,), "k", f"-k {pattern}")


def test_a_pattern_that_does_nothing_is_told():
    made = planned(native("  a: {categories: [{name: c, shell: x}]}\n"), pattern="login")
    (warning,) = made.warnings
    assert (warning.code, warning.span.line, warning.span.column) == ("P240", 3, 27)


def test_a_time_budget_is_shared_by_how_long_phases_take():
    text = native(
        "  a:\n    mode: sequential\n"
        "    categories: [{name: c, expected: 30 s, shell: x}, {name: d, expected: 10 s, shell: x}]\n"
        "  b: {needs: [a], categories: [{name: e, expected: 20 s, shell: x}, {name: f, expected: 5 s, shell: x}]}\n"
    )
    made = planned(text, budget=6.0)
    shares = {name: suite(made, name, CommandSuite).selection.budget for name in ("a/c", "a/d", "b/e", "b/f")}
    assert shares == {"a/c": 3.0, "a/d": 1.0, "b/e": 2.0, "b/f": 2.0}


# Order


def test_categories_follow_by_priority_as_the_mode_says():
    categories = (
        "[{name: c, priority: 2, shell: x}, {name: d, priority: 1, shell: x}, {name: e, priority: 2, shell: x}]"
    )
    one_by_one = planned(native(f"  a: {{mode: sequential, categories: {categories}}}\n"))
    assert needs(one_by_one, "a/c") == {"a/d": "done"}
    assert needs(one_by_one, "a/e") == {"a/c": "done"}
    groups = planned(native(f"  a: {{mode: hybrid, categories: {categories}}}\n"))
    assert needs(groups, "a/d") == {}
    assert needs(groups, "a/c") == needs(groups, "a/e") == {"a/d": "done"}
    at_once = planned(native(f"  a: {{categories: {categories}}}\n"))
    assert [needs(at_once, f"a/{name}") for name in "cde"] == [{}, {}, {}]
    assert needs(at_once, "a") == {"a/c": "done", "a/d": "done", "a/e": "done"}


@pytest.mark.parametrize("mode", ["sequential", "hybrid"])
def test_what_a_category_needs_is_stronger_than_priority(mode):
    categories = "[{name: c, priority: 1, shell: x, needs: [d]}, {name: d, priority: 2, shell: x}]"
    made = planned(native(f"  a: {{mode: {mode}, categories: {categories}}}\n"))
    assert needs(made, "a/c")["a/d"] == "only_passed"
    assert needs(made, "a/d") == {}
    assert step(made, "a/c").when == ""


LIST = "  a: {categories: [{name: c, shell: x}]}\n  b: {order: 1, categories: [{name: d, shell: x}]}\n"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("parallel", {}), ("sequential", {"b": "done"}), ("waterfall", {"b": "passed"})],
)
def test_layers_follow_each_other_as_the_execution_says(mode, expected):
    made = planned(native(LIST, f"execution: {{mode: {mode}}}\n"))
    assert needs(made, "a/c") == expected
    assert made.phases == ((("b", "a"),) if mode == "parallel" else (("b",), ("a",)))


def test_a_layer_that_disables_failing_fast_does_not_hold_up_a_waterfall():
    text = native(LIST.replace("order: 1,", "order: 1, fail_fast: false,"), "execution: {mode: waterfall}\n")
    assert needs(planned(text), "a/c") == {"b": "done"}


def test_a_background_layer_does_not_hold_up_a_waterfall():
    text = native(
        LIST.replace("order: 1,", "order: 1, background: true,"), "execution: {mode: waterfall_with_background}\n"
    )
    made = planned(text)
    assert needs(made, "a/c") == {}
    assert (made.phases, made.background) == ((("a",),), ("b",))


def test_a_pause_is_a_step_of_its_own_before_layers_that_follow():
    made = planned(native(LIST, "execution: {mode: waterfall, delay: 5 s}\n"))
    pause = step(made, "delay/a")
    assert (pause.work.kind, pause.work.payload, pause.slots) == ("wait", {"seconds": 5.0}, 0)
    assert needs(made, "delay/a") == {"b": "passed"}
    assert needs(made, "a/c") == {"delay/a": "passed"}
    assert "delay/b" not in [s.name for s in made.plan.steps]


def test_a_layer_is_left_out_if_what_it_needs_did_not_pass():
    made = planned(
        native("  a: {categories: [{name: c, shell: x}]}\n  b: {needs: [a], categories: [{name: d, shell: x}]}\n")
    )
    assert needs(made, "b/d") == {"a": "passed"}
    assert needs(made, "b") == {"b/d": "done", "a": "passed"}


def test_layers_that_conflict_are_in_different_phases_and_wait_for_each_other():
    made = planned(
        native("  a: {conflicts: [b], categories: [{name: c, shell: x}]}\n  b: {categories: [{name: d, shell: x}]}\n")
    )
    assert made.phases == (("a",), ("b",))
    assert needs(made, "b/d") == {"a": "done"}


def test_at_most_so_many_layers_run_at_once():
    layers = "".join(f"  l{n}: {{categories: [{{name: c{n}, shell: x}}]}}\n" for n in range(5))
    made = planned(native(layers), layers_at_once=2)
    assert made.phases == (("l0", "l1"), ("l2", "l3"), ("l4",))
    assert needs(made, "l4/c4") == {"l2": "done", "l3": "done"}


def test_background_layers_are_at_most_so_many_at_once():
    layers = "".join(f"  l{n}: {{background: {n > 0}, categories: [{{name: c{n}, shell: x}}]}}\n" for n in range(3))
    made = planned(native(layers.replace("True", "true").replace("False", "false"), "execution: {max_background: 1}\n"))
    assert made.background == ("l1", "l2")
    assert needs(made, "l2/c2") == {"l1": "done"}


# What is shared


def test_worker_processes_are_limited_by_layer_and_run():
    text = native(
        "  a: {parallel: 3, categories: [{name: c, parallel: 9, pytest: {}}, {name: d, parallel: auto, pytest: {}},"
        " {name: e, pytest: {workers: 2}}, {name: f, pytest: {}}, {name: g, exclusive: true, pytest: {}}]}\n",
        "execution: {parallel: 8}\n",
    )
    made = planned(text)
    assert made.plan.slots == 8
    assert made.plan.capacities == {"parallel": 8.0, "layer:a": 3.0}
    assert [suite(made, f"a/{name}").workers for name in "cdefg"] == [3, 3, 2, 1, 1]
    assert step(made, "a/c").resources == {"parallel": 3.0, "layer:a": 3.0}
    assert step(made, "a/g").resources == {"parallel": 8.0, "layer:a": 1.0}
    assert planned(text, parallel=2).plan.capacities == {"parallel": 2.0, "layer:a": 2.0}


def test_memory_is_asked_for_within_what_there_is():
    text = native(
        "  a: {categories: [{name: c, min_memory: 3 GiB, shell: x}, {name: d, min_memory: 1 GiB, shell: x}]}\n",
        "execution: {memory: 2 GiB}\n",
    )
    made = planned(text)
    assert made.plan.capacities["memory"] == 2**31
    assert [step(made, f"a/{name}").resources["memory"] for name in "cd"] == [2**31, 2**30]


def test_categories_that_conflict_share_what_only_one_can_have():
    text = native(
        "  a:\n    categories: [{name: c, shell: x, conflicts: [d]}, {name: d, shell: x, shards: 3},"
        " {name: e, shell: x}]\n"
    )
    made = planned(text)
    assert made.plan.capacities["conflict:c+d"] == 3
    assert step(made, "a/c").resources["conflict:c+d"] == 3
    assert [step(made, f"a/d/{n}").resources["conflict:c+d"] for n in (1, 2, 3)] == [1, 1, 1]
    assert "conflict:c+d" not in step(made, "a/e").resources


def test_a_layer_that_conflicts_with_a_category_keeps_its_own_side_by_side():
    text = native(
        "  a: {conflicts: [load], categories: [{name: c, shell: x}, {name: d, shell: x}]}\n"
        "  b: {categories: [{name: load, shell: x}]}\n"
    )
    made = planned(text)
    assert made.plan.capacities["conflict:a+load"] == 2
    assert [step(made, name).resources["conflict:a+load"] for name in ("a/c", "a/d", "b/load")] == [1, 1, 2]


# Services and language models

SERVED = native(
    "  a: {categories: [{name: c, shell: x}]}\n"
    "  b: {needs: [a], categories: [{name: d, shell: 'echo ${HOME}', services: [db]}]}\n"
    "  e: {needs: [b], services: [db], categories: [{name: f, shell: y}]}\n",
    "services:\n"
    "  db: {image: 'pg:16', args: [-x], ports: {db: 5432}, env: {P: q}, exports: {URL: 'db://${port}'}, needs: [net],\n"
    "       health: {command: [ready], interval: 1 s}, startup_timeout: 9 s, mocks: {URL: fake}}\n"
    "  net: {compose: {file: c.yaml, service: net}, health: 'localhost:80/ok'}\n",
)


def test_a_service_is_a_step_that_lasts():
    made = planned(SERVED, real_services=True)
    db = step(made, "service/db")
    assert (db.role, db.slots, db.policy.timeout, db.work.kind, db.work.template) == (
        "service",
        0,
        9.0,
        "service",
        False,
    )
    assert msgspec.convert(db.work.payload, Service) == Service(
        "db",
        image="pg:16",
        command=("-x",),
        ports={"db": 5432},
        env={"P": "q"},
        exports={"URL": "db://${port}"},
        health=Health(command=("ready",), interval=1.0),
    )
    net = msgspec.convert(step(made, "service/net").work.payload, Service)
    assert (net.compose, net.compose_service, net.health) == ("c.yaml", "net", Health(http="http://localhost:80/ok"))
    assert step(made, "service/net").policy.timeout == 30
    assert made.services == ("net", "db")


def test_a_service_starts_no_earlier_than_what_all_its_users_need():
    made = planned(SERVED, real_services=True)
    assert needs(made, "service/db") == {"service/net": "passed", "a": "passed"}
    assert needs(made, "service/net") == {"a": "passed"}
    assert needs(made, "b/d") == {"a": "passed", "service/db": "passed"}


def test_what_a_service_hands_out_reaches_the_suites_that_require_it():
    made = planned(SERVED, real_services=True)
    work = step(made, "b/d").work
    assert work.template
    scope = {"steps": {"service/db": {"output": {"kind": "container", "env": {"URL": "db://7"}}, "outcome": None}}}
    rendered = msgspec.convert(Cel().render(work.payload, scope), CommandSuite)
    assert rendered.services == {"db": {"URL": "db://7"}}
    assert rendered.shell == "echo ${HOME}"
    assert Cel().steps_in(work.payload) == {"service/db"}


def test_a_service_with_mocks_is_replaced_unless_it_is_asked_for():
    made = planned(SERVED)
    assert [s.name for s in made.plan.steps if s.role == "service"] == []
    assert suite(made, "b/d", CommandSuite).env == {"URL": "fake"}
    assert not step(made, "b/d").work.template
    real = native(SERVED.split("layers:\n")[1].replace("services: [db]}", "services: [db], real_services: true}"))
    made = planned(real)
    assert [s.name for s in made.plan.steps if s.role == "service"] == ["service/net", "service/db"]
    assert step(made, "b/d").work.payload["env"] == {"TEST_REAL_SERVICES": "1"}
    assert suite(made, "e/f", CommandSuite).env == {"URL": "fake"}


def test_a_service_without_mocks_is_started_in_any_case():
    made = planned(SERVED.replace(", mocks: {URL: fake}", ""))
    assert made.services == ("net", "db")


def test_an_environment_may_ask_for_services_and_variables():
    text = (
        SERVED + "environments: {staging: {real_services: true, env: {ZONE: eu}, services: {net: {health: 'n:1'}}}}\n"
    )
    made = planned(text, environment="staging")
    env = suite(made, "a/c", CommandSuite).env
    assert env == {"TEST_ENVIRONMENT": "staging", "TEST_REAL_SERVICES": "1", "ZONE": "eu"}
    assert step(made, "service/net").work.payload["health"] == {"tcp": "n:1"}


def test_services_of_documented_files_are_looked_at_and_not_started():
    made = planned(LAYERS, mode="commit")
    redis = msgspec.convert(step(made, "service/redis").work.payload, Service)
    assert redis == Service(
        "redis", health=Health(tcp="localhost:6379"), exports={"REDIS_HOST": "localhost", "REDIS_PORT": "6379"}
    )
    backend = msgspec.convert(step(made, "service/backend_service").work.payload, Service)
    assert backend.health == Health(http="http://localhost:8000/health")


@pytest.mark.parametrize(
    ("said", "real_llm", "key", "expected"),
    [
        ("", False, True, None),
        ("", True, True, "real"),
        ("", True, False, "mock"),
        ("{mode: mock}", True, True, "mock"),
        ("{mode: real}", False, True, "mock"),
        ("{mode: real}", True, True, "real"),
        ("{mode: real}", True, False, "mock"),
        ("{mode: hybrid}", True, True, "hybrid"),
        ("{mode: real, fallback_to_mock: false}", False, True, "real"),
    ],
)
def test_tests_are_told_which_language_model_to_use(said, real_llm, key, expected):
    llm = f"llm: {said}, " if said else ""
    text = native(f"  a: {{{llm}categories: [{{name: c, shell: x}}]}}\n")
    made = planned(text, real_llm=real_llm, environ={"OPENAI_API_KEY": "k"} if key else {})
    assert suite(made, "a/c", CommandSuite).env.get("TEST_LLM_MODE") == expected
    told = [warning.code for warning in made.warnings]
    assert told == (["P244"] if real_llm and not key else [])


def test_a_model_that_nobody_declared_and_that_is_not_there_is_told_once():
    text = native(
        "  a: {categories: [{name: c, shell: x}, {name: d, shell: x}]}\n"
        "  b: {background: true, llm: {mode: real}, categories: [{name: e, shell: x}]}\n"
    )
    made = planned(text, real_llm=True, environ={}, background_apart=True)
    told = [warning.message.partition(" a mock")[0] for warning in made.warnings if warning.code == "P244"]
    assert sorted(told) == ["`b/e` uses", "tests that do not say which they need use"]


def test_a_model_that_must_be_real_needs_a_key():
    text = native(
        "  a: {llm: {mode: real, fallback_to_mock: false, keys: [MY_KEY]}, categories: [{name: c, shell: x}]}\n"
    )
    with pytest.raises(PlanError) as caught:
        planned(text)
    (error,) = caught.value.diagnostics
    assert (error.code, error.span.line) == ("P237", 3)
    assert "MY_KEY" in error.message
    assert suite(planned(text, environ={"MY_KEY": "k"}), "a/c", CommandSuite).env["TEST_LLM_MODE"] == "real"


def test_a_category_says_instead_of_its_layer_which_model_it_uses():
    text = native(
        "  a: {llm: {timeout: 9 s, fallback_to_mock: false}, categories: [{name: c, shell: x, llm: {mode: real}}]}\n"
    )
    env = suite(planned(text), "a/c", CommandSuite).env
    assert env == {"TEST_LLM_MODE": "real", "TEST_LLM_TIMEOUT": "9"}


def test_a_program_that_is_missing_is_told():
    text = native("  a: {categories: [{name: c, shell: x, programs: [surely-not-there]}]}\n")
    (warning,) = planned(text).warnings
    assert (warning.code, warning.span.line, warning.span.column) == ("P239", 3, 51)


# The plan as a whole


def test_a_plan_is_the_same_after_json():
    plan = planned(LAYERS, environment="staging").plan
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


def test_a_plan_says_what_was_asked_for():
    options = planned(LAYERS, mode="ci", retries=1).plan.options
    assert options["selection"] == {"mode": "ci", "retries": 1}
    assert options["folder"] == "/project"
    assert planned(LAYERS).plan.work == "layers"


def test_planning_leaves_the_document_as_it_is():
    before = LAYERS.document.model_dump_json()
    planned(LAYERS, environment="staging", retries=3, layers=("core_integration",))
    assert LAYERS.document.model_dump_json() == before
