"""What is checked of the services of a document of layers."""

from __future__ import annotations

import signal
from typing import Literal

from podium.errors import Diagnostic
from podium.model import layers as d
from podium.model.findings import Path, did_you_mean
from podium.model.known_services import ENDPOINTS, health_of
from podium.model.layers_graph import circle
from podium.model.layers_service_kinds import FORMS, KEYS
from podium.model.yaml_loader import Mapped


def check_services(document: d.LayersDocument, placed: Mapped, *, documented: bool) -> list[Diagnostic]:
    """Return what is wrong with the services of a document, or may be.

    Args:
        document: The document.
        placed: It with its places.
        documented: It is of a documented format, which is read leniently.
    """
    findings: list[Diagnostic] = []

    for name, service in document.services.items():
        findings += _form(name, service, placed)
        findings += _keys(name, service, placed)
        findings += _health(name, service, placed)
        for position, need in enumerate(service.needs):
            if need not in document.services and need not in ENDPOINTS:
                place = ("services", name, "needs", position)
                findings.append(_unknown(need, document, placed, place, documented=documented))
    found = circle({name: service.needs for name, service in document.services.items()})
    if found:
        position = document.services[found[0]].needs.index(found[1])
        text = f"circular dependency detected in services: {' -> '.join(found)}"
        span = placed.span("services", found[0], "needs", position)
        findings.append(Diagnostic("D170", text, "remove one of these needs", span))
    for environment, change in document.environments.items():
        for name in change.services:
            at = ("environments", environment, "services", name)
            if name not in document.services:
                findings.append(_unknown(name, document, placed, at, documented=False))
    return findings


def check_required(document: d.LayersDocument, placed: Mapped, *, documented: bool) -> list[Diagnostic]:
    """Return what there is to say of services that layers and categories require and that are not defined."""
    findings: list[Diagnostic] = []
    for name, layer in document.layers.items():
        at: Path = ("layers", name)
        places = [(need, (*at, "services", position)) for position, need in enumerate(layer.services)]
        for index, category in enumerate(layer.categories):
            inner = (*at, "categories", index, "services")
            places += [(need, (*inner, position)) for position, need in enumerate(category.services)]
        for need, place in places:
            if need in document.services:
                continue
            if need in ENDPOINTS:
                text = f"service `{need}` is not defined here, and is taken to be running at {ENDPOINTS[need]}"
                hint = "define it below `services` if it is elsewhere"
                findings.append(Diagnostic("D176", text, hint, placed.span(*place), "warning"))
            else:
                findings.append(_unknown(need, document, placed, place, documented=documented))
    return findings


def _unknown(name: str, document: d.LayersDocument, placed: Mapped, place: Path, *, documented: bool) -> Diagnostic:
    known = [*document.services, *ENDPOINTS]
    severity: Literal["error", "warning"] = "warning" if documented else "error"
    hint = did_you_mean(name, known, what="services") or "define it below `services`"
    text = f"unknown service `{name}`" + (", which is not waited for" if documented else "")
    return Diagnostic("D167", text, hint, placed.span(*place, key=True), severity)


def _form(name: str, service: d.ServiceDocument, placed: Mapped) -> list[Diagnostic]:
    at = ("services", name)
    given = [key for key in FORMS if getattr(service, key)]
    if len(given) != 1:
        found = f"it has {' and '.join(f'`{key}`' for key in given)}" if given else "it has none"
        text = f"service `{name}` has exactly one of `command`, `image`, `compose`, `running`; {found}"
        span = placed.span(*at, *given[1:2], key=bool(given))
        return [Diagnostic("D174", text, "say what starts it, or running: true", span)]
    if given == ["running"] and service.health is None:
        text = f"nothing says where `{name}`, which is running already, can be found"
        return [Diagnostic("D174", text, "add health: host:port", placed.span(*at, "running", key=True))]
    return []


def _keys(name: str, service: d.ServiceDocument, placed: Mapped) -> list[Diagnostic]:
    """Return what is wrong with keys that go with some kinds of services only."""
    at, findings = ("services", name), list[Diagnostic]()
    form = next((key for key in FORMS if getattr(service, key)), None)
    if form is None:
        return []
    for key, forms in KEYS.items():
        if key in service.model_fields_set and getattr(service, key) and form not in forms:
            text = f"`{key}` means nothing to `{name}`, which has `{form}`"
            hint = f"remove it: it goes with {' or '.join(f'`{other}`' for other in forms)}"
            findings.append(Diagnostic("D174", text, hint, placed.span(*at, key, key=True), "warning"))
    for port, number in service.ports.items():
        if form == "command" and number:
            text = f"`{name}` is a process, so its port `{port}` is a free one of this machine, and not {number}"
            hint = f"write 0 and hand ${{port.{port}}} to it; if it always takes {number}, say so in `health`"
            findings.append(Diagnostic("D174", text, hint, placed.span(*at, "ports", port), "warning"))
        elif form == "running" and not number:
            text = f"`{name}` is running already, and nothing says which its port `{port}` is"
            hint = "write the port it has"
            findings.append(Diagnostic("D174", text, hint, placed.span(*at, "ports", port)))
    if form == "command" and service.stop_signal not in signal.Signals.__members__:
        text = f"`{service.stop_signal}` is no signal that could stop `{name}`"
        hint = "write for example SIGTERM or SIGINT"
        findings.append(Diagnostic("D174", text, hint, placed.span(*at, "stop_signal")))
    return findings


def _health(name: str, service: d.ServiceDocument, placed: Mapped) -> list[Diagnostic]:
    health, at = service.health, ("services", name, "health")
    hint = "write host:port, host:port/path, a URL, or a mapping"
    if isinstance(health, str):
        try:
            health_of(health)
        except ValueError as error:
            return [Diagnostic("D174", str(error), hint, placed.span(*at))]
    elif health is not None:
        given = [key for key in ("tcp", "http", "command", "container") if getattr(health, key)]
        if len(given) != 1:
            text = f"the health of `{name}` is looked at in exactly one way, and this has {len(given)}"
            return [Diagnostic("D174", text, "give one of tcp, http, command, container", placed.span(*at))]
        if given == ["container"] and not (service.image or service.compose):
            text = f"`{name}` is no container, so it has no health check of its own"
            return [Diagnostic("D174", text, hint, placed.span(*at, "container", key=True))]
    return []
