"""What `plan_layers` tells of a document that can be planned, or not, for reasons outside the layers themselves."""

from datetime import date

import pytest

from podium.errors import PlanError
from podium.model.layers_loading import load_layers_text
from podium.plan.layers import plan_layers

TEXT = """\
kind: layers
layers:
  fast: {{services: [web], categories: [{{name: unit, command: ["true"], report: {{format: exit_code}}}}]}}
services:
  web: {{command: [serve, "{port}"], ports: {{http: 0}}}}
quarantine:
  - {{test: "*::test_mail", until: "2030-01-31", reason: mail server moves}}
"""


def test_an_excuse_that_is_over_is_a_warning_at_its_place(tmp_path):
    loaded = load_layers_text(TEXT.format(port="${port}"))
    assert plan_layers(loaded, project=tmp_path, today=date(2030, 1, 31)).warnings == ()
    (warning,) = plan_layers(loaded, project=tmp_path, today=date(2030, 2, 1)).warnings
    assert (warning.code, warning.severity, warning.span.line) == ("U453", "warning", 7)
    assert "mail server moves" in warning.message


def test_an_unknown_placeholder_of_a_service_is_an_error_at_its_place(tmp_path):
    with pytest.raises(PlanError) as caught:
        plan_layers(load_layers_text(TEXT.format(port="${prot}")), project=tmp_path, today=date(2030, 1, 1))
    (finding,) = caught.value.diagnostics
    assert finding.code == "E534"
    assert "${prot}" in finding.message
    assert finding.span.line == 5
