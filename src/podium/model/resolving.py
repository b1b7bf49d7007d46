"""From a checked document to a scenario: names are looked up, defaults handed on, times compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from podium.errors import Diagnostic, DocumentError
from podium.model import documents as d
from podium.model.conditions import ConditionError, parse_condition, parse_own_condition
from podium.model.findings import Path, did_you_mean
from podium.model.scenario import (
    Criterion,
    DetectionRule,
    Fault,
    Link,
    LinkModel,
    Loss,
    Network,
    Node,
    Partition,
    Recovery,
    Scenario,
)
from podium.model.units import format_duration
from podium.model.yaml_loader import Mapped

_MOST_STEPS = 50_000_000
_LONGEST_SATELLITE_STEP = 2_000_000_000
"""Beyond it a tumble or a thermal runaway is integrated too coarsely to be believed [ns]."""
_MOST_NODES = 10_000
_FAULT = format_duration(d.FaultDocument.model_fields["for_"].default)


class Resolver:
    """Resolves one document, collecting every finding.

    Args:
        document: What was checked.
        mapped: The file with its positions.
    """

    def __init__(self, document: d.ScenarioDocument, mapped: Mapped) -> None:
        self._document = document
        self._mapped = mapped
        self._types: dict[str, str] = {}
        self._found: dict[Diagnostic, None] = {}

    @property
    def findings(self) -> list[Diagnostic]:
        """Errors and warnings so far, each once, however many nodes a `count` or a shared recovery makes of it."""
        return list(self._found)

    def resolve(self) -> Scenario:
        """Return the scenario; it makes sense only if no finding is an error.

        Raises:
            DocumentError: Far too many nodes to go on (D136).
        """
        document = self._document
        self._sizes()
        names = self._names()
        nodes = tuple(self._node(key, name, node) for key, name, node in names)
        faults = tuple(self._fault(index, fault) for index, fault in enumerate(document.faults))
        criteria = tuple(c for index, item in enumerate(document.criteria) if (c := self._criterion(index, item)))
        if not document.criteria:
            text = "the scenario has no criteria, so its verdict will be `errored`"
            self._report("D132", text, ("criteria",), "warning", hint="say what must hold: criteria: [{always: ...}]")
        return Scenario(
            name=document.name,
            description=document.description,
            duration_ns=document.duration,
            step_ns=document.step,
            seed=document.seed or 0,
            nodes=nodes,
            network=self._network(),
            faults=tuple(sorted(faults, key=lambda fault: fault.start_ns)),
            criteria=criteria,
            environment={"beta": document.environment.beta, "phase": document.environment.phase},
        )

    def _names(self) -> list[tuple[str, str, d.NodeDocument]]:
        found: list[tuple[str, str, d.NodeDocument]] = []
        for key, node in self._document.nodes.items():
            names = [key] if node.count is None else [f"{key}{number}" for number in range(1, node.count + 1)]
            twice = next((name for name in names if name in self._types), None)
            if twice is not None:
                self._report("D130", f"two nodes have the name `{twice}`", ("nodes", key), key=True)
            for name in names:
                self._types[name] = node.type
                found.append((key, name, node))
        return found

    def _sizes(self) -> None:
        document = self._document
        steps = document.duration // document.step
        if steps > _MOST_STEPS:
            text = f"{steps} steps are more than {_MOST_STEPS}"
            key = "step" if "step" in document.model_fields_set else "duration"
            self._report("D136", text, (key,), hint="use a longer step or a shorter duration")
        if document.step > document.duration:
            text = f"a step of {format_duration(document.step)} is longer than the scenario"
            self._report("D138", text, ("step",), hint="use a shorter step")
        elif document.step > _LONGEST_SATELLITE_STEP and "satellite" in {n.type for n in document.nodes.values()}:
            text = (
                f"a step of {format_duration(document.step)} is too long for satellites, "
                f"at most {format_duration(_LONGEST_SATELLITE_STEP)}"
            )
            self._report("D138", text, ("step",), hint="their motion and heat would be computed too coarsely")
        nodes = sum(node.count or 1 for node in document.nodes.values())
        if nodes > _MOST_NODES:
            text = f"{nodes} nodes are more than {_MOST_NODES}"
            self._report("D136", text, ("nodes",), hint="use a smaller `count`", key=True)
            raise DocumentError(self.findings)

    def _node(self, key: str, name: str, node: d.NodeDocument) -> Node:
        if isinstance(node, d.SatelliteDocument):
            for index, other in enumerate(node.neighbours):
                self._known(other, ("nodes", key, "neighbours", index))
                if other == name:
                    text = f"`{name}` cannot be its own neighbour"
                    self._report("D129", text, ("nodes", key, "neighbours", index))
            return Node(
                id=name,
                type=node.type,
                position_km=node.position,
                neighbours=tuple(node.neighbours),
                recovery=self._recovery(key, node),
                settings={"initial_soc": node.initial_soc, "initial_temperature": node.initial_temperature},
            )
        if isinstance(node, d.SensorDocument):
            self._known(node.to, ("nodes", key, "to"))
            if node.to == name:
                self._report("D129", f"`{name}` cannot send to itself", ("nodes", key, "to"))
            settings = {"to": node.to, "period_ns": node.period, "size_bytes": round(node.size)}
            return Node(id=name, type=node.type, settings=settings)
        return Node(id=name, type=node.type)

    def _recovery(self, key: str, node: d.SatelliteDocument) -> Recovery:
        given, path = node.recovery, ("nodes", key, "recovery")
        if given is None:
            given, path = self._document.recovery, ("recovery",)
        if isinstance(given, str):
            return Recovery(policy=given)
        rules: list[DetectionRule] = []
        for index, rule in enumerate(given.rules):
            try:
                rules.append(DetectionRule(rule.fault, parse_own_condition(rule.when, node.type), rule.for_))
            except ConditionError as error:
                self._report(error.code, str(error), (*path, "rules", index, "when"), hint=error.hint)
        return Recovery(given.policy, tuple(rules), given.decision, given.action, given.clear)

    def _network(self) -> Network:
        network = self._document.network
        links: list[Link] = []
        for index, link in enumerate(network.links):
            self._known(link.from_, ("network", "links", index, "from"))
            self._known(link.to, ("network", "links", index, "to"))
            if link.from_ == link.to:
                self._report("D129", f"a link from `{link.to}` to itself", ("network", "links", index, "to"))
            links.append(Link(link.from_, link.to, _link_model(_completed(link, network.default))))
        partitions: list[Partition] = []
        for index, partition in enumerate(network.partitions):
            path = ("network", "partitions", index)
            for i, group in enumerate(partition.groups):
                for j, name in enumerate(group):
                    self._known(name, (*path, "groups", i, j))
            groups = tuple(tuple(group) for group in partition.groups)
            partitions.append(Partition(groups, partition.at, partition.at + partition.for_))
        return Network(_link_model(network.default), tuple(links), tuple(partitions))

    def _fault(self, index: int, fault: d.FaultDocument) -> Fault:
        path = ("faults", index)
        self._known(fault.node, (*path, "node"))
        kind = self._types.get(fault.node, "satellite")
        if kind != "satellite":
            text = f"{fault.type} acts on satellites, and `{fault.node}` is a {kind}"
            self._report("D131", text, (*path, "node"), hint="use a partition or loss in `network` for other nodes")
        end = fault.at + fault.for_
        if end > self._document.duration:
            text = (
                f"the fault ends at {format_duration(end)}, after the scenario, "
                f"which lasts {format_duration(self._document.duration)}"
            )
            key = "for" if "for_" in fault.model_fields_set else "at"
            self._report("D128", text, (*path, key), hint=f"make it shorter; without `for` it lasts {_FAULT}")
        return Fault(fault.type, fault.node, fault.at, fault.for_, fault.severity)

    def _criterion(self, index: int, item: d.CriterionDocument) -> Criterion | None:
        path = ("criteria", index)
        kinds = [kind for kind in ("always", "eventually", "at_end", "within") if getattr(item, kind) is not None]
        if len(kinds) != 1:
            given = " and ".join(f"`{kind}`" for kind in kinds) or "none"
            text = f"a criterion has one of `always`, `eventually`, `at_end`, `within`, and this one has {given}"
            self._report(
                "D137", text, path, hint="make one criterion of each" if kinds else "write {always: CONDITION}"
            )
            return None
        kind = kinds[0]
        key = "holds" if kind == "within" else kind
        if (kind == "within") != (item.holds is not None):
            hint = "write {within: 60 s, holds: CONDITION}"
            self._report("D137", "`within` and `holds` belong together", path, hint=hint)
            return None
        condition: str = getattr(item, key)
        try:
            threshold = parse_condition(condition, self._types)
        except ConditionError as error:
            self._report(error.code, str(error), (*path, key), hint=error.hint)
            return None
        if item.until is not None and item.until < item.from_:
            text = (
                f"the window ends at {format_duration(item.until)}, before it begins at {format_duration(item.from_)}"
            )
            self._report("D137", text, (*path, "until"))
        if item.from_ > self._document.duration:
            text = (
                f"the window begins at {format_duration(item.from_)}, after the scenario, "
                f"which lasts {format_duration(self._document.duration)}"
            )
            self._report("D137", text, (*path, "from"))
        if kind == "at_end" and {"from_", "until"} & item.model_fields_set:
            self._report(
                "D137", "`at_end` has no window", path, hint="use `eventually` or `always` with from and until"
            )
        limit = item.within or 0
        name = item.name or (
            f"within {format_duration(limit)} {condition}" if kind == "within" else f"{kind} {condition}"
        )
        return Criterion(name, kind, threshold, item.from_, item.until, limit)  # type: ignore[arg-type]

    def _known(self, name: str, path: Path) -> None:
        if name not in self._types:
            hint = did_you_mean(name, list(self._types), what="nodes")
            self._report("D125", f"unknown node `{name}`", path, hint=hint)

    def _report(
        self,
        code: str,
        message: str,
        path: Path,
        severity: Literal["error", "warning"] = "error",
        *,
        hint: str | None = None,
        key: bool = False,
    ) -> None:
        self._found[Diagnostic(code, message, hint, self._mapped.span(*path, key=key), severity)] = None


def _completed(link: d.LinkDocument, default: d.LinkModelDocument) -> d.LinkModelDocument:
    """Return what a link says, with the network's default for what it does not say."""
    said = {name: getattr(link, name) for name in d.LinkModelDocument.model_fields if name in link.model_fields_set}
    return default.model_copy(update=said)


def _link_model(document: d.LinkModelDocument) -> LinkModel:
    loss = document.loss
    if isinstance(loss, d.BurstLossDocument):
        burst = loss.gilbert_elliott
        model = Loss(loss_good=burst.good, loss_bad=burst.bad, p=burst.p, r=burst.r)
    else:
        model = Loss(loss_good=loss)
    return LinkModel(
        latency_ns=document.latency,
        jitter_ns=document.jitter,
        loss=model,
        bandwidth_bps=document.bandwidth,
        queue_bytes=None if document.queue is None else round(document.queue),
    )


def errors_of(findings: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Return the findings that are errors."""
    return [finding for finding in findings if finding.severity == "error"]
