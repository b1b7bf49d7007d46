"""The documented file `execution.yaml`: how the test runner behaves by default.

Every key does something, or is named in a warning with the reason why it does not.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from podium.model.dialects.documented import (
    Amount,
    Bound,
    Lenient,
    check_bounds,
    duration,
    read,
    tell_no_effect,
    tell_unknown,
)
from podium.model.fail_fast_modes import EARLY_END, FAIL_FAST
from podium.model.layers_places import Translation
from podium.model.yaml_loader import Mapped

FailFastMode = Literal[
    "disabled",
    "first_failure",
    "category_failure",
    "critical_failure",
    "threshold_based",
    "smart_adaptive",
    "dependency_aware",
]


class ExecutionDocument(Lenient):
    """The file."""

    model_config = ConfigDict(title="Documented test execution", extra="ignore", frozen=True)

    auto_save_interval_seconds: float | None = None
    consecutive_failures: Annotated[int, Field(ge=1)] | None = None
    critical_failure_count: Annotated[int, Field(ge=1)] | None = None
    enable_persistence: bool | None = None
    enable_progress_tracking: bool | None = None
    environment: str | None = None
    evaluation_window_minutes: float | None = None
    fail_fast_mode: FailFastMode | None = None
    failure_rate_threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    generate_reports: bool | None = None
    max_parallel_workers: Annotated[int, Field(ge=1)] | None = None
    min_sample_size: Annotated[int, Field(ge=1)] | None = None
    report_formats: list[str] | None = None
    splitting_strategy: str | None = None
    target_window_duration_minutes: float | None = None
    timeout_minutes: Amount | None = None
    use_real_llm: bool | None = None
    use_real_services: bool | None = None


MARKS = tuple(ExecutionDocument.model_fields)
"""Keys by which the format is recognised."""
_FEWEST = 2
_NO_EFFECT = {
    ("auto_save_interval_seconds",): "what happens is written to the journal at once",
    ("enable_persistence",): "the journal is always kept",
    ("enable_progress_tracking",): "progress is always tracked",
    ("environment",): "the environment is given on the command line",
    ("evaluation_window_minutes",): "failures count however long ago they were in a run",
    ("generate_reports",): "reports are asked for on the command line",
    ("report_formats",): "reports are asked for on the command line",
    ("splitting_strategy",): "categories run as soon as they may, and are not split into windows",
    ("target_window_duration_minutes",): "categories are not split into windows",
}
_BOUNDS = (Bound(("max_parallel_workers",), 1, 64), Bound(("timeout_minutes",), 1, 180, "min"))


def is_documented(value: dict[str, Any]) -> bool:
    """Return whether a document without `kind` is of this format."""
    return sum(mark in value for mark in MARKS) >= min(_FEWEST, len(value))


def translate(mapped: Mapped, into: Translation) -> None:
    """Add what the file says to a native document; what that says already stays."""
    document = read(ExecutionDocument, mapped, into)
    if document is None:
        return
    tell_unknown(ExecutionDocument, mapped, into)
    tell_no_effect(_NO_EFFECT, mapped, into)
    check_bounds(_BOUNDS, mapped, into)
    values: list[tuple[str, tuple[str, str], Any]] = [
        ("max_parallel_workers", ("execution", "parallel"), document.max_parallel_workers),
        ("use_real_llm", ("defaults", "real_llm"), document.use_real_llm),
        ("use_real_services", ("defaults", "real_services"), document.use_real_services),
    ]
    if document.timeout_minutes is not None:
        values.append(("timeout_minutes", ("execution", "budget"), duration(document.timeout_minutes, 60)))
    if document.fail_fast_mode is not None:
        values.append(("fail_fast_mode", ("defaults", "fail_fast"), FAIL_FAST[document.fail_fast_mode]))
    _thresholds(document, mapped, into)
    for key, target, value in values:
        if value is None:
            continue
        if into.has(*target):
            text = f"key `{key}` has no effect: the layers say it themselves"
            into.warn("D171", text, "remove one of them", mapped.span(key, key=True))
        else:
            into.put(target, value, mapped, key)


_THRESHOLDS = {
    "consecutive_failures": "consecutive",
    "failure_rate_threshold": "rate",
    "min_sample_size": "sample",
    "critical_failure_count": "critical",
}


def _thresholds(document: ExecutionDocument, mapped: Mapped, into: Translation) -> None:
    """Add when categories end early, and tell of thresholds that the mode does not use."""
    mode = document.fail_fast_mode or "category_failure"
    rules = EARLY_END.get(mode)
    if rules is not None and document.fail_fast_mode is not None:
        into.put(("defaults", "early_end"), dict(rules), mapped, "fail_fast_mode")
    for key, native in _THRESHOLDS.items():
        value = getattr(document, key)
        if value is None:
            continue
        if rules is None or native not in rules:
            users = [name for name, rule in EARLY_END.items() if native in rule]
            text = f"key `{key}` has no effect with `fail_fast_mode: {mode}`"
            into.warn("D171", text, f"it is for {' and '.join(users)}", mapped.span(key, key=True))
        elif native != "critical":
            into.put(("defaults", "early_end", native), value, mapped, key)
        elif value != 1:
            text = f"`critical_failure_count: {value}` has no effect: one critical test that fails is enough"
            into.warn("D171", text, "remove it", mapped.span(key))
