"""The campaign file: one JSON document per campaign, for tools that read results from a directory."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath
from typing import Any, cast

import msgspec

from podium.analysis.new_files import write_new
from podium.errors import EnvironmentProblemError, UsageError
from podium.history import RunRow, StepRow


def campaign_document(
    run: RunRow, steps: Iterable[StepRow], *, paths: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the document of a campaign: plain JSON, times local with offset.

    A step of the plan without outcome counts as failed and has no result. `error` is in a result only if there is one
    to tell. An output that is not an object stands under `output`.

    Args:
        run: The campaign's run.
        steps: Its steps.
        paths: Case name to the scenario's path. What is missing is looked up in the option `paths`, by file name.

    Raises:
        UsageError: The option `speed` is not a number of at least 0 or `max`, the id is no UUID, or an output is not
            JSON.
    """
    steps = list(steps)
    started = _local(run.started_us)
    total = max(run.steps, len(steps))
    passed = sum(step.outcome == "passed" for step in steps)
    return {
        "campaign_id": f"{started:%Y%m%d_%H%M%S}_{_tail(run.id)}",
        "timestamp": started.isoformat(timespec="microseconds"),
        "total_scenarios": total,
        "passed": passed,
        "failed": total - passed,
        "pass_rate": passed / total if total else 0.0,
        "parallel_limit": run.slots,
        "speed_multiplier": _speed(run.options.get("speed", "max")),
        "results": {step.name: _result(step, _path(step.name, paths or {}, run.options)) for step in steps},
    }


def write_campaign(folder: Path, document: Mapping[str, Any]) -> Path:
    """Write `campaign_<id>.json` and return its path; the folder is made if need be.

    The file appears complete or not at all and never replaces another: if the name is taken, it gets `_2`, `_3`, ….

    Raises:
        UsageError: The document has no usable `campaign_id`, or is not JSON.
        EnvironmentProblemError: The file cannot be written.
    """
    name = document.get("campaign_id")
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w-]*", name):
        raise UsageError(f"a campaign id is made of letters, digits, `_` and `-`, not {name!r}")
    try:
        text = json.dumps(document, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"the campaign is not JSON: {error}") from error
    try:
        return write_new(folder, f"campaign_{name}", f"{text}\n".encode())
    except OSError as error:
        hint = "choose a directory that can be written"
        raise EnvironmentProblemError(
            f"cannot write a campaign into `{folder}`: {error}", code="E502", hint=hint
        ) from error


def _local(us: int) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).astimezone()


def _tail(run: str) -> str:
    """Return the first 8 of the last 12 hexadecimal digits."""
    try:
        return uuid.UUID(run).hex[-12:-4]
    except ValueError as error:
        raise UsageError(f"a run id is a UUID, not `{run}`") from error


def _speed(speed: Any) -> float:
    """Return how many times real time was asked for; 0 is as fast as possible."""
    if speed == "max":
        return 0.0
    try:
        multiplier = float(speed)
    except (TypeError, ValueError):
        multiplier = -1.0
    if not 0 <= multiplier < float("inf"):
        raise UsageError(f"speed must be a number of at least 0 or `max`, not {speed!r}")
    return multiplier


def _path(name: str, paths: Mapping[str, str], options: Mapping[str, Any]) -> str | None:
    """Return the path of a case, None if it is not known or there are several it could be."""
    if name in paths:
        return paths[name]
    given = options.get("paths")
    if not isinstance(given, list | tuple):
        return None
    candidates = [str(path) for path in cast("Iterable[object]", given)]
    fitting = [path for path in candidates if name in (path, PurePath(path).name, PurePath(path).stem)]
    return fitting[0] if len(fitting) == 1 else None


def _result(step: StepRow, path: str | None) -> dict[str, Any]:
    output = _plain(step)
    result: dict[str, Any] = {}
    if isinstance(output, dict):
        result.update(cast("dict[str, Any]", output))
    elif output is not None:
        result["output"] = output
    result["success"] = step.outcome == "passed"
    error = step.failure.message if step.failure else step.reason
    if error and not result["success"]:
        result["error"] = error
    result["scenario_name"] = step.name
    result["scenario_path"] = path
    result["execution_timestamp"] = _local(step.finished_us).isoformat(timespec="microseconds")
    return result


def _plain(step: StepRow) -> Any:
    """Return the output as JSON reads it back: lists, no tuples; nothing shared with the step."""
    try:
        return json.loads(json.dumps(msgspec.to_builtins(step.output), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(f"the output of `{step.name}` is not JSON: {error}") from error
