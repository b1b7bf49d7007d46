"""What a plan tells of services that cannot be what they say."""

import pytest

from podium.errors import PlanError
from podium.model.layers_loading import load_layers_text
from podium.plan.layers import plan_layers

HEAD = 'kind: layers\nlayers: {a: {services: [s], categories: [{name: c, shell: "true"}]}}\n'


def planned(service, folder):
    return plan_layers(load_layers_text(f"{HEAD}services: {{s: {service}}}\n"), project=folder)


@pytest.mark.parametrize(
    ("service", "place", "unknown", "hint"),
    [
        (
            '{ports: {http: 0}, command: [x, "${prot}"]}',
            "[x",
            "`${prot}` in `command` of service `s`; there are: `${port}`, `${port.http}`, `${folder}`",
            "write `$${` for a plain `${`",
        ),
        (
            '{image: x, ports: {http: 80}, args: ["${port.htpp}"]}',
            "[",
            "`${port.htpp}` in `args` of service `s`; there are: `${port}`, `${port.http}`, `${folder}`",
            "write `$${` for a plain `${`",
        ),
        (
            '{command: [x], health: "localhost:${port}"}',
            '"localhost',
            "`${port}` in `health` of service `s`; there are: `${folder}`",
            "give the service a port, such as ports: {http: 0}",
        ),
    ],
)
def test_a_placeholder_is_told_where_it_stands_with_a_way_out(tmp_path, service, place, unknown, hint):
    with pytest.raises(PlanError) as caught:
        planned(service, tmp_path)
    (finding,) = caught.value.diagnostics
    assert (finding.code, finding.message, finding.hint) == ("E534", f"unknown placeholder {unknown}", hint)
    assert finding.span.line == 3
    assert f"services: {{s: {service}}}"[finding.span.column - 1 :].startswith(place)


@pytest.mark.parametrize("compose", ["c.yaml", "{file: c.yaml, service: db}"])
def test_a_compose_file_that_is_not_there_is_a_warning_before_anything_runs(tmp_path, compose):
    service = f"{{compose: {compose}, ports: {{db: 80}}}}"
    (warning,) = planned(service, tmp_path).warnings
    assert (warning.code, warning.severity) == ("E533", "warning")
    assert f"services: {{s: {service}}}"[warning.span.column - 1 :].startswith("c.yaml")
    assert warning.message == "there is no Compose file `c.yaml` for the service `s`"
    (tmp_path / "c.yaml").write_text("services: {}\n")
    assert planned(service, tmp_path).warnings == ()
