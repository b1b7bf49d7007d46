"""What is checked of a document of layers beyond its keys: names, circles, and numbers that do not fit together.

What keeps a document from making sense is an error. Files of the documented formats are known to be inconsistent in
places; what can be run all the same is a warning there.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from typing import Literal

from podium.errors import Diagnostic
from podium.model import layers as d
from podium.model.findings import did_you_mean
from podium.model.layers_graph import circle, needed_by, priority_of
from podium.model.layers_merging import environment_name
from podium.model.layers_service_checks import check_required, check_services
from podium.model.units import format_duration
from podium.model.yaml_loader import Mapped

RESERVED = ("service", "delay")
"""Names no layer may have, since steps of plans begin with them."""
RUNNERS = ("pytest", "command", "shell", "run")
"""Keys of a category that say how its tests are run."""
_NAME = re.compile(d.NAME)
_OF_RUNNER = {
    "report": ("command", "shell"),
    "exit_codes": ("command", "shell"),
    "cwd": ("command", "shell"),
    "shards": ("command", "shell", "pytest"),
    "filters": (),
}
"""Key of a category to the runners it goes with."""
_NO_VARIABLE = "use letters, digits and `_`"
_SIZES = ((2**20, "MiB"), (2**10, "KiB"))
_PLURALS = {"layer": "layers", "category": "categories", "layer or category": "layers and categories"}


def check_layers(document: d.LayersDocument, placed: Mapped, *, documented: bool) -> list[Diagnostic]:
    """Return what is wrong with a document, or may be.

    Args:
        document: The document.
        placed: It with its places.
        documented: It is of a documented format, which is read leniently.
    """
    checks = _Checks(document, placed, documented=documented)
    checks.check()
    services = check_services(document, placed, documented=documented)
    return [*checks.findings, *services, *check_required(document, placed, documented=documented)]


class _Checks:
    def __init__(self, document: d.LayersDocument, placed: Mapped, *, documented: bool) -> None:
        self.document = document
        self.placed = placed
        self.documented = documented
        self.findings: list[Diagnostic] = []
        self.needs = {name: layer.needs for name, layer in document.layers.items()}
        self.homes: dict[str, list[str]] = {}
        for name, layer in document.layers.items():
            for category in layer.categories:
                self.homes.setdefault(category.name, []).append(name)

    def check(self) -> None:
        for name, layer in self.document.layers.items():
            self._name(name, "layer", "layers", name)
            self._layer(name, layer)
            self._conflicts(name, layer)
            self._numbers(name, layer)
            for position, category in enumerate(layer.categories):
                self._category(name, layer, position, category)
        for name in self.document.services:
            self._name(name, "service", "services", name)
        self._variables()
        self._circles()
        self._duplicates()
        self._memory()
        self._modes()
        self._environments()
        self._quarantine()

    def report(
        self,
        code: str,
        text: str,
        hint: str | None,
        *path: str | int,
        severity: Literal["error", "warning"] = "error",
        key: bool = False,
    ) -> None:
        self.findings.append(Diagnostic(code, text, hint, self.placed.span(*path, key=key), severity))

    def warn(self, code: str, text: str, hint: str | None, *path: str | int, key: bool = False) -> None:
        self.report(code, text, hint, *path, severity="warning", key=key)

    # Names

    def _name(self, name: str, what: str, *path: str | int) -> None:
        key = path[-1] == name
        if not _NAME.fullmatch(name) or len(name) > d.LONGEST_NAME:
            hint = f"use up to {d.LONGEST_NAME} letters, digits, `_`, `-` and `.`"
            self.report("D175", f"`{name[:40]}` is no name of a {what}", hint, *path, key=key)
        elif what == "layer" and name in RESERVED:
            hint = "steps of services and pauses begin with it; choose another name"
            self.report("D175", f"no layer may be called `{name}`", hint, *path, key=key)

    def _unknown(
        self, name: str, what: str, known: Sequence[str], *path: str | int, severity: Literal["error", "warning"]
    ) -> None:
        hint = did_you_mean(name, known, what=f"{_PLURALS[what]} here") or f"name a {what} of this document"
        self.report("D166", f"unknown {what} `{name}`", hint, *path, severity=severity)

    def _variables(self) -> None:
        found: list[tuple[dict[str, str] | None, tuple[str | int, ...]]] = []
        for name, layer in self.document.layers.items():
            found.append((layer.env, ("layers", name, "env")))
            found += [(c.env, ("layers", name, "categories", i, "env")) for i, c in enumerate(layer.categories)]
        for name, service in self.document.services.items():
            found += [(getattr(service, key), ("services", name, key)) for key in ("env", "exports", "mocks")]
        found += [(e.env, ("environments", name, "env")) for name, e in self.document.environments.items()]
        for variables, at in found:
            for name in variables or ():
                if not name or "=" in name or "\0" in name:
                    self.report("D175", f"`{name[:40]}` is no name of a variable", _NO_VARIABLE, *at, name, key=True)

    def _layer(self, name: str, layer: d.LayerDocument) -> None:
        for position, need in enumerate(layer.needs):
            at = ("layers", name, "needs", position)
            other = self.document.layers.get(need)
            if other is None:
                self._unknown(need, "layer", list(self.document.layers), *at, severity="error")
                continue
            if None not in (layer.order, other.order) and (layer.order or 0) < (other.order or 0):
                text = f"`{name}` is number {layer.order} and needs `{need}`, which is number {other.order}"
                self.warn("D173", text, "what it needs comes first all the same", *at)
            if other.background and not layer.background:
                text = f"`{name}` needs `{need}`, which runs in the background"
                self.warn("D173", text, "it waits for it unless the background runs apart", *at)

    def _conflicts(self, name: str, layer: d.LayerDocument) -> None:
        own = {category.name for category in layer.categories}
        for position, other in enumerate(layer.conflicts):
            at = ("layers", name, "conflicts", position)
            if other == name or (other in own and other not in self.document.layers):
                text = f"`{name}` conflicts with {'itself' if other == name else f'its own category `{other}`'}"
                self.warn("D165", text, "remove it; it has no effect", *at)
            elif other in self.document.layers:
                if other in needed_by(name, self.needs) or name in needed_by(other, self.needs):
                    text = f"`{name}` conflicts with `{other}`, and one of them needs the other"
                    self.warn("D165", text, "remove it: they never run at the same time anyway", *at)
            elif other in self.homes:
                if self.documented:
                    text = f"`{other}` is a category, and conflicts of layers name layers"
                    self.warn("D165", text, f"no category of `{name}` runs beside it", *at)
            else:
                known = [*self.document.layers, *self.homes]
                severity = "warning" if self.documented else "error"
                self._unknown(other, "layer or category", known, *at, severity=severity)

    # Categories

    def _category(self, name: str, layer: d.LayerDocument, position: int, category: d.CategoryDocument) -> None:
        at = ("layers", name, "categories", position)
        self._name(category.name, "category", *at, "name")
        self._runner(category, *at)
        for key in ("needs", "conflicts"):
            for index, other in enumerate(getattr(category, key)):
                if other not in self.homes:
                    severity = "warning" if self.documented and key == "conflicts" else "error"
                    self._unknown(other, "category", list(self.homes), *at, key, index, severity=severity)
                elif key == "conflicts":
                    self._conflict(category, other, *at, key, index)
        limit = layer.parallel
        if isinstance(category.parallel, int) and limit is not None and category.parallel > limit:
            text = f"`{category.name}` has {category.parallel} parallel instances, and `{name}` allows {limit}"
            self.warn("D163", text, f"it runs with {limit}", *at, "parallel")
        self._fits(category, "`execution`", self.document.execution.memory, *at)
        self._fits(category, f"`{name}`", None if layer.limits is None else layer.limits.memory, *at)

    def _fits(self, category: d.CategoryDocument, what: str, limit: float | None, *at: str | int) -> None:
        needed = category.min_memory
        if needed is not None and limit is not None and needed > limit:
            text = f"`{category.name}` needs {_size(needed)} of memory, and {what} allows {_size(limit)}"
            self.warn("D164", text, "it waits only for what may be used at all", *at, "min_memory")

    def _conflict(self, category: d.CategoryDocument, other: str, *at: str | int) -> None:
        needs = {c.name: c.needs for layer in self.document.layers.values() for c in layer.categories}
        if other == category.name:
            text = f"category `{other}` conflicts with itself"
            self.warn("D165", text, "remove it; it has no effect", *at)
        elif other in needed_by(category.name, needs) or category.name in needed_by(other, needs):
            text = f"`{category.name}` conflicts with `{other}`, and one of them needs the other"
            self.warn("D165", text, "remove it: they never run at the same time anyway", *at)

    def _runner(self, category: d.CategoryDocument, *at: str | int) -> None:
        given = [key for key in RUNNERS if getattr(category, key) is not None]
        if len(given) > 1:
            text = f"`{category.name}` has {' and '.join(f'`{key}`' for key in given)}, and may have one of them"
            self.report("D160", text, "remove all but one, or make two categories", *at, given[1], key=True)
        runner = given[0] if given else None
        for key, runners in _OF_RUNNER.items():
            if key not in category.model_fields_set or getattr(category, key) is None:
                continue
            if runner not in (runners or (None,)):
                goes = " or ".join(f"`{name}`" for name in runners)
                words = f"it goes with {goes}" if runners else f"`{runner}` says itself what is run"
                text = f"key `{key}` has no meaning {f'with `{runner}`' if runner else 'without a runner'}"
                self.report("D160", text, f"remove it: {words}", *at, key, key=True)

    # Circles and duplicates

    def _circles(self) -> None:
        found = circle(self.needs)
        if found:
            where = ("layers", found[0], "needs", self.needs[found[0]].index(found[1]))
            text = f"circular dependency detected in layers: {' -> '.join(found)}"
            self.report("D170", text, "remove one of these needs", *where)
            return
        first: dict[str, tuple[str, int, d.CategoryDocument]] = {}
        for name, layer in self.document.layers.items():
            for position, category in enumerate(layer.categories):
                first.setdefault(category.name, (name, position, category))
        found = circle({name: c.needs for name, (_, _, c) in first.items()})
        if found:
            layer, position, category = first[found[0]]
            where = ("layers", layer, "categories", position, "needs", category.needs.index(found[1]))
            text = f"circular dependency detected in categories: {' -> '.join(found)}"
            self.report("D170", text, "remove one of these needs", *where)
            return
        for layer, at, need in self._category_needs():
            later = [home for home in self.homes[need] if layer in needed_by(home, self.needs)]
            if later and layer not in self.homes[need]:
                text = f"a category of `{layer}` needs `{need}` of `{later[0]}`, and `{later[0]}` needs `{layer}`"
                self.report("D170", text, "remove one of these needs", *at)

    def _category_needs(self) -> Iterator[tuple[str, tuple[str | int, ...], str]]:
        for name, layer in self.document.layers.items():
            for position, category in enumerate(layer.categories):
                for index, need in enumerate(category.needs):
                    if need in self.homes:
                        yield name, ("layers", name, "categories", position, "needs", index), need

    def _duplicates(self) -> None:
        seen: dict[str, str] = {}
        for name, layer in self.document.layers.items():
            for position, category in enumerate(layer.categories):
                at = ("layers", name, "categories", position, "name")
                before = seen.setdefault(category.name, name)
                if before == name and any(c.name == category.name for c in layer.categories[:position]):
                    text = f"two categories of `{name}` have the name `{category.name}`"
                    self.report("D169", text, "rename one of them", *at)
                elif before != name:
                    text = f"category `{category.name}` is in `{before}`, too"
                    self.warn("D168", text, "both are run; rename one if they are not the same", *at)

    # Numbers

    def _numbers(self, name: str, layer: d.LayerDocument) -> None:
        total = longest(layer)
        if layer.budget is not None and total > layer.budget:
            text = f"the timeouts of `{name}` come to {format_duration(total)}, and its budget is "
            hint = "what is still running when the budget is used up is stopped"
            self.warn("D162", text + format_duration(layer.budget), hint, "layers", name, "budget")
        most = self.document.execution.parallel
        if layer.parallel is not None and most is not None and layer.parallel > most:
            text = f"`{name}` allows {layer.parallel} parallel instances, and `execution` allows {most}"
            self.warn("D163", text, f"it runs with {most}", "layers", name, "parallel")

    def _memory(self) -> None:
        limits = [layer.limits.memory for layer in self.document.layers.values() if layer.limits is not None]
        total, most = sum(memory for memory in limits if memory is not None), self.document.execution.memory
        if most is not None and total > most:
            text = f"the memory of all layers comes to {_size(total)}, and `execution` allows {_size(most)}"
            hint = "each layer is held to its own limit, and a suite waits until its `min_memory` is free"
            self.warn("D164", text, hint, "execution", "memory")

    # The rest

    def _modes(self) -> None:
        for name, mode in self.document.modes.items():
            listed, at = (mode, ()) if isinstance(mode, list) else (mode.layers, ("layers",))
            for position, layer in enumerate(listed):
                if layer not in self.document.layers:
                    known = list(self.document.layers)
                    self._unknown(layer, "layer", known, "modes", name, *at, position, severity="error")

    def _environments(self) -> None:
        places: list[tuple[str | int, ...]] = [("environments",)]
        places += [("layers", name, "environments") for name in self.document.layers]
        of_layers = [list(layer.environments) for layer in self.document.layers.values()]
        for at, names in zip(places, [list(self.document.environments), *of_layers], strict=True):
            seen: dict[str, str] = {}
            for name in names:
                before = seen.setdefault(environment_name(name), name)
                if before != name:
                    text = f"`{before}` and `{name}` are one environment"
                    self.report("D180", text, "write both under one name", *at, name, key=True)

    def _quarantine(self) -> None:
        for position, entry in enumerate(self.document.quarantine):
            try:
                dt.date.fromisoformat(entry.until)
            except ValueError:
                text = f"`{entry.until[:40]}` is no day"
                self.report("D179", text, "write it as 2030-12-31, in quotes", "quarantine", position, "until")


def longest(layer: d.LayerDocument) -> int:
    """Return how long a layer can take by the timeouts of its categories, as far as they have one [ns]."""
    timeouts = [(priority_of(c.priority), c.timeout or 0) for c in layer.categories]
    if layer.mode == "sequential":
        return sum(timeout for _, timeout in timeouts)
    if layer.mode == "parallel":
        return max((timeout for _, timeout in timeouts), default=0)
    groups: dict[int, int] = {}
    for priority, timeout in timeouts:
        groups[priority] = max(groups.get(priority, 0), timeout)
    return sum(groups.values())


def _size(size: float) -> str:
    """Return a number of bytes in the largest unit up to MiB of which it has one."""
    scale, unit = next(((scale, unit) for scale, unit in _SIZES if size >= scale), (1, "B"))
    return f"{size / scale:g} {unit}"
