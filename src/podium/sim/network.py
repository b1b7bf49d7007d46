"""The links between nodes, made when first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from podium.errors import SimulationError
from podium.model.scenario import LinkModel, Partition
from podium.model.scenario import Network as NetworkModel
from podium.sim.kernel import Kernel
from podium.sim.links import Link, Packet, Receive
from podium.sim.streams import Stream


class Network:
    """Carries packets between nodes.

    Args:
        kernel: Where arrivals are scheduled.
        model: How nodes reach each other.
        receivers: Node id to the function that takes its packets.
        stream: Returns the stream of a node and purpose.
    """

    def __init__(
        self,
        kernel: Kernel,
        model: NetworkModel,
        receivers: Mapping[str, Receive],
        stream: Callable[[str, str], Stream],
    ) -> None:
        self._kernel = kernel
        self._model = model
        self._models: dict[tuple[str, str], LinkModel] = {(x.source, x.target): x.model for x in model.links}
        self._receivers = receivers
        self._stream = stream
        self.links: dict[tuple[str, str], Link] = {}

    def send(self, source: str, target: str, payload: Any, *, size: int = 64, radio_loss: float = 0.0) -> None:
        """Send a packet.

        Args:
            source: Node id.
            target: Node id.
            payload: What it carries; not copied.
            size: Length [byte].
            radio_loss: Probability that the sender's radio loses it, on top of the link's own loss.

        Raises:
            SimulationError: There is no such node (S600).
        """
        link = self.links.get((source, target)) or self.link(source, target)
        link.send(Packet(source, target, payload, size, self._kernel.now), radio_loss)

    def link(self, source: str, target: str) -> Link:
        """Return the link between two nodes, making it if need be.

        Raises:
            SimulationError: There is no such target (S600).
        """
        key = (source, target)
        if key not in self.links:
            if target not in self._receivers:
                raise SimulationError(f"node `{source}` sends to unknown node `{target}`")
            outages = tuple((x.start_ns, x.end_ns) for x in self._model.partitions if _separates(x, source, target))
            self.links[key] = Link(
                self._kernel,
                self._models.get(key, self._model.default),
                self._receivers[target],
                self._stream(source, f"link to {target}"),
                outages,
            )
        return self.links[key]

    def statistics(self) -> dict[str, Any]:
        """Return totals, and the counters of every link used under `SOURCE->TARGET`."""
        links = {f"{source}->{target}": link.statistics() for (source, target), link in self.links.items()}
        counters = ("sent", "delivered", "lost", "dropped", "blocked", "in_flight")
        totals = {name: sum(link[name] for link in links.values()) for name in counters}
        return {**totals, "links": links}


def _separates(partition: Partition, source: str, target: str) -> bool:
    """Return whether a partition keeps two nodes apart; a node in no group is alone."""
    return source != target and not any(source in group and target in group for group in partition.groups)
