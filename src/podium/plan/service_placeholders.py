"""`${port}`, `${port.NAME}` and `${folder}` in what describes a service; `$${` stands for `${`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import msgspec

from podium.errors import Diagnostic, EnvironmentProblemError
from podium.plan.services import Health, Service

_PLACEHOLDER = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_BEFORE = ("argv", "command", "env", "mounts", "cwd")
_AFTER = ("exports", "health")
_WRITTEN = {"argv": "command", "command": "args"}
"""Field of a service to what it is called in documents, where that differs."""
_HINT = "write `$${` for a plain `${`"
_NO_PORTS = "give the service a port, such as ports: {http: 0}"


def values_of(ports: Mapping[str, int], folder: str) -> dict[str, str]:
    """Return what placeholders stand for.

    Args:
        ports: Name to the port of the host; the first is `${port}` too.
        folder: The temporary folder; empty: there is none.
    """
    first = {"port": str(next(iter(ports.values())))} if ports else {}
    return (
        first | {f"port.{name}": str(number) for name, number in ports.items()} | ({"folder": folder} if folder else {})
    )


def filled_before(service: Service, values: Mapping[str, str]) -> Service:
    """Return a service with what it takes to start it filled in.

    Raises:
        EnvironmentProblemError: A placeholder is not known (E534).
    """
    return _filled(service, _BEFORE, values)


def filled_after(service: Service, values: Mapping[str, str]) -> Service:
    """Return a service with its health and what it exports filled in, when all its ports are known.

    Raises:
        EnvironmentProblemError: A placeholder is not known (E534).
    """
    return _filled(service, _AFTER, values)


def unknown_placeholders(service: Service) -> list[tuple[str, Diagnostic]]:
    """Return every placeholder that has no meaning in a service, without starting it: its key, and what to say."""
    folder = "/" if service.argv or service.image or service.compose else ""
    ports = dict.fromkeys(service.ports, 0)
    later = {name: number for name, number in ports.items() if not service.compose or not service.ports[name]}
    findings: list[tuple[str, Diagnostic]] = []
    for names, known in ((_BEFORE, values_of(later, folder)), (_AFTER, values_of(ports, folder))):
        for name in names:
            unknown = [found for found in _placeholders(getattr(service, name)) if found not in known]
            where = _where(name, service)
            findings += [(_WRITTEN.get(name, name), _unknown(found, known, where)) for found in unknown]
    return findings


def _filled(service: Service, names: tuple[str, ...], values: Mapping[str, str]) -> Service:
    changes: dict[str, Any] = {}
    for name in names:
        where = _where(name, service)
        changes[name] = _mapped(getattr(service, name), lambda text, where=where: _fill(text, values, where))
    return msgspec.structs.replace(service, **changes)


def _fill(text: str, values: Mapping[str, str], where: str) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "${"
        if name not in values:
            raise EnvironmentProblemError([_unknown(name, values, where)])
        return values[name]

    return _PLACEHOLDER.sub(value, text)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Return a value of a service with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(change(text) for text in cast("tuple[str, ...]", value))
    if isinstance(value, dict):
        return {change(name): change(text) for name, text in cast("dict[str, str]", value).items()}
    if isinstance(value, Health):
        changes = {name: _mapped(getattr(value, name), change) for name in ("tcp", "http", "command")}
        return msgspec.structs.replace(value, **changes)
    return value


def _placeholders(value: Any) -> Iterator[str]:
    found: list[str] = []

    def note(text: str) -> str:
        found.extend(match[1] for match in _PLACEHOLDER.finditer(text) if match[1] is not None)
        return text

    _mapped(value, note)
    yield from found


def _where(name: str, service: Service) -> str:
    return f"`{_WRITTEN.get(name, name)}` of service `{service.name}`"


def _unknown(name: str, known: Mapping[str, str], where: str) -> Diagnostic:
    names = ", ".join(f"`${{{name}}}`" for name in known) or "none"
    is_port = name.partition(".")[0] == "port" and "port" not in known
    hint = _NO_PORTS if is_port else _HINT
    return Diagnostic("E534", f"unknown placeholder `${{{name}}}` in {where}; there are: {names}", hint)
