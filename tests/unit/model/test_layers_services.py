"""Keys of services that go with some kinds only, and services that are something else in an environment."""

import re

import pytest

from podium.errors import DocumentError
from podium.model.layers_loading import load_layers_text

HEAD = 'kind: layers\nlayers: {a: {services: [s], categories: [{name: c, shell: "true"}]}}\n'


def told(service):
    """Return what is said of a service: severity, what stands at the place, and message."""
    text = f"{HEAD}services: {{s: {service}}}\n"
    try:
        findings = load_layers_text(text).warnings
    except DocumentError as error:
        findings = error.diagnostics
    assert all(finding.code == "D174" and finding.hint and finding.span.line == 3 for finding in findings)
    line = text.splitlines()[2]
    return [(found.severity, re.match(r"\w+", line[found.span.column - 1 :])[0], found.message) for found in findings]


@pytest.mark.parametrize(
    "service",
    [
        "{command: [x], ports: {http: 0}, env: {A: b}, cwd: c, stop_signal: SIGINT, memory: 1 GB}",
        "{image: x, args: [y], mounts: {a: /b}, ports: {http: 80}, env: {A: b}, cwd: c, memory: 1 GB}",
        "{compose: c.yaml, ports: {http: 80, db: 0}, env: {A: b}, cwd: c}",
        'running: true, health: "localhost:${port}", ports: {http: 80}, env: {A: b}, cwd: c',
        "{command: [x], args: [], mounts: {}}",
    ],
)
def test_what_goes_with_a_kind_of_service_is_taken(service):
    assert told(service if service.startswith("{") else f"{{{service}}}") == []


@pytest.mark.parametrize(
    ("service", "found"),
    [
        ("{command: [x], args: [y]}", ("warning", "args", "`args` means nothing to `s`, which has `command`")),
        (
            "{command: [x], mounts: {a: /b}}",
            ("warning", "mounts", "`mounts` means nothing to `s`, which has `command`"),
        ),
        (
            "{image: x, stop_signal: SIGINT}",
            ("warning", "stop_signal", "`stop_signal` means nothing to `s`, which has `image`"),
        ),
        ("{compose: x, memory: 1 GB}", ("warning", "memory", "`memory` means nothing to `s`, which has `compose`")),
        (
            "{command: [x], ports: {http: 8080}}",
            ("warning", "8080", "`s` is a process, so its port `http` is a free one of this machine, and not 8080"),
        ),
        (
            '{running: true, health: "h:1", ports: {http: 0}}',
            ("error", "0", "`s` is running already, and nothing says which its port `http` is"),
        ),
        ("{command: [x], stop_signal: SIGFOO}", ("error", "SIGFOO", "`SIGFOO` is no signal that could stop `s`")),
    ],
)
def test_what_means_nothing_to_a_kind_of_service_is_told_at_its_place(service, found):
    assert told(service) == [found]


def service_in_staging(base, change):
    text = f"{HEAD}services: {{s: {base}}}\nenvironments: {{staging: {{services: {{s: {change}}}}}}}\n"
    loaded = load_layers_text(text)
    assert loaded.warnings == ()
    document, _ = loaded.in_environment("staging")
    return document.services["s"]


def test_a_container_may_be_running_already_in_an_environment():
    base = (
        '{image: x, args: [y], memory: 1 GB, ports: {db: 5432}, health: "localhost:${port}", exports: {A: "${port}"}}'
    )
    service = service_in_staging(base, "{running: true}")
    assert (service.running, service.image, service.args, service.memory) == (True, None, [], None)
    assert (service.ports, service.health, service.exports) == ({"db": 5432}, "localhost:${port}", {"A": "${port}"})


def test_a_process_may_be_a_container_in_an_environment():
    base = "{command: [x], stop_signal: SIGINT, ports: {http: 0}, env: {A: b}}"
    service = service_in_staging(base, "{image: x, ports: {http: 80}}")
    assert (service.command, service.image, service.stop_signal) == (None, "x", "SIGTERM")
    assert (service.ports, service.env) == ({"http": 80}, {"A": "b"})


def test_what_is_the_same_kind_in_an_environment_keeps_what_it_does_not_name():
    base = "{command: [x], stop_signal: SIGINT, ports: {http: 0}, env: {A: b}}"
    service = service_in_staging(base, "{env: {A: c}}")
    assert (service.command, service.stop_signal, service.env) == (["x"], "SIGINT", {"A": "c"})


def test_two_kinds_in_one_override_are_still_too_many():
    text = f"{HEAD}services: {{s: {{command: [x]}}}}\n"
    text += "environments: {staging: {services: {s: {image: x, compose: y}}}}\n"
    with pytest.raises(DocumentError) as caught:
        load_layers_text(text)
    assert "it has `image` and `compose`" in caught.value.diagnostics[0].message


def test_what_is_known_by_name_is_listed_in_words():
    text = 'kind: layers\nlayers: {a: {conflicts: [q], categories: [{name: c, shell: "true", needs: [z]}]}}\n'
    with pytest.raises(DocumentError) as caught:
        load_layers_text(text)
    assert [(found.message, found.hint) for found in caught.value.diagnostics] == [
        ("unknown layer or category `q`", "layers and categories here: a, c"),
        ("unknown category `z`", "categories here: c"),
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('layers: {a: {env: {"A=B": x}, categories: [{name: c, shell: x}]}}', '"A=B"'),
        ('layers: {a: {categories: [{name: c, shell: x, env: {"": x}}]}}', '""'),
        ('services: {s: {image: x, env: {"=": x}}}', '"="'),
        ('services: {s: {image: x, exports: {"A\\0": x}}}', '"A'),
        ('services: {s: {image: x, mocks: {"A=": x}}}', '"A="'),
        ('environments: {staging: {env: {"A=": x}}}', '"A="'),
    ],
)
def test_what_cannot_be_the_name_of_a_variable_is_told_at_its_place(text, place):
    usual = "" if text.startswith("layers") else "layers: {a: {categories: [{name: c, shell: x}]}}\n"
    with pytest.raises(DocumentError) as caught:
        load_layers_text(f"kind: layers\n{usual}{text}\n")
    (finding,) = caught.value.diagnostics
    assert finding.code == "D175"
    assert finding.message.endswith(" is no name of a variable")
    assert text[finding.span.column - 1 :].startswith(place)
