"""How one directed link carries packets: outages, queue, loss, delay, in this order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from podium.model.scenario import LinkModel, Loss
from podium.sim.kernel import Kernel
from podium.sim.streams import Stream

_ROUNDING_NS = 1e-3
"""Above the rounding of floats, below anything a queue could hold [ns]."""


class Packet:
    """A packet under way.

    Attributes:
        source: Node id.
        target: Node id.
        payload: What it carries; not copied.
        size: Length [byte].
        sent_ns: When it was handed to the link [ns].
    """

    __slots__ = ("payload", "sent_ns", "size", "source", "target")

    def __init__(self, source: str, target: str, payload: Any, size: int, sent_ns: int) -> None:
        self.source = source
        self.target = target
        self.payload = payload
        self.size = size
        self.sent_ns = sent_ns


Receive = Callable[[Packet], object]


class LossProcess:
    """Gilbert-Elliott loss: a packet is lost by the current state, then the transition is drawn.

    The order of the two draws is that of ITU-T G.1050, Appendix II. The process starts in the good state.

    Args:
        model: Probabilities.
        stream: Where the draws come from.
    """

    __slots__ = ("_loss_bad", "_loss_good", "_p", "_r", "_random", "bad")

    def __init__(self, model: Loss, stream: Stream) -> None:
        self._loss_good = model.loss_good
        self._loss_bad = model.loss_bad
        self._p = model.p
        self._r = model.r
        self._random = stream.random
        self.bad = False

    def loses(self) -> bool:
        """Return whether the next packet is lost."""
        random = self._random
        if self._p == 0.0:
            return random() < self._loss_good
        if self.bad:
            lost = random() < self._loss_bad
            self.bad = random() >= self._r
        else:
            lost = random() < self._loss_good
            self.bad = random() < self._p
        return lost


class Link:
    """One directed link.

    Every packet ends in exactly one way: `sent = delivered + lost + dropped + blocked + in_flight`.

    Args:
        kernel: Where arrivals are scheduled.
        model: How it carries packets.
        receive: Called with each packet that arrives.
        stream: Where loss and jitter come from.
        outages: Times `(start, end)` in which nothing is carried, by a partition [ns].

    Attributes:
        sent: Packets handed in.
        delivered: Packets that arrived.
        lost: Packets lost on the way.
        dropped: Packets that found no room in the queue.
        blocked: Packets sent into, or arriving in, an outage.
        latency_sum_ns: Over the delivered [ns].
        latency_max_ns: Over the delivered [ns].
    """

    __slots__ = (
        "_bandwidth", "_free_at", "_jitter", "_kernel", "_last_arrival", "_latency", "_loss", "_outages",
        "_plain", "_queue_bytes", "_random", "_receive", "_remainder", "blocked", "delivered", "dropped",
        "latency_max_ns", "latency_sum_ns", "lost", "sent",
    )  # fmt: skip

    def __init__(
        self,
        kernel: Kernel,
        model: LinkModel,
        receive: Receive,
        stream: Stream,
        outages: tuple[tuple[int, int], ...] = (),
    ) -> None:
        self._kernel = kernel
        self._receive = receive
        self._latency = model.latency_ns
        self._jitter = model.jitter_ns
        self._bandwidth = model.bandwidth_bps
        self._queue_bytes = model.queue_bytes
        self._random = stream.random
        lossless = model.loss.loss_good == 0.0 and model.loss.p == 0.0
        self._loss = None if lossless else LossProcess(model.loss, stream)
        self._outages = outages
        self._plain = not (outages or self._loss or model.jitter_ns or model.bandwidth_bps)
        self._free_at = 0
        self._remainder = 0.0  # what rounding `_free_at` left over, so that it does not add up [ns]
        self._last_arrival = 0
        self.sent = self.delivered = self.lost = self.dropped = self.blocked = 0
        self.latency_sum_ns = self.latency_max_ns = 0

    @property
    def id(self) -> str | None:
        """The node that receives, for errors."""
        return getattr(getattr(self._receive, "__self__", None), "id", None)

    @property
    def in_flight(self) -> int:
        """Packets under way."""
        return self.sent - self.delivered - self.lost - self.dropped - self.blocked

    def send(self, packet: Packet, radio_loss: float = 0.0) -> None:
        """Carry a packet, or lose it.

        Args:
            packet: What to carry.
            radio_loss: Probability that the radio itself loses it, on top of the link's own loss.
        """
        self.sent += 1
        kernel = self._kernel
        if self._plain and not radio_loss:
            kernel.at(kernel.now + self._latency, self._arrive, packet)
            return
        now = kernel.now
        if self._outages and self._is_out(now):
            self.blocked += 1
            return
        departure = now
        if self._bandwidth:
            if self._free_at <= now:
                self._free_at = now
                self._remainder = 0.0
            waiting = self._free_at - now + self._remainder
            if self._queue_bytes is not None and waiting > 8e9 * self._queue_bytes / self._bandwidth + _ROUNDING_NS:
                self.dropped += 1
                return
            duration = packet.size * 8e9 / self._bandwidth + self._remainder
            departure = self._free_at = self._free_at + round(duration)
            self._remainder = duration - round(duration)
        if (self._loss is not None and self._loss.loses()) or (radio_loss and self._random() < radio_loss):
            self.lost += 1
            return
        arrival = departure + self._latency
        if self._jitter:
            arrival = max(departure, arrival + round((2.0 * self._random() - 1.0) * self._jitter), self._last_arrival)
            self._last_arrival = arrival
        kernel.at(arrival, self._arrive, packet)

    def statistics(self) -> dict[str, Any]:
        """Return the counters as plain JSON, latencies in ms."""
        return {
            "sent": self.sent,
            "delivered": self.delivered,
            "lost": self.lost,
            "dropped": self.dropped,
            "blocked": self.blocked,
            "in_flight": self.in_flight,
            "latency_mean_ms": self.latency_sum_ns / self.delivered / 1e6 if self.delivered else None,
            "latency_max_ms": self.latency_max_ns / 1e6 if self.delivered else None,
        }

    def _arrive(self, packet: Packet) -> None:
        now = self._kernel.now
        if self._outages and self._is_out(now):
            self.blocked += 1
            return
        latency = now - packet.sent_ns
        self.delivered += 1
        self.latency_sum_ns += latency
        if latency > self.latency_max_ns:  # noqa: PLR1730 (max() costs a call per packet)
            self.latency_max_ns = latency
        self._receive(packet)

    def _is_out(self, time: int) -> bool:
        return any(start <= time < end for start, end in self._outages)
