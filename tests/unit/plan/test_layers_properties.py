"""Whatever layers there are: plans keep needs and conflicts, also when they run, on virtual time."""

import copy
from itertools import combinations

import msgspec
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.plan.layers_planning import planned

from podium.events import AttemptFinished, AttemptStarted
from podium.executors.inline import InlineExecutor
from podium.executors.verdict import judge_layer
from podium.model.expressions import Cel
from podium.model.layers_graph import needed_by
from podium.model.layers_loading import load_layers_text
from podium.plan.layer_phases import phases_of
from podium.protocols import Finished, Work
from podium.testing.conducted import Conducted
from podium.testing.executors import Act

MODES = ["sequential", "parallel", "hybrid"]
EXECUTION = ["sequential", "waterfall", "waterfall_with_background", "parallel"]


@st.composite
def documents(draw):
    """Layers that need only earlier ones, with categories that do the same."""
    names = [f"l{n}" for n in range(draw(st.integers(1, 5)))]
    layers, categories = {}, []
    for position, name in enumerate(names):
        before = names[:position]
        own = []
        for number in range(draw(st.integers(1, 3))):
            category = {
                "name": f"{name}c{number}",
                "shell": "x",
                "priority": draw(st.integers(1, 3)),
                "parallel": draw(st.integers(1, 3)),
                "exclusive": draw(st.booleans()),
                "timeout": f"{draw(st.integers(10, 30))} s",
                "conflicts": draw(st.lists(st.sampled_from(categories), max_size=2, unique=True)) if categories else [],
                "needs": draw(st.lists(st.sampled_from(own), max_size=1)) if own else [],
            }
            own.append(category["name"])
            categories.append(category["name"])
            layers.setdefault(name, {"categories": []})["categories"].append(category)
        layers[name] |= {
            "mode": draw(st.sampled_from(MODES)),
            "budget": f"{draw(st.integers(100, 999))} s",
            "needs": draw(st.lists(st.sampled_from(before), max_size=2, unique=True)) if before else [],
            "conflicts": draw(st.lists(st.sampled_from(before), max_size=1)) if before else [],
            "order": draw(st.none() | st.integers(1, 3)),
            "background": draw(st.booleans()),
            "fail_fast": draw(st.sampled_from(["immediate", "category", "layer", "disabled"])),
            "environments": {"staging": {"budget": f"{draw(st.integers(1000, 1999))} s"}},
        }
        layers[name] = {key: value for key, value in layers[name].items() if value is not None}
    execution = {"mode": draw(st.sampled_from(EXECUTION)), "parallel": draw(st.integers(1, 4))}
    return {"kind": "layers", "layers": layers, "execution": execution}


def text_of(document):
    return yaml.safe_dump(document, sort_keys=False)


@settings(max_examples=30, deadline=None)
@given(documents(), st.data())
def test_a_selection_brings_all_that_it_needs_in_an_order_that_keeps_needs(document, data):
    layers = document["layers"]
    asked = data.draw(st.lists(st.sampled_from(list(layers)), min_size=1, unique=True))
    made = planned(text_of(document), layers=tuple(asked))
    every = {*asked}.union(*(needed_by(name, {n: layer["needs"] for n, layer in layers.items()}) for name in asked))
    ran = {step.name for step in made.plan.steps if step.work.kind == "verdict"}
    assert ran == every
    rank = {name: position for position, phase in enumerate(made.phases) for name in phase}
    assert {*rank, *made.background} == every
    for name, position in rank.items():
        assert all(rank[need] < position for need in layers[name]["needs"] if need in rank)
    for phase in made.phases:
        for one, other in combinations(phase, 2):
            assert other not in layers[one]["conflicts"]
            assert one not in layers[other]["conflicts"]
    if document["execution"]["mode"] != "parallel":
        assert all(len(phase) == 1 for phase in made.phases)


@settings(max_examples=30, deadline=None)
@given(documents(), st.sampled_from(["", "staging", "test"]))
def test_the_estimate_is_the_sum_of_the_longest_of_each_phase(document, environment):
    made = planned(text_of(document), environment=environment)

    def budget(name):
        layer = document["layers"][name]
        there = layer["environments"].get(environment, layer)
        return int(there["budget"].removesuffix(" s"))

    assert made.estimated_s == sum(max(budget(name) for name in phase) for phase in made.phases)


@settings(max_examples=20, deadline=None)
@given(documents())
def test_looking_and_planning_leave_the_document_as_it_is(document):
    loaded = load_layers_text(text_of(document))
    before = copy.deepcopy(loaded.placed.value)
    planned(loaded, environment="staging")
    planned(loaded)
    assert loaded.placed.value == before == document


def conducted(made, failures):
    """Run a plan with suites that come to one test each."""
    steps, script = [], {}
    for step in made.plan.steps:
        if step.work.kind in {"suite", "pytest"}:
            bad = step.name in failures
            report = Finished("failed" if bad else "passed", {"counts": {"failed" if bad else "passed": 1}, "total": 1})
            seconds = 1.0 + len(step.name) % 3
            script[step.name] = [Act(seconds, report=report)]
            steps.append(msgspec.structs.replace(step, work=Work("scripted")))
        elif step.work.kind == "verdict":
            steps.append(msgspec.structs.replace(step, work=msgspec.structs.replace(step.work, kind="value")))
        else:
            steps.append(step)
    plan = made.plan
    run = Conducted(steps, script, expressions=Cel(), slots=plan.slots, capacities=plan.capacities, groups=plan.groups)
    run.dispatcher._executors["value"] = InlineExecutor({"value": judge_layer})  # no step here is a plain value
    return run.run()


def intervals(run):
    begun, ended = {}, {}
    for event in run.events:
        if isinstance(event, AttemptStarted):
            begun[event.step] = event.at_us
        elif isinstance(event, AttemptFinished):
            ended[event.step] = event.at_us
    return {name: (begun[name], ended[name]) for name in begun}


def overlap(one, other):
    return one[0] < other[1] and other[0] < one[1]


@settings(max_examples=30, deadline=None)
@given(documents(), st.data())
def test_what_conflicts_never_runs_at_the_same_time_and_no_more_than_allowed_does(document, data):
    made = planned(text_of(document))
    suites = {step.name: step for step in made.plan.steps if step.work.kind == "suite"}
    failures = data.draw(st.sets(st.sampled_from(list(suites)), max_size=2))
    run = conducted(made, failures)
    ran = intervals(run)
    home = {name: name.split("/") for name in suites if name in ran}
    layers = document["layers"]
    by_name = {c["name"]: c for layer in layers.values() for c in layer["categories"]}
    for one, other in combinations(home, 2):
        (layer, category), (other_layer, other_category) = home[one], home[other]
        apart = (
            other_layer in layers[layer]["conflicts"]
            or layer in layers[other_layer]["conflicts"]
            or other_category in by_name[category]["conflicts"]
            or category in by_name[other_category]["conflicts"]
            or by_name[category]["exclusive"]
            or by_name[other_category]["exclusive"]
        )
        assert not (apart and overlap(ran[one], ran[other])), (one, other)
    for start, _ in ran.values():
        at_once = [name for name in home if ran[name][0] <= start < ran[name][1]]
        assert sum(suites[name].resources["parallel"] for name in at_once) <= document["execution"]["parallel"]
    for name, (layer, category) in home.items():
        for need in by_name[category]["needs"]:
            assert ran[f"{layer}/{need}"][1] <= ran[name][0]
            assert f"{layer}/{need}" not in failures
        for need in layers[layer]["needs"]:
            assert run.outcomes[need] == "passed"


@settings(max_examples=30, deadline=None)
@given(documents(), st.data())
def test_a_layer_passes_if_all_its_tests_do_and_not_otherwise(document, data):
    made = planned(text_of(document))
    suites = [step.name for step in made.plan.steps if step.work.kind == "suite"]
    failures = data.draw(st.sets(st.sampled_from(suites), max_size=2))
    run = conducted(made, failures)
    for name in document["layers"]:
        names = [f"{name}/{c['name']}" for c in document["layers"][name]["categories"]]
        if any(category in intervals(run) for category in names):
            assert (run.outcomes[name] == "passed") == failures.isdisjoint(names)
        else:
            assert run.outcomes[name] == "skipped"


@given(st.integers(1, 12), st.data())
def test_phases_keep_what_comes_before_and_are_as_early_as_can_be(count, data):
    names = [str(n) for n in range(count)]
    before = {
        name: set(data.draw(st.lists(st.sampled_from(names[:n]), max_size=3)) if n else [])
        for n, name in enumerate(names)
    }
    phases = phases_of(names, before)
    rank = {name: position for position, phase in enumerate(phases) for name in phase}
    assert sorted(rank) == sorted(names)
    for name in names:
        assert rank[name] == 1 + max((rank[other] for other in before.get(name, ())), default=-1)
