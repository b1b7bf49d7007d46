"""The documented file `categories.yaml`: what depends on what, what conflicts, how long it takes.

Alone it becomes one layer, `categories`. Beside `test_layers.yaml` it says more about the categories of the layers;
what a layer says itself stays. Categories that no layer lists become a layer that runs only on request.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, ConfigDict, Field

from podium.model.dialects.documented import ANY, Amount, Bound, Lenient, check_bounds, duration, read, tell_unknown
from podium.model.findings import Path, did_you_mean
from podium.model.layers_places import Translation
from podium.model.yaml_loader import Mapped

LAYER = "categories"
"""The layer that the file becomes on its own, or what no layer lists."""
_TAGS = ("cpu_intensive", "memory_intensive", "network_intensive", "database_dependent")
_SERVICES = {
    "requires_frontend": "frontend_service",
    "requires_backend": "backend_service",
    "requires_database": "postgresql",
}
_MORE = ("needs", "conflicts", "expected", "description", "tags", "timeout", "exclusive", "priority", "parallel")
"""What the file adds to a category of a layer that does not say it."""


def _small(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


_Priority = Literal["critical", "high", "medium", "low", "optional"] | Annotated[int, Field(ge=1)]


class CategoryDocument(Lenient):
    """A category."""

    description: str = ""
    priority: Annotated[_Priority, BeforeValidator(_small)] | None = None
    category_type: str = ""
    timeout_seconds: Amount | None = None
    estimated_duration_minutes: Amount | None = None
    dependencies: list[str] = Field([])
    conflicts: list[str] = Field([])
    tags: list[str] = Field([])
    parallel_safe: bool = True
    max_parallel_instances: Annotated[int, Field(ge=1)] | None = None
    cpu_intensive: bool = False
    memory_intensive: bool = False
    network_intensive: bool = False
    database_dependent: bool = False
    requires_real_llm: bool = False
    requires_real_services: bool = False
    requires_frontend: bool = False
    requires_backend: bool = False
    requires_database: bool = False


class CategoriesDocument(Lenient):
    """The file."""

    model_config = ConfigDict(title="Documented test categories", extra="ignore", frozen=True)

    categories: dict[str, CategoryDocument] = Field(min_length=1, description="Name to category.")


class SystemDocument(Lenient):
    """The file with everything below `category_system`."""

    category_system: CategoriesDocument


class BareSystemDocument(Lenient):
    """The file with the categories themselves below `category_system`."""

    category_system: dict[str, CategoryDocument] = Field(min_length=1, description="Name to category.")


_BOUNDS = (("priority", 1, 5, ""), ("timeout_seconds", 30, 3600, "s"), ("max_parallel_instances", 1, 8, ""))


def is_documented(value: dict[str, Any]) -> bool:
    """Return whether a document without `kind` is of this format."""
    return isinstance(value.get("category_system"), dict) or isinstance(value.get("categories"), dict)


def translate(mapped: Mapped, into: Translation) -> None:
    """Add what the file says to a native document, which may have layers already."""
    read_categories = _read(mapped, into)
    if read_categories is None:
        return
    categories, root = read_categories
    check_bounds([Bound((*root, ANY, key), least, most, unit) for key, least, most, unit in _BOUNDS], mapped, into)
    _check_names(categories, root, mapped, into)
    if into.value.get("layers"):
        _add(categories, root, mapped, into)
        return
    into.put(("name",), "test categories", mapped)
    into.put(("layers", LAYER), {"title": "Categories", "mode": "parallel"}, mapped, *root)
    _put(LAYER, categories, root, mapped, into)


def _put(layer: str, categories: dict[str, CategoryDocument], root: Path, mapped: Mapped, into: Translation) -> None:
    """Make categories those of a layer."""
    for position, (name, category) in enumerate(categories.items()):
        at = ("layers", layer, "categories", position)
        into.put((*at, "name"), name, mapped, *root, name)
        into.origins[at] = (mapped, (*root, name))
        for key, (native, value) in _native(category):
            into.put((*at, native), value, mapped, *root, name, *key)


def _read(mapped: Mapped, into: Translation) -> tuple[dict[str, CategoryDocument], tuple[str, ...]] | None:
    """Return the categories, and where they stand."""
    value = cast("dict[str, Any]", mapped.value)
    system = value.get("category_system")
    if not isinstance(system, dict):
        document = read(CategoriesDocument, mapped, into)
        tell_unknown(CategoriesDocument, mapped, into)
        return None if document is None else (document.categories, ("categories",))
    if isinstance(cast("dict[str, Any]", system).get("categories"), dict):
        inner = read(SystemDocument, mapped, into)
        tell_unknown(SystemDocument, mapped, into)
        return None if inner is None else (inner.category_system.categories, ("category_system", "categories"))
    bare = read(BareSystemDocument, mapped, into)
    tell_unknown(BareSystemDocument, mapped, into)
    return None if bare is None else (bare.category_system, ("category_system",))


def _check_names(categories: dict[str, CategoryDocument], root: Path, mapped: Mapped, into: Translation) -> None:
    for name, category in categories.items():
        for position, need in enumerate(category.dependencies):
            if need not in categories:
                hint = did_you_mean(need, list(categories), what="categories") or "name one of the categories"
                span = mapped.span(*root, name, "dependencies", position)
                into.fail("D166", f"category `{name}` needs unknown category `{need}`", hint, span)


def _native(category: CategoryDocument) -> Iterator[tuple[Path, tuple[str, Any]]]:
    """Yield path in the file, and native key and value, of what a category says."""
    expected, timeout = category.estimated_duration_minutes, category.timeout_seconds
    services = {key: name for key, name in _SERVICES.items() if getattr(category, key)}
    tags = [*category.tags, *filter(None, [category.category_type])]
    tags += [tag for tag in _TAGS if getattr(category, tag)]
    values: list[tuple[str, str, Any]] = [
        ("description", "description", category.description or None),
        ("priority", "priority", category.priority),
        ("timeout_seconds", "timeout", None if timeout is None else duration(timeout, 1)),
        ("estimated_duration_minutes", "expected", None if expected is None else duration(expected, 60)),
        ("dependencies", "needs", list(category.dependencies) or None),
        ("conflicts", "conflicts", list(category.conflicts) or None),
        ("tags", "tags", list(dict.fromkeys(tags)) or None),
        ("max_parallel_instances", "parallel", category.max_parallel_instances),
        ("parallel_safe", "exclusive", None if category.parallel_safe else True),
        ("requires_real_llm", "llm", {"mode": "real"} if category.requires_real_llm else None),
        ("requires_real_services", "real_services", category.requires_real_services or None),
        (next(iter(services), ""), "services", list(services.values()) or None),
    ]
    for key, native, value in values:
        if value is not None:
            yield (key,), (native, value)


def _add(categories: dict[str, CategoryDocument], root: Path, mapped: Mapped, into: Translation) -> None:
    """Say more about categories of layers that are there."""
    layers: dict[str, Any] = into.value["layers"]
    places = [
        (name, position, category["name"])
        for name, layer in layers.items()
        for position, category in enumerate(layer["categories"])
    ]
    known = {category for *_, category in places}
    for name, category in categories.items():
        for target in [("layers", layer, "categories", at) for layer, at, found in places if found == name]:
            for key, (native, value) in _native(category):
                if native in _MORE and not into.has(*target, native):
                    there = [entry for entry in value if entry in known] if native in {"needs", "conflicts"} else value
                    into.put((*target, native), there, mapped, *root, name, *key)
    views = [_views(layer) for layer in layers.values()]
    somewhere = set[str]().union(*(view for of_layer in views for view in of_layer))
    unlisted = {name: category for name, category in categories.items() if name not in somewhere}
    everywhere = set(unlisted).union(*(set[str].intersection(*of_layer) for of_layer in views))
    if unlisted:
        _add_unlisted(unlisted, everywhere, root, mapped, into)


def _views(layer: dict[str, Any]) -> list[set[str]]:
    """Return the names of a layer's categories: of its own, and as each environment lists them instead."""
    lists = [layer["categories"], *(there["categories"] for there in _overrides(layer) if "categories" in there)]
    return [{category["name"] for category in listed} for listed in lists]


def _overrides(layer: dict[str, Any]) -> list[dict[str, Any]]:
    return list(layer.get("environments", {}).values())


def _add_unlisted(
    categories: dict[str, CategoryDocument], known: set[str], root: Path, mapped: Mapped, into: Translation
) -> None:
    """Let categories that no layer lists be run by their names; they need what is there in every environment."""
    for name in categories:
        text, hint = f"category `{name}` is in no layer", f"add it to one; only --category {name} runs it"
        into.warn("D171", text, hint, mapped.span(*root, name, key=True))
    layer = LAYER
    while into.has("layers", layer):
        layer += "_"
    settings = {"title": "Categories of no layer", "mode": "parallel", "on_request": True}
    into.put(("layers", layer), settings, mapped, *root)
    there = {
        name: category.model_copy(
            update={
                "dependencies": [need for need in category.dependencies if need in known],
                "conflicts": [other for other in category.conflicts if other in known],
            }
        )
        for name, category in categories.items()
    }
    _put(layer, there, root, mapped, into)
