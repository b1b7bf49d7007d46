"""The documented file `test_layers.yaml`: layers with `max_duration_minutes`, services with endpoints, and the rest.

Files that break the documented rules are taken as they stand, with warnings that name the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from podium.model.dialects.documented import (
    ANY,
    CHARACTERS,
    Amount,
    Bound,
    Lenient,
    check_bounds,
    duration,
    megabytes,
    read,
    tell_no_effect,
    tell_unknown,
)
from podium.model.findings import Path
from podium.model.known_services import exports_of
from podium.model.layers_merging import environment_name
from podium.model.layers_places import Translation
from podium.model.yaml_loader import Mapped

MARKS = ("execution_config", "metadata", "service_dependencies", "monitoring", "validation_rules")
"""Keys at the top by which the format is recognised when `kind` is missing."""
LAYER_MARKS = (
    *("max_duration_minutes", "execution_mode", "execution_order", "required_services", "resource_limits"),
    *("success_criteria", "llm_requirements", "environment_overrides", "background_execution", "dependencies"),
)
"""Keys of a layer, likewise."""

_Count = Annotated[int, Field(ge=1)]
_Share = Annotated[float, Field(gt=0, le=100)]
_Rate = Annotated[float, Field(ge=0, le=1)]


class RequirementsDocument(Lenient):
    """What a category requires."""

    requires_postgresql: bool = False
    requires_redis: bool = False
    requires_backend_service: bool = False
    requires_auth_service: bool = False
    requires_frontend_service: bool = False
    requires_websocket_server: bool = False
    requires_real_llm: bool = False
    requires_real_services: bool = False
    requires_node_runtime: bool = False
    requires_frontend_build: bool = False
    min_memory_mb: Amount | None = None
    dedicated_resources: bool = False


class FiltersDocument(Lenient):
    """Which files belong to a category."""

    include_patterns: list[str] = Field([])
    exclude_patterns: list[str] = Field([])


class CategoryDocument(Lenient):
    """A category of a layer."""

    name: str = Field(min_length=1)
    description: str | None = None
    timeout_seconds: Amount | None = None
    max_parallel_instances: _Count | None = None
    priority_order: _Count | None = None
    resource_requirements: RequirementsDocument = RequirementsDocument()
    filters: FiltersDocument = FiltersDocument()  # pyright: ignore[reportCallIssue]


class LimitsDocument(Lenient):
    """What a layer may use."""

    max_memory_mb: Amount | None = None
    max_cpu_percent: _Share | None = None
    max_parallel_instances: _Count | None = None


class SuccessDocument(Lenient):
    """When a layer counts as passed."""

    min_pass_rate: _Rate = 0.95
    max_failures: Annotated[int, Field(ge=0)] = 5
    critical_tests_must_pass: bool = True
    allow_partial_success: bool = False


class LlmDocument(Lenient):
    """Which language model a layer uses."""

    mode: Literal["real", "mock", "hybrid"] | None = None
    timeout_seconds: Amount | None = None
    fallback_to_mock: bool | None = None


class SettingsDocument(Lenient):
    """What a layer, or its override for an environment, may say."""

    name: str | None = None
    description: str | None = None
    priority: _Count | None = None
    execution_order: _Count | None = None
    max_duration_minutes: Amount | None = None
    execution_mode: Literal["sequential", "parallel", "hybrid"] | None = None
    fail_fast: bool | None = None
    background_execution: bool | None = None
    resource_limits: LimitsDocument | None = None
    categories: Annotated[list[CategoryDocument], Field(min_length=1)] | None = None
    dependencies: list[str] | None = None
    conflicts: list[str] | None = None
    required_services: list[str] | None = None
    success_criteria: SuccessDocument | None = None
    llm_requirements: LlmDocument | None = None


class LayerDocument(SettingsDocument):
    """A layer."""

    categories: Annotated[list[CategoryDocument], Field(min_length=1)] = Field(description="What it runs.")  # pyright: ignore[reportIncompatibleVariableOverride]
    environment_overrides: dict[str, SettingsDocument] = Field({})


class BackgroundDocument(Lenient):
    """Which layers run in the background."""

    enabled: bool | None = None
    max_background_layers: _Count | None = None
    background_layers: list[str] = Field([])
    monitoring_interval_seconds: float | None = None


class ExecutionDocument(Lenient):
    """How layers follow each other."""

    layer_execution_mode: Literal["sequential", "waterfall", "waterfall_with_background", "parallel"] | None = None
    global_timeout_minutes: Amount | None = None
    layer_startup_timeout_seconds: Amount | None = None
    inter_layer_delay_seconds: Annotated[float, Field(ge=0, le=1e9)] | None = None
    max_global_parallel_tests: _Count | None = None
    max_memory_usage_mb: Amount | None = None
    max_cpu_usage_percent: _Share | None = None
    resource_conflict_resolution: Literal["priority_based", "first_come_first_serve", "round_robin"] | None = None
    fail_fast_strategy: dict[str, Literal["immediate", "category", "layer", "disabled"]] = Field({})
    background_execution: BackgroundDocument = BackgroundDocument()  # pyright: ignore[reportCallIssue]


class ServiceDocument(Lenient):
    """A service that tests rely on."""

    startup_timeout_seconds: Amount | None = None
    health_check_endpoint: str | None = None
    depends_on: list[str] = Field([])
    required_for_layers: list[str] = Field([])
    build_required: bool | None = None


class TestLayersDocument(Lenient):
    """The file."""

    __test__ = False

    model_config = ConfigDict(title="Documented test layers", extra="ignore", frozen=True)

    metadata: dict[str, Any] | None = None
    layers: dict[str, LayerDocument] = Field(min_length=1, description="The layers.")
    execution_config: ExecutionDocument = ExecutionDocument()  # pyright: ignore[reportCallIssue]
    service_dependencies: dict[str, ServiceDocument] = Field({})
    environments: dict[str, Any] = Field({})
    monitoring: dict[str, Any] | None = None
    validation_rules: Any = None


_CATEGORY = ("layers", ANY, "categories", ANY)
_LIMITS = ("layers", ANY, "resource_limits")
_BOUNDS = (
    Bound(("layers", ANY, "name"), 3, 50, CHARACTERS),
    Bound(("layers", ANY, "priority"), 1, 5),
    Bound(("layers", ANY, "execution_order"), 1, 10),
    Bound(("layers", ANY, "max_duration_minutes"), 1, 180, "min"),
    Bound(("layers", ANY, "environment_overrides", ANY, "max_duration_minutes"), 1, 180, "min"),
    Bound((*_LIMITS, "max_memory_mb"), 128, 8192, "MB"),
    Bound((*_LIMITS, "max_cpu_percent"), 10, 100, "%"),
    Bound((*_LIMITS, "max_parallel_instances"), 1, 16),
    Bound((*_CATEGORY, "timeout_seconds"), 30, 3600, "s"),
    Bound((*_CATEGORY, "max_parallel_instances"), 1, 8),
    Bound((*_CATEGORY, "priority_order"), 1, 10),
    Bound((*_CATEGORY, "resource_requirements", "min_memory_mb"), 64, 2048, "MB"),
    Bound(("metadata", "description"), 10, 2000, CHARACTERS),
)
_NO_EFFECT = {
    ("validation_rules",): "the rules are always checked",
    ("monitoring", "progress_tracking"): "progress is always written to the journal as it happens",
    ("monitoring", "performance_monitoring"): "what suites use is always measured",
    ("monitoring", "reporting"): "reports are asked for on the command line",
    ("execution_config", "background_execution", "monitoring_interval_seconds"): "the ends of layers are told at once",
    ("environments",): "what differs in an environment stands in `environment_overrides` of layers",
    ("service_dependencies", ANY, "required_for_layers"): "`required_services` of the layers say it",
    ("service_dependencies", ANY, "build_required"): "Podium builds nothing that is running already",
}
_SERVICES = ("postgresql", "redis", "backend_service", "auth_service", "frontend_service", "websocket_server")


def is_documented(value: dict[str, Any]) -> bool:
    """Return whether a document without `kind` is of this format."""
    layers = value.get("layers")
    if not isinstance(layers, dict):
        return False
    inside: list[Any] = [layer for layer in layers.values() if isinstance(layer, dict)]  # pyright: ignore[reportUnknownVariableType]
    return any(mark in value for mark in MARKS) or any(mark in layer for layer in inside for mark in LAYER_MARKS)


def translate(mapped: Mapped, into: Translation) -> None:
    """Add what the file says to a native document."""
    document = read(TestLayersDocument, mapped, into)
    if document is None:
        return
    tell_unknown(TestLayersDocument, mapped, into)
    tell_no_effect(_NO_EFFECT, mapped, into)
    check_bounds(_BOUNDS, mapped, into)
    into.put(("name",), "test layers", mapped)
    for name, layer in document.layers.items():
        target, source = ("layers", name), ("layers", name)
        _settings(layer, target, source, mapped, into)
        for environment, override in layer.environment_overrides.items():
            there = (*source, "environment_overrides", environment)
            inner = (*target, "environments", environment_name(environment))
            if into.has(*inner):
                text = f"`{environment}` and `{environment_name(environment)}` are one environment"
                into.fail("D180", text, "write both overrides under one name", mapped.span(*there, key=True))
            into.put(inner, {}, mapped, *there)
            _settings(override, inner, there, mapped, into)
    _execution(document, mapped, into)
    for name, service in document.service_dependencies.items():
        _service(name, service, mapped, into)


def _settings(layer: SettingsDocument, target: Path, source: Path, mapped: Mapped, into: Translation) -> None:
    into.put(target, {}, mapped, *source)
    for key, native, value in _plain(layer):
        if value is not None:
            into.put((*target, native), value, mapped, *source, *key)
    for position, category in enumerate(layer.categories or ()):
        _category(category, (*target, "categories", position), (*source, "categories", position), mapped, into)
    llm = layer.llm_requirements
    if llm is not None:
        at = (*source, "llm_requirements")
        into.put((*target, "llm"), {}, mapped, *at)
        if llm.mode is not None:
            into.put((*target, "llm", "mode"), llm.mode, mapped, *at, "mode")
        if llm.timeout_seconds is not None:
            into.put((*target, "llm", "timeout"), duration(llm.timeout_seconds, 1), mapped, *at, "timeout_seconds")
        if llm.fallback_to_mock is not None:
            into.put((*target, "llm", "fallback_to_mock"), llm.fallback_to_mock, mapped, *at, "fallback_to_mock")
    if layer.success_criteria is not None:
        _success(layer.success_criteria, target, (*source, "success_criteria"), mapped, into)


def _plain(layer: SettingsDocument) -> Iterator[tuple[Path, str, Any]]:
    """Yield path in the file, native key, and value of what needs no more than another name."""
    for key, native in (
        *(("name", "title"), ("description", "description"), ("priority", "priority"), ("execution_order", "order")),
        *(("execution_mode", "mode"), ("fail_fast", "fail_fast"), ("background_execution", "background")),
        *(("dependencies", "needs"), ("conflicts", "conflicts"), ("required_services", "services")),
    ):
        yield (key,), native, getattr(layer, key)
    if layer.max_duration_minutes is not None:
        yield ("max_duration_minutes",), "budget", duration(layer.max_duration_minutes, 60)
    limits = layer.resource_limits
    if limits is not None:
        at = "resource_limits"
        yield (at, "max_parallel_instances"), "parallel", limits.max_parallel_instances
        most: dict[str, Any] = {}
        if limits.max_memory_mb is not None:
            most["memory"] = megabytes(limits.max_memory_mb)
        if limits.max_cpu_percent is not None:
            most["cpu"] = limits.max_cpu_percent / 100
        yield (at,), "limits", most or None


def _success(success: SuccessDocument, target: Path, source: Path, mapped: Mapped, into: Translation) -> None:
    """Add criteria; an override says only what it changes, a layer has the documented defaults."""
    is_override = "environments" in target
    given = success.model_fields_set
    into.put((*target, "success"), {}, mapped, *source)
    values = {
        "min_pass_rate": ("min_pass_rate", success.min_pass_rate),
        "max_failures": ("max_failures", success.max_failures),
        "critical_tests_must_pass": ("critical", ["critical"] if success.critical_tests_must_pass else []),
        "allow_partial_success": ("allow_partial", success.allow_partial_success),
    }
    for key, (native, value) in values.items():
        if key in given or not is_override:
            into.put((*target, "success", native), value, mapped, *source, key)


def _category(category: CategoryDocument, target: Path, source: Path, mapped: Mapped, into: Translation) -> None:
    into.put((*target, "name"), category.name, mapped, *source, "name")
    into.origins[target] = (mapped, source)
    for key, native in (
        ("description", "description"),
        ("max_parallel_instances", "parallel"),
        ("priority_order", "priority"),
    ):
        if getattr(category, key) is not None:
            into.put((*target, native), getattr(category, key), mapped, *source, key)
    if category.timeout_seconds is not None:
        into.put((*target, "timeout"), duration(category.timeout_seconds, 1), mapped, *source, "timeout_seconds")
    filters = category.filters
    if filters.include_patterns or filters.exclude_patterns:
        native_filters = {
            "include": [_pattern(word) for word in filters.include_patterns],
            "exclude": [_pattern(word) for word in filters.exclude_patterns],
        }
        into.put((*target, "filters"), native_filters, mapped, *source, "filters")
    _requirements(category.resource_requirements, target, (*source, "resource_requirements"), mapped, into)


def _pattern(word: str) -> str:
    """Return the pattern of paths that a word stands for."""
    return word if any(sign in word for sign in "*?[/") else f"*{word}*"


def _requirements(needed: RequirementsDocument, target: Path, source: Path, mapped: Mapped, into: Translation) -> None:
    services = [name for name in _SERVICES if getattr(needed, f"requires_{name}")]
    if services:
        into.put((*target, "services"), services, mapped, *source)
    for position, name in enumerate(services):
        into.origins[(*target, "services", position)] = (mapped, (*source, f"requires_{name}"))
    if needed.requires_real_services:
        into.put((*target, "real_services"), True, mapped, *source, "requires_real_services")  # noqa: FBT003
    if needed.requires_real_llm:
        into.put((*target, "llm"), {"mode": "real"}, mapped, *source, "requires_real_llm")
    if needed.requires_node_runtime:
        into.put((*target, "programs"), ["node"], mapped, *source, "requires_node_runtime")
    if needed.min_memory_mb is not None:
        into.put((*target, "min_memory"), megabytes(needed.min_memory_mb), mapped, *source, "min_memory_mb")
    if needed.dedicated_resources:
        into.put((*target, "exclusive"), True, mapped, *source, "dedicated_resources")  # noqa: FBT003
    if needed.requires_frontend_build:
        text = "key `requires_frontend_build` has no effect: Podium does not know how the frontend is built"
        hint = "let the command of the category build it"
        into.warn("D171", text, hint, mapped.span(*source, "requires_frontend_build", key=True))


def _execution(document: TestLayersDocument, mapped: Mapped, into: Translation) -> None:
    execution = document.execution_config
    at = ("execution_config",)
    values: dict[str, tuple[str, Any]] = {
        "layer_execution_mode": ("mode", execution.layer_execution_mode),
        "max_global_parallel_tests": ("parallel", execution.max_global_parallel_tests),
    }
    if execution.global_timeout_minutes is not None:
        values["global_timeout_minutes"] = ("budget", duration(execution.global_timeout_minutes, 60))
    if execution.inter_layer_delay_seconds:
        values["inter_layer_delay_seconds"] = ("delay", duration(execution.inter_layer_delay_seconds, 1))
    if execution.max_memory_usage_mb is not None:
        values["max_memory_usage_mb"] = ("memory", megabytes(execution.max_memory_usage_mb))
    if execution.max_cpu_usage_percent is not None:
        values["max_cpu_usage_percent"] = ("cpu", execution.max_cpu_usage_percent / 100)
    for key, (native, value) in values.items():
        if value is not None:
            into.put(("execution", native), value, mapped, *at, key)
    if execution.layer_startup_timeout_seconds is not None:
        value = duration(execution.layer_startup_timeout_seconds, 1)
        into.put(("defaults", "startup_timeout"), value, mapped, *at, "layer_startup_timeout_seconds")
    if execution.resource_conflict_resolution not in (None, "priority_based"):
        text = f"`resource_conflict_resolution: {execution.resource_conflict_resolution}` has no effect"
        hint = "what takes longest goes first, and what conflicts follows in the order of priorities"
        into.warn("D171", text, hint, mapped.span(*at, "resource_conflict_resolution"))
    _strategies(document, mapped, into)
    _background(document, mapped, into)


def _strategies(document: TestLayersDocument, mapped: Mapped, into: Translation) -> None:
    for name, strategy in document.execution_config.fail_fast_strategy.items():
        at = ("execution_config", "fail_fast_strategy", name)
        layer = document.layers.get(name)
        if layer is None:
            into.warn("D166", f"unknown layer `{name}`", _known(document), mapped.span(*at, key=True))
            continue
        if layer.fail_fast is False and strategy == "immediate":
            text = f"`{name}` says `fail_fast: false`, and its strategy is `{strategy}`"
            into.warn("D177", text, "the strategy decides; make both alike", mapped.span(*at))
        if layer.fail_fast and strategy in {"disabled", "layer"}:
            text = f"`{name}` says `fail_fast: true`, and its strategy is `{strategy}`"
            into.warn("D177", text, "the strategy decides; make both alike", mapped.span(*at))
        into.put(("layers", name, "fail_fast"), strategy, mapped, *at)


def _background(document: TestLayersDocument, mapped: Mapped, into: Translation) -> None:
    background, at = document.execution_config.background_execution, ("execution_config", "background_execution")
    if background.enabled is not None:
        into.put(("execution", "background"), background.enabled, mapped, *at, "enabled")
    if background.max_background_layers is not None:
        value = background.max_background_layers
        into.put(("execution", "max_background"), value, mapped, *at, "max_background_layers")
    for position, name in enumerate(background.background_layers):
        place = (*at, "background_layers", position)
        layer = document.layers.get(name)
        if layer is None:
            into.warn("D166", f"unknown layer `{name}`", _known(document), mapped.span(*place))
        elif layer.background_execution is None:
            into.put(("layers", name, "background"), True, mapped, *place)  # noqa: FBT003
        elif not layer.background_execution:
            text = f"`{name}` says `background_execution: false`, and is listed as a background layer"
            into.warn("D177", text, "what the layer says decides; make both alike", mapped.span(*place))


def _known(document: TestLayersDocument) -> str:
    return f"layers here: {', '.join(document.layers)}"


def _service(name: str, service: ServiceDocument, mapped: Mapped, into: Translation) -> None:
    source, target = ("service_dependencies", name), ("services", name)
    into.put(target, {"running": True}, mapped, *source)
    if service.startup_timeout_seconds is not None:
        value = duration(service.startup_timeout_seconds, 1)
        into.put((*target, "startup_timeout"), value, mapped, *source, "startup_timeout_seconds")
    if service.depends_on:
        into.put((*target, "needs"), list(service.depends_on), mapped, *source, "depends_on")
    endpoint = service.health_check_endpoint
    if endpoint is not None:
        at = (*source, "health_check_endpoint")
        into.put((*target, "health"), endpoint, mapped, *at)
        into.put((*target, "exports"), exports_of(name, endpoint), mapped, *at)
