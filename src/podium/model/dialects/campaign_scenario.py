"""The scenario format with `duration_s`, `satellites`, `fault_sequence` and `success_criteria`.

It says nothing about recovery, seed or step: nodes use safe mode, the campaign gives the seed, the step is 100 ms.
Unknown keys, which the format ignores, are accepted with a warning, except among the success criteria: there a
misspelt limit would be one that nobody checks.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from podium.errors import Diagnostic
from podium.model.documents import FARTHEST_KM, NODE_NAME
from podium.model.findings import Path, diagnostics_of, did_you_mean, existing, fields_at
from podium.model.scenario import FaultType
from podium.model.units import format_duration
from podium.model.yaml_loader import Mapped

MARKS = ("satellites", "duration_s", "fault_sequence", "success_criteria")
"""Keys by which the format is recognised when `kind` is missing."""

_LONGEST_ID = 16


def _three(value: list[float]) -> list[float]:
    if len(value) != 3:  # noqa: PLR2004 (x, y, z)
        raise ValueError("Position must be [x, y, z]")
    return value


def _name(value: str) -> str:
    if re.fullmatch(NODE_NAME, value) is None:
        raise ValueError(f"satellite id `{value}` may have letters, digits, - and _, and not - at its beginning")
    return value


_Kilometres = Annotated[float, Field(ge=-FARTHEST_KM, le=FARTHEST_KM)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class SatelliteDocument(_Document):
    """One satellite."""

    id: Annotated[str, AfterValidator(_name)] = Field(min_length=1, max_length=_LONGEST_ID)
    initial_position_km: Annotated[list[_Kilometres], AfterValidator(_three)] = [0.0, 0.0, 420.0]
    neighbors: list[str] = []


class FaultDocument(_Document):
    """One fault."""

    type: FaultType
    satellite: str
    start_time_s: float = Field(ge=0)
    severity: float = Field(0.5, ge=0.1, le=1.0)
    duration_s: float = Field(300.0, ge=10)


class SuccessCriteriaDocument(_Document):
    """Limits that hold during the whole run, for every satellite."""

    max_nadir_error_deg: float = Field(5.0, ge=0, le=180)
    min_battery_soc: float = Field(0.3, ge=0, le=1)
    max_temperature_c: float = Field(50.0, ge=0, le=100)
    max_packet_loss: float = Field(0.1, ge=0, le=1)


class CampaignScenarioDocument(_Document):
    """A scenario in the documented format."""

    model_config = ConfigDict(title="Campaign scenario", extra="ignore", frozen=True)

    name: str
    description: str
    duration_s: int = Field(1800, ge=60, le=86400)
    satellites: list[SatelliteDocument] = Field(min_length=1, max_length=10)
    fault_sequence: list[FaultDocument] = []
    success_criteria: SuccessCriteriaDocument = SuccessCriteriaDocument()  # pyright: ignore[reportCallIssue]


def translate(mapped: Mapped) -> tuple[dict[str, Any], list[Diagnostic]]:
    """Return the document in the native form, and what was found; the form makes sense only without errors."""
    try:
        document = CampaignScenarioDocument.model_validate(mapped.value)
    except ValidationError as error:
        return {}, diagnostics_of(error, mapped, CampaignScenarioDocument)
    findings = [*_ignored(mapped), *_references(document, mapped)]
    broken = any(finding.severity == "error" for finding in findings)
    return {} if broken else _native(document), findings


def _native(document: CampaignScenarioDocument) -> dict[str, Any]:
    ids = {satellite.id for satellite in document.satellites}
    limits = document.success_criteria
    conditions = {
        "max_nadir_error_deg": f"*.attitude.nadir_error <= {limits.max_nadir_error_deg!r} deg",
        "min_battery_soc": f"*.battery.soc >= {limits.min_battery_soc!r}",
        "max_temperature_c": f"*.battery.temperature <= {limits.max_temperature_c!r} degC",
        "max_packet_loss": f"*.comms.packet_loss <= {limits.max_packet_loss!r}",
    }
    return {
        "kind": "scenario",
        "name": document.name or "unnamed",
        "description": document.description,
        "duration": f"{document.duration_s} s",
        "nodes": {
            satellite.id: {
                "type": "satellite",
                "position": [f"{value!r} km" for value in satellite.initial_position_km],
                "neighbours": [name for name in satellite.neighbors if name in ids and name != satellite.id],
            }
            for satellite in document.satellites
        },
        "faults": [_fault(fault, document.duration_s) for fault in document.fault_sequence],
        "criteria": [{"always": condition, "name": name} for name, condition in conditions.items()],
    }


def _fault(fault: FaultDocument, end_s: int) -> dict[str, Any]:
    """Return a fault in the native form, with times rounded to the nanosecond but not beyond the end."""
    start = round(fault.start_time_s * 1e9)
    duration = min(round(fault.duration_s * 1e9), end_s * 1_000_000_000 - start)
    return {
        "type": fault.type,
        "node": fault.satellite,
        "at": format_duration(start),
        "for": format_duration(duration),
        "severity": fault.severity,
    }


def _ignored(mapped: Mapped) -> list[Diagnostic]:
    findings: list[Diagnostic] = []

    def look(value: Any, path: Path) -> None:
        if isinstance(value, dict):
            known = fields_at(CampaignScenarioDocument, path)
            for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
                name = str(key)  # pyright: ignore[reportUnknownArgumentType]
                if name in known:
                    look(inner, (*path, name))
                elif (path, name) != ((), "kind"):
                    findings.append(_unknown(name, path, known, mapped))
        elif isinstance(value, list):
            for index, inner in enumerate(value):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
                look(inner, (*path, index))

    look(mapped.value, ())
    return findings


def _unknown(name: str, path: Path, known: list[str], mapped: Mapped) -> Diagnostic:
    """Return what there is to say of a key that the format ignores; a limit that nobody would check is an error."""
    hint, span = did_you_mean(name, known, what="keys here"), mapped.span(*path, name, key=True)
    if path == ("success_criteria",):
        return Diagnostic("D121", f"unknown key `{name}`", hint, span)
    return Diagnostic("D133", f"key `{name}` is ignored", hint, span, "warning")


def _references(document: CampaignScenarioDocument, mapped: Mapped) -> list[Diagnostic]:
    findings: list[Diagnostic] = []
    ids: set[str] = set()

    def report(code: str, message: str, *path: str | int, warning: bool = False) -> None:
        span = mapped.span(*existing(mapped.value, path))
        findings.append(Diagnostic(code, message, None, span, "warning" if warning else "error"))

    for index, satellite in enumerate(document.satellites):
        if satellite.id in ids:
            report("D130", f"two satellites have the id `{satellite.id}`", "satellites", index, "id")
        ids.add(satellite.id)
    for index, satellite in enumerate(document.satellites):
        for position, text in _neighbour_issues(satellite, ids):
            report("D134", text, "satellites", index, "neighbors", position, warning=True)
    for index, fault in enumerate(document.fault_sequence):
        if fault.satellite not in ids:
            text = f"Fault targets unknown satellite: {fault.satellite}"
            report("D125", text, "fault_sequence", index, "satellite")
        if fault.start_time_s + fault.duration_s > document.duration_s:
            text = (
                f"Fault at {fault.start_time_s:g}s with duration {fault.duration_s:g}s "
                f"exceeds test duration {document.duration_s}s"
            )
            report("D128", text, "fault_sequence", index, "start_time_s")
    return findings


def _neighbour_issues(satellite: SatelliteDocument, ids: set[str]) -> list[tuple[int, str]]:
    issues: list[tuple[int, str]] = []
    for position, name in enumerate(satellite.neighbors):
        if name == satellite.id:
            issues.append((position, f"Satellite {name} cannot be its own neighbor"))
        elif name not in ids:
            issues.append((position, f"Satellite {satellite.id} references unknown neighbor {name}"))
    return issues
