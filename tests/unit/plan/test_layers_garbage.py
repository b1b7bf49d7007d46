"""Files with a mistake anywhere: either they are planned, or every finding has a code, a place and a hint."""

import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.plan.layers_planning import DOCUMENTED, planned

from podium.errors import DocumentError, PodiumError
from podium.model.layers_loading import load_layers_text

NATIVE = """kind: layers
name: shop
layers:
  fast:
    budget: 2 min
    mode: hybrid
    parallel: 2
    priority: high
    fail_fast: category
    conflicts: [slow]
    categories:
      - {name: unit, priority: 1, timeout: 60 s, parallel: auto, pytest: {paths: [tests]}, tags: [a]}
      - {name: lint, command: [ruff, check], report: {format: exit_code}, needs: [unit], conflicts: [e2e]}
    environments:
      staging: {budget: 3 min, llm: {mode: real}}
  slow:
    needs: [fast]
    background: true
    services: [db]
    success: {min_pass_rate: 0.9, critical: [x]}
    categories:
      - {name: e2e, shell: make e2e, shards: 2, min_memory: 1 MB, limits: {memory: 1 GB, cpu: 50 %}}
services:
  db: {image: pg, ports: {db: 5432}, health: {tcp: "localhost:${port}"}, needs: [net], mocks: {A: b}}
  net: {running: true, health: "localhost:1"}
environments:
  staging: {real_services: true, env: {A: b}, services: {net: {health: "x:2"}}}
modes: {quick: [fast], long: {layers: [slow], budget: 3 s}}
defaults: {retries: 1, early_end: {consecutive: 3}}
execution: {mode: waterfall, budget: 1 h, delay: 1 s, memory: 2 GB, max_background: 1}
quarantine: [{test: "x::*", until: "2030-01-01"}]
"""
SOURCES = {
    "native": yaml.safe_load(NATIVE),
    **{path.stem: yaml.safe_load(path.read_text()) for path in sorted(Path(DOCUMENTED).glob("*.yaml"))},
}
GARBAGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**20),
    st.floats(allow_nan=True, allow_infinity=True) | st.just(1e300),
    st.sampled_from(["", "x", "unit", "fast", "e2e", "1 s", "-1 s", "${", "a/b", "9" * 30, "localhost:99999", "é"]),
    st.lists(st.sampled_from(["x", 1, None]), max_size=2),
    st.dictionaries(st.sampled_from(["name", "x", "mode"]), st.sampled_from(["x", 1, None]), max_size=2),
)


def paths(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*path, key))


def changed(document, path, value):
    document = copy.deepcopy(document)
    inner = document
    for part in path[:-1]:
        inner = inner[part]
    if isinstance(inner, dict) and isinstance(value, str) and value == "x":
        inner[f"{path[-1]}x"] = inner.pop(path[-1])
    else:
        inner[path[-1]] = value
    return document


def found_in(text):
    """Return what reading and planning find."""
    try:
        loaded = load_layers_text(text)
    except DocumentError as error:
        return error.diagnostics, ()
    further = []
    for environment in ("", "staging"):
        try:
            planned(loaded, environment=environment)
        except PodiumError as error:
            further += error.diagnostics
    return loaded.warnings, further


@pytest.mark.parametrize("source", SOURCES)
def test_the_sources_are_planned_as_they_stand(source):
    if source != "execution":
        assert planned(yaml.safe_dump(SOURCES[source], sort_keys=False)).plan.steps


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(SOURCES)), st.data())
def test_a_mistake_anywhere_gives_findings_and_no_traceback(source, data):
    every = [path for path in paths(SOURCES[source]) if path]
    path, value = data.draw(st.sampled_from(every)), data.draw(GARBAGE)
    text = yaml.safe_dump(changed(SOURCES[source], path, value), sort_keys=False, allow_unicode=True)
    findings, further = found_in(text)
    for finding in (*findings, *further):
        assert finding.hint, finding
    assert all(finding.span is not None for finding in findings)
