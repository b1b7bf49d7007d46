"""A native scenario without a mistake, and what is said of it when something in it is changed."""

import pytest

from podium.errors import DocumentError
from podium.model.loading import load_mapped
from podium.model.yaml_loader import load_yaml

RIGHT = """\
kind: scenario
name: probe
duration: 10 min
nodes:
  SAT1: {type: satellite, neighbours: [SAT2]}
  SAT2: {type: satellite}
  HUB: {type: gateway}
  METER: {type: sensor, to: HUB}
network:
  links:
    - {from: SAT1, to: SAT2, loss: 2 %}
faults:
  - {type: thermal_runaway, node: SAT1, at: 60 s, for: 2 min}
criteria:
  - always: SAT1.battery.soc > 40 %
"""
CONDITION = "SAT1.battery.soc > 40 %"
NODE = "SAT2: {type: satellite"
RULE = "nodes:", "recovery: {rules: [{fault: thermal_runaway, when: battery.soc < 10 %}]}\nnodes:"


def load(text):
    return load_mapped(load_yaml(text, "f.yaml"), {})


def changed(*pairs):
    text = RIGHT
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        assert old in text
        text = text.replace(old, new, 1)
    return text


def all_wrong(text):
    with pytest.raises(DocumentError) as caught:
        load(text)
    return caught.value.diagnostics


def wrong(*pairs):
    """Return the one error that a change makes, as `CODE LINE:COLUMN MESSAGE`, and its hint."""
    text = changed(*pairs)
    (error,) = all_wrong(text)
    assert error.severity == "error"
    assert error.span.path == "f.yaml"
    assert error.span.text == text.splitlines()[error.span.line - 1]
    return f"{error.code} {error.span.line}:{error.span.column} {error.message}", error.hint
