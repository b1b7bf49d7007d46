"""The native scenario document (`kind: scenario`) as pydantic checks it; `podium.model.resolving` gives it meaning.

Quantities carry their unit in the document and none in here: durations are in ns, the rest in the base unit of
`podium.model.units`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from podium.model.scenario import FaultType
from podium.model.units import Dimension, UnitError, parse_duration_ns, parse_quantity

_NUMBER = r"^\s*[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?\s*"


def _text_schema(units: str, example: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"{_NUMBER}({units})\\s*$", "examples": [example]}


def _quantity(dimension: Dimension, units: str, example: str, *, bare: bool = False) -> Any:
    def parse(value: object) -> float:
        return parse_quantity(value, dimension)

    text = _text_schema(units, example)
    schema: dict[str, Any] = {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, text]} if bare else text
    return (BeforeValidator(parse), WithJsonSchema(schema))


NODE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_-]*$"
"""What a node may be called."""
FARTHEST_KM = 1e6
"""Largest coordinate [km]."""
_LENGTHS = "km|m|cm|mm"
_duration_schema = _text_schema("d|h|min|s|ms|us|ns", "20 min")
Duration = Annotated[int, BeforeValidator(parse_duration_ns), WithJsonSchema(_duration_schema)]
"""A duration such as `20 min` [ns]."""
PositiveDuration = Annotated[int, Field(gt=0), BeforeValidator(parse_duration_ns), WithJsonSchema(_duration_schema)]
"""A duration above zero [ns]."""
Kilometres = Annotated[float, Field(ge=-FARTHEST_KM, le=FARTHEST_KM), *_quantity("length", _LENGTHS, "1.2 km")]
Degrees = Annotated[float, *_quantity("angle", "deg|rad|arcmin", "20 deg")]
Celsius = Annotated[float, *_quantity("temperature", "degC|°C|K|degF", "15 degC")]
Ratio = Annotated[float, Field(ge=0, le=1), *_quantity("ratio", "%|", "2 %", bare=True)]
DataRate = Annotated[float, Field(gt=0), *_quantity("data rate", "bit/s|kbit/s|Mbit/s|Gbit/s|B/s", "1 Mbit/s")]
DataSize = Annotated[float, Field(ge=1, le=1e12), *_quantity("data size", "B|kB|KiB|MB|MiB|GB|GiB", "64 B")]
NodeName = Annotated[str, Field(min_length=1, max_length=64, pattern=NODE_NAME)]


def _position(value: object) -> object:
    """Accept `"[0, 0, 420] km"` as text beside a list of lengths."""
    hint = "write three lengths: [0 km, 0 km, 420 km]"
    if isinstance(value, str):
        match = _POSITION.fullmatch(value)
        if match is None:
            raise UnitError(f"{value[:40]!r} is no position", hint=hint)
        value = [f"{number.strip()} {match[4]}" for number in match.groups()[:_AXES]]
        for length in value:
            parse_quantity(length, "length")  # one error here, instead of one for each axis at the same place
    if not isinstance(value, list | tuple):
        raise UnitError("this is no position", hint=hint)
    if len(value) != _AXES:  # pyright: ignore[reportUnknownArgumentType]
        raise UnitError(f"a position has {_AXES} lengths, not {len(value)}", hint=hint)  # pyright: ignore[reportUnknownArgumentType]
    return tuple(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


_AXES = 3
_POSITION_TEXT = r"^\s*\[([^,\]]*),([^,\]]*),([^,\]]*)\]\s*(km|m|cm|mm)\s*$"
_POSITION = re.compile(_POSITION_TEXT)
_position_schema = {
    "anyOf": [
        {"type": "array", "items": _text_schema(_LENGTHS, "1.2 km"), "minItems": _AXES, "maxItems": _AXES},
        {"type": "string", "pattern": _POSITION_TEXT, "examples": ["[0, 0, 420] km"]},
    ]
}
Position = Annotated[
    tuple[Kilometres, Kilometres, Kilometres], BeforeValidator(_position), WithJsonSchema(_position_schema)
]


class Document(BaseModel):
    """Base of all documents: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


def _form(value: object) -> str:
    """Tell the long form of a key, a mapping, from the short one."""
    return "long" if isinstance(value, dict | BaseModel) else "short"


class RuleDocument(Document):
    """How a node notices a fault."""

    fault: FaultType = Field(description="What the condition is taken for.")
    when: str = Field(description="Condition on the node's own signals: `battery.temperature > 50 degC`.")
    for_: Duration = Field(0, alias="for", description="How long the condition must hold before it counts.")


class RecoveryDocument(Document):
    """What a node does about faults."""

    policy: Literal["none", "safe_mode"] = Field(
        "safe_mode", description="`none` does nothing; `safe_mode` goes to safe mode and back."
    )
    decision: Duration = Field(2_000_000_000, description="Time from detection to decision.")
    action: Duration = Field(3_000_000_000, description="Time from decision to the action taking effect.")
    clear: Duration = Field(60_000_000_000, description="How long all must be clear before the node returns.")
    rules: list[RuleDocument] = Field([], description="How faults are noticed; empty: the standard rules.")


RecoveryField = Annotated[
    Annotated[Literal["none", "safe_mode"], Tag("short")] | Annotated[RecoveryDocument, Tag("long")],
    Discriminator(_form),
]


class _NodeDocument(Document):
    count: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description="Makes so many nodes, named NAME1, NAME2, …; without it one node, NAME."
    )


class SatelliteDocument(_NodeDocument):
    """A small satellite in low Earth orbit."""

    type: Literal["satellite"] = Field(description="Satellite, sensor or gateway.")
    position: Position = Field((0.0, 0.0, 420.0), description="Offset along and across the track, and altitude.")
    neighbours: list[str] = Field([], description="Nodes it exchanges beacons with.")
    recovery: RecoveryField | None = Field(None, description="Instead of the scenario's; without it the scenario's.")
    initial_soc: Ratio = Field(0.85, description="State of charge at the start.")
    initial_temperature: Celsius = Field(15.0, ge=-50, le=60, description="Temperature at the start.")


class SensorDocument(_NodeDocument):
    """Sends numbered packets to one node, periodically."""

    type: Literal["sensor"] = Field(description="Satellite, sensor or gateway.")
    to: str = Field(description="Node that takes the packets.")
    period: PositiveDuration = Field(1_000_000_000, description="Time between two packets.")
    size: DataSize = Field(64.0, description="Size of a packet.")


class GatewayDocument(_NodeDocument):
    """Receives numbered packets and counts what is missing."""

    type: Literal["gateway"] = Field(description="Satellite, sensor or gateway.")


NodeDocument = Annotated[SatelliteDocument | SensorDocument | GatewayDocument, Field(discriminator="type")]


class GilbertElliottDocument(Document):
    """Loss in bursts: lost by the current state, then the transition."""

    p: Ratio = Field(description="Probability per packet of good to bad.")
    r: Ratio = Field(description="Probability per packet of bad to good.")
    good: Ratio = Field(0.0, description="Loss probability in the good state.")
    bad: Ratio = Field(1.0, description="Loss probability in the bad state.")


class BurstLossDocument(Document):
    """Loss by the Gilbert-Elliott model."""

    gilbert_elliott: GilbertElliottDocument


LossField = Annotated[
    Annotated[Ratio, Tag("short")] | Annotated[BurstLossDocument, Tag("long")],
    Discriminator(_form),
]


class LinkModelDocument(Document):
    """How a link carries packets."""

    latency: Duration = Field(0, description="Fixed delay.")
    jitter: Duration = Field(0, description="Half-width of the uniform delay around the latency; order is kept.")
    loss: LossField = Field(0.0, description="Probability that a packet is lost, or loss in bursts.")
    bandwidth: DataRate | None = Field(None, description="Rate; packets queue behind each other. Without it no limit.")
    queue: DataSize | None = Field(
        None,
        description="Room in the queue; a packet that finds none is dropped. Without it no limit.",
    )


class LinkDocument(LinkModelDocument):
    """One directed link that differs from the default."""

    from_: str = Field(alias="from", description="Node that sends.")
    to: str = Field(description="Node that receives.")


class PartitionDocument(Document):
    """A time in which groups of nodes cannot reach each other."""

    groups: list[list[str]] = Field(description="Nodes that still reach each other; a node in no group is alone.")
    at: Duration = Field(description="When it begins.")
    for_: PositiveDuration = Field(alias="for", description="How long it lasts.")


class NetworkDocument(Document):
    """How nodes reach each other."""

    default: LinkModelDocument = Field(LinkModelDocument(), description="Every link not listed.")  # pyright: ignore[reportCallIssue]
    links: list[LinkDocument] = Field([], description="Links that differ; what one does not say is the default's.")
    partitions: list[PartitionDocument] = Field([], description="Times of separation.")


class FaultDocument(Document):
    """A disturbance on simulated time."""

    type: FaultType = Field(description="What happens.")
    node: str = Field(description="Satellite it acts on.")
    at: Duration = Field(description="When it begins.")
    for_: PositiveDuration = Field(300_000_000_000, alias="for", description="How long it lasts.")
    severity: float = Field(0.5, ge=0.1, le=1.0, description="How strong it is.")


class CriterionDocument(Document):
    """What must hold: one of `always`, `eventually`, `at_end`, or `within` with `holds`."""

    always: str | None = Field(None, description="Condition that holds at every instant.")
    eventually: str | None = Field(None, description="Condition that holds at least once.")
    at_end: str | None = Field(None, description="Condition that holds at the end.")
    within: Duration | None = Field(None, description="Longest time that `holds` may be violated.")
    holds: str | None = Field(None, description="Condition for `within`.")
    from_: Duration = Field(0, alias="from", description="Start of the window.")
    until: Duration | None = Field(None, description="End of the window; without it the end of the scenario.")
    name: str | None = Field(
        None, min_length=1, max_length=200, description="Name of the verdict; without it the form and the condition."
    )


class EnvironmentDocument(Document):
    """What all satellites share."""

    beta: Degrees = Field(20.0, ge=-90, le=90, description="Angle between the Sun and the orbit's plane.")
    phase: Degrees = Field(0.0, ge=-360, le=360, description="Angle from the point nearest to the Sun, at the start.")


class ScenarioDocument(Document):
    """A scenario: nodes, network, faults, and what must hold."""

    model_config = ConfigDict(title="Podium scenario", extra="forbid", frozen=True, strict=True)

    kind: Literal["scenario"] = Field(description="What the document is.")
    name: str = Field(min_length=1, max_length=200, description="What a person calls it.")
    description: str = Field("", description="One paragraph.")
    duration: PositiveDuration = Field(description="Simulated time.")
    step: PositiveDuration = Field(100_000_000, description="Period of telemetry, control and criteria.")
    seed: int | None = Field(
        None,
        ge=0,
        lt=2**63,
        description="Seed of every random stream; without it 0. `--seed` and `--seeds` replace it.",
    )
    recovery: RecoveryField = Field("safe_mode", description="What nodes do about faults.")
    environment: EnvironmentDocument = Field(EnvironmentDocument(), description="What all satellites share.")  # pyright: ignore[reportCallIssue]
    nodes: dict[NodeName, NodeDocument] = Field(
        min_length=1, description="A name has up to 64 letters, digits, `-` and `_`, and no `-` at its beginning."
    )
    network: NetworkDocument = Field(NetworkDocument(), description="How nodes reach each other.")  # pyright: ignore[reportCallIssue]
    faults: list[FaultDocument] = Field([], description="Disturbances.")
    criteria: list[CriterionDocument] = Field([], description="What must hold.")
