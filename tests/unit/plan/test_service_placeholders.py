"""Placeholders in what describes a service."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import EnvironmentProblemError
from podium.plan.service_placeholders import filled_after, filled_before, unknown_placeholders, values_of
from podium.plan.services import Health, Service

VALUES = values_of({"sql": 1234, "http": 80}, "/tmp/x")


def filled(text):
    return filled_before(Service("s", cwd=text), VALUES).cwd


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${port}", "1234"),
        ("${port.sql} ${port.http}", "1234 80"),
        ("a${folder}/b", "a/tmp/x/b"),
        ("$${port} $$${port} $port {port} $", "${port} $${port} $port {port} $"),
        ("$${", "${"),
        ("${", "${"),
        ("", ""),
        ("${port}${port}", "12341234"),
    ],
)
def test_texts_are_filled_in(text, result):
    assert filled(text) == result


@given(st.text())
def test_text_without_an_opening_stays_as_it_is(text):
    text = text.replace("${", "")
    assert filled(text) == text


@given(st.text(alphabet="${}port. x"))
def test_whatever_the_text_it_is_filled_in_or_refused(text):
    try:
        result = filled(text)
    except EnvironmentProblemError as error:
        result = error.diagnostics[0].code
    assert result == text or "${" in text


def test_what_starts_a_service_is_filled_in_before_and_the_rest_after():
    p, f = "${port}", "${folder}"
    health = Health(tcp=p, http=p, command=(p, f), interval=2.0)
    service = Service(
        p,
        argv=(p, f),
        command=(p,),
        env={p: f},
        mounts={f: f},
        cwd=f,
        image=p,
        compose=p,
        exports={"E": p},
        health=health,
    )
    before, after = filled_before(service, VALUES), filled_after(service, VALUES)
    assert before == msgspec.structs.replace(
        service,
        argv=("1234", "/tmp/x"),
        command=("1234",),
        env={"1234": "/tmp/x"},
        mounts={"/tmp/x": "/tmp/x"},
        cwd="/tmp/x",
    )
    health = Health(tcp="1234", http="1234", command=("1234", "/tmp/x"), interval=2.0)
    assert after == msgspec.structs.replace(service, exports={"E": "1234"}, health=health)


def test_without_ports_or_folder_there_is_less():
    assert values_of({}, "") == {}
    assert values_of({"a": 1}, "") == {"port": "1", "port.a": "1"}


def test_an_unknown_placeholder_is_an_error_that_says_what_there_is():
    with pytest.raises(EnvironmentProblemError) as caught:
        filled("${ports.sql}")
    assert caught.value.render() == (
        "error[E534]: unknown placeholder `${ports.sql}` in `cwd` of service `s`; there are: `${port}`, `${port.sql}`, "
        "`${port.http}`, `${folder}`\nhint: write `$${` for a plain `${`"
    )


def found(**service):
    return [
        finding.message.split("; ")[0]
        for _, finding in unknown_placeholders(Service("s", **{"argv": ("x",)} | service))
    ]


def test_all_unknown_placeholders_are_found_without_starting_anything():
    health = Health(command=("${x}", "${port}"))
    assert found(argv=("${a}", "${b}${folder}"), exports={"E": "${port}"}, health=health) == [
        "unknown placeholder `${a}` in `command` of service `s`",
        "unknown placeholder `${b}` in `command` of service `s`",
        "unknown placeholder `${port}` in `exports` of service `s`",
        "unknown placeholder `${x}` in `health` of service `s`",
        "unknown placeholder `${port}` in `health` of service `s`",
    ]
    assert found(argv=("$${a}",), ports={"a": 0}, exports={"E": "${port.a}"}) == []


def test_in_a_compose_file_ports_inside_are_known_only_when_it_runs():
    ports = {"given": 0, "inside": 80}
    assert found(argv=(), compose="f", ports=ports, env={"A": "${port.given}"}, exports={"B": "${port.inside}"}) == []
    assert found(argv=(), compose="f", ports=ports, env={"A": "${port.inside}"}) == [
        "unknown placeholder `${port.inside}` in `env` of service `s`"
    ]


def test_what_is_running_already_has_no_folder():
    assert found(argv=(), ports={"a": 5432}, exports={"A": "${port.a}"}) == []
    assert found(argv=(), exports={"A": "${folder}"}) == ["unknown placeholder `${folder}` in `exports` of service `s`"]
