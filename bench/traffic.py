"""A network of a thousand nodes that pass messages on, for Podium's kernel and for what else could carry it.

Every node sends one message at `START` and one for each that it receives. Where its k-th message goes and how long
that takes stands in fixed tables, so the traffic does not depend on how a system orders events of one time: every
system must deliver the same number of messages to the same nodes.

Imported alone to measure memory, so it imports little.
"""

from __future__ import annotations

import random
from heapq import heappop, heappush

NODES = 1000
NEIGHBOURS = 8
TURNS = 8192
START = 1000
"""When nodes send first [ns]; what a system does before is setting up, which is not measured."""
END = 10_000_000_000
"""At this time about one million messages have arrived [ns]."""

_draw = random.Random(20)
TARGETS = [_draw.sample([other for other in range(NODES) if other != node], NEIGHBOURS) for node in range(NODES)]
"""Per node: whom it knows."""
PLAN = [(_draw.randrange(NEIGHBOURS), _draw.randrange(1, 20_000_000)) for _ in range(TURNS)]
"""Per turn: which neighbour is sent to, and the latency [ns]; node n starts at turn 17 n."""


class Node:
    """What the nodes of all systems have in common.

    Attributes:
        turn: Where it is in the plan.
        received: How many messages arrived.
    """

    __slots__ = ("known", "received", "turn")

    def __init__(self, number: int, known: list) -> None:
        self.known = known
        self.turn = 17 * number % TURNS
        self.received = 0


class Podium:
    """Podium's kernel, through `Kernel.at`."""

    def __init__(self) -> None:
        from podium.sim.kernel import Kernel

        kernel = self._kernel = Kernel()
        at = kernel.at

        class Sender(Node):
            __slots__ = ()

            def receive(self, _message: object) -> None:
                self.received += 1
                self.start()

            def start(self) -> None:
                turn = self.turn
                self.turn = (turn + 1) % TURNS
                slot, latency = PLAN[turn]
                at(kernel.now + latency, self.known[slot], self)

        self.nodes = _network(Sender)
        for node in self.nodes:
            at(START, node.start)

    def run(self, end: int) -> None:
        self._kernel.run(end)


class Callbacks:
    """SimPy, tuned by hand: bare events with a callback, no processes."""

    def __init__(self) -> None:
        import simpy

        env = self._env = simpy.Environment()
        schedule, new = env.schedule, simpy.Event

        class Sender(Node):
            __slots__ = ()

            def receive(self, _event: object) -> None:
                self.received += 1
                self.start(None)

            def start(self, _event: object) -> None:
                turn = self.turn
                self.turn = (turn + 1) % TURNS
                slot, latency = PLAN[turn]
                event = new(env)
                event._ok, event._value = True, self  # noqa: SLF001 (what `Timeout` does)
                event.callbacks.append(self.known[slot])
                schedule(event, delay=latency)

        self.nodes = _network(Sender)
        for node in self.nodes:
            event = new(env)
            event._ok, event._value = True, None  # noqa: SLF001
            event.callbacks.append(node.start)
            schedule(event, delay=START)

    def run(self, end: int) -> None:
        self._env.run(until=end + 1)  # `until` itself is left out


class Cable:
    """A link, as SimPy's documentation has it in its example "Event Latency"."""

    def __init__(self, env, store) -> None:
        self.env = env
        self.store = store

    def latency(self, value: object, delay: int):
        yield self.env.timeout(delay)
        self.store.put(value)

    def put(self, value: object, delay: int) -> None:
        self.env.process(self.latency(value, delay))

    def get(self):
        return self.store.get()


class Stores:
    """SimPy as its documentation would do it: a store per link, processes all round."""

    def __init__(self) -> None:
        import simpy

        env = self._env = simpy.Environment()

        class Sender(Node):
            __slots__ = ()

            def listen(self, cable: Cable):
                while True:
                    yield cable.get()
                    self.received += 1
                    self.pass_on()

            def start(self):
                yield env.timeout(START)
                self.pass_on()

            def pass_on(self) -> None:
                turn = self.turn
                self.turn = (turn + 1) % TURNS
                slot, latency = PLAN[turn]
                self.known[slot].put(self, latency)

        self.nodes = [Sender(number, []) for number in range(NODES)]
        for number, node in enumerate(self.nodes):
            for target in TARGETS[number]:
                cable = Cable(env, simpy.Store(env))
                node.known.append(cable)
                env.process(self.nodes[target].listen(cable))
            env.process(node.start())
        env.run(until=START // 2)

    def run(self, end: int) -> None:
        self._env.run(until=end + 1)


class Heap:
    """A loop over `heapq` and nothing else: the ceiling for any kernel in Python."""

    def __init__(self) -> None:
        heap = self._heap = []
        push = heappush
        sequence = 0

        class Sender(Node):
            __slots__ = ()

            def receive(self, now: int) -> None:
                self.received += 1
                self.start(now)

            def start(self, now: int) -> None:
                nonlocal sequence
                turn = self.turn
                self.turn = (turn + 1) % TURNS
                slot, latency = PLAN[turn]
                sequence += 1
                push(heap, (now + latency, sequence, self.known[slot]))

        self.nodes = _network(Sender)
        for number, node in enumerate(self.nodes):
            push(heap, (START, number - NODES, node.start))

    def run(self, end: int) -> None:
        heap, pop = self._heap, heappop
        while heap[0][0] <= end:
            now, _, action = pop(heap)
            action(now)


def _network(kind: type) -> list:
    nodes = [kind(number, []) for number in range(NODES)]
    for node, targets in zip(nodes, TARGETS, strict=True):
        node.known.extend(nodes[target].receive for target in targets)
    return nodes


SYSTEMS = {"podium": Podium, "simpy callbacks": Callbacks, "simpy stores": Stores, "heapq alone": Heap}
