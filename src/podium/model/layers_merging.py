"""What a document of layers says in one environment."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, cast

from podium.model.findings import Path
from podium.model.layers_places import Placed, Source
from podium.model.layers_service_kinds import FORMS, foreign_to
from podium.model.yaml_loader import Mapped

ENVIRONMENTS = ("test", "development", "staging", "production")
"""Environments that every project knows."""
_ALIASES = {"dev": "development", "prod": "production"}


def environment_name(name: str) -> str:
    """Return the one name of an environment that has two: `dev` is `development`, `prod` is `production`."""
    return _ALIASES.get(name, name)


def merged(base: Any, override: Any) -> Any:
    """Return a copy of `base` with what is different: mappings are merged key by key, all else is replaced."""
    if isinstance(base, dict) and isinstance(override, dict):
        result: dict[Any, Any] = dict(cast("dict[Any, Any]", base))
        for key, value in cast("dict[Any, Any]", override).items():
            result[key] = merged(result[key], value) if key in result else copy.deepcopy(value)
        return {key: value if key in override else copy.deepcopy(value) for key, value in result.items()}
    return copy.deepcopy(override)


def environments_of(value: Any) -> tuple[str, ...]:
    """Return the environments a document says something about, under their one name, in the order written."""
    document = cast("dict[str, Any]", value)
    names = list(_mapping(document.get("environments")))
    for layer in _mapping(document.get("layers")).values():
        names += _mapping(_mapping(layer).get("environments"))
    return tuple(dict.fromkeys(environment_name(name) for name in names))


def in_environment(placed: Mapped, environment: str) -> Placed:
    """Return a document as it is in an environment, with places; the document itself stays as it is.

    Args:
        placed: A document of layers.
        environment: Its one name, see `environment_name`.
    """
    value = copy.deepcopy(cast("dict[str, Any]", placed.value))
    origins: dict[Path, Source] = {(): (placed, ())}
    for name, layer in _mapping(value.get("layers")).items():
        overrides = _mapping(_mapping(layer).pop("environments", None))
        for key, override in overrides.items():
            if environment_name(key) == environment:
                value["layers"][name] = merged(value["layers"][name], override)
                _note(override, ("layers", name), (placed, ("layers", name, "environments", key)), origins)
    for key, change in _mapping(value.get("environments")).items():
        if environment_name(key) != environment:
            continue
        for service, override in _mapping(_mapping(change).get("services")).items():
            if service in _mapping(value.get("services")):
                value["services"][service] = merged(_kept(value["services"][service], override), override)
                at = ("environments", key, "services", service)
                _note(override, ("services", service), (placed, at), origins)
    return Placed(value, placed, origins)


def _kept(service: Any, override: Any) -> Any:
    """Return what of a service still means something in an environment that says what else it is there."""
    form = next((key for key in FORMS if _mapping(override).get(key)), None)
    if form is None or not isinstance(service, dict):
        return service
    gone = foreign_to(form)
    return {key: inner for key, inner in cast("dict[Any, Any]", service).items() if key not in gone}


def _note(override: Any, target: Path, source: Source, origins: dict[Path, Source]) -> None:
    """Note where everything that is different is from."""
    for path in _leaves(override, ()):
        origins[(*target, *path)] = (source[0], (*source[1], *path))


def _leaves(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, dict) and value:
        for key, inner in cast("dict[str, Any]", value).items():
            yield from _leaves(inner, (*path, key))
    elif path:
        yield path


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
