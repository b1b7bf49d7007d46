import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import SimulationError
from podium.model.scenario import Link, LinkModel, Loss, Network, Partition
from podium.sim.kernel import Kernel
from podium.sim.network import Network as Carrier
from podium.sim.streams import Stream

NODES = ("A", "B", "C", "D", "E")


class Net:
    """A network of five nodes, with a record of what arrives."""

    def __init__(self, model=None, nodes=NODES):
        self.kernel = Kernel()
        self.arrivals = []
        receivers = {node: self.receiver(node) for node in nodes}
        self.network = Carrier(self.kernel, model or Network(), receivers, lambda *name: Stream(1, *name))

    def receiver(self, node):
        return lambda packet: self.arrivals.append((packet.source, node, packet.payload, self.kernel.now))

    def send(self, time, source, target, payload=None, **options):
        self.kernel.at(time, lambda: self.network.send(source, target, payload, **options))

    def run(self, until=10**12):
        self.kernel.run(until)
        return self.arrivals


def reached(model, time):
    """Return the pairs of nodes that reach each other at a time."""
    net = Net(model)
    for source in NODES:
        for target in NODES:
            net.send(time, source, target)
    return {(source, target) for source, target, _payload, _time in net.run()}


def test_a_packet_reaches_its_target_with_what_it_carries():
    net = Net(Network(default=LinkModel(latency_ns=7)))
    payload = {"mode": "safe"}
    net.send(3, "A", "B", payload)
    assert net.run() == [("A", "B", payload, 10)]
    assert net.arrivals[0][2] is payload


def test_nodes_of_different_groups_do_not_reach_each_other_until_the_partition_ends():
    model = Network(partitions=(Partition(groups=(("A", "B"), ("C", "D", "E")), start_ns=10, end_ns=20),))
    everything = {(source, target) for source in NODES for target in NODES}
    groups = [{"A", "B"}, {"C", "D", "E"}]
    apart = {(x, y) for x, y in everything if any(x in group and y in group for group in groups)}
    assert reached(model, 9) == everything
    assert reached(model, 10) == apart
    assert reached(model, 19) == apart
    assert reached(model, 20) == everything


def test_a_node_in_no_group_is_alone_with_itself():
    model = Network(partitions=(Partition(groups=(("A", "B"),), start_ns=0, end_ns=20),))
    alone = {(node, node) for node in NODES}
    assert reached(model, 5) == alone | {("A", "B"), ("B", "A")}


def test_partitions_that_overlap_all_count():
    first = Partition(groups=(("A", "B", "C"), ("D", "E")), start_ns=0, end_ns=20)
    second = Partition(groups=(("A",), ("B", "C", "D", "E")), start_ns=10, end_ns=30)
    model = Network(partitions=(first, second))
    assert ("A", "B") in reached(model, 5)
    assert ("A", "B") not in reached(model, 15)
    assert ("B", "C") in reached(model, 15)
    assert ("C", "D") not in reached(model, 15)
    assert ("C", "D") in reached(model, 25)


@given(st.lists(st.lists(st.sampled_from(NODES), unique=True), max_size=3), st.integers(0, 30))
def test_reaching_each_other_is_mutual_and_every_node_reaches_itself(groups, time):
    partition = Partition(groups=tuple(map(tuple, groups)), start_ns=10, end_ns=20)
    pairs = reached(Network(partitions=(partition,)), time)
    assert {(target, source) for source, target in pairs} == pairs
    assert {(node, node) for node in NODES} <= pairs


def test_blocked_packets_are_counted_as_such():
    net = Net(Network(partitions=(Partition(groups=(("A",), ("B",)), start_ns=0, end_ns=10),)))
    for time in range(12):
        net.send(time, "A", "B")
    net.run()
    assert net.network.statistics()["blocked"] == 10
    assert net.network.statistics()["delivered"] == 2


def test_sending_to_an_unknown_node_names_both_nodes():
    net = Net()
    with pytest.raises(SimulationError, match="node `A` sends to unknown node `Z`") as caught:
        net.network.send("A", "Z", None)
    assert caught.value.diagnostics[0].code == "S600"
    assert net.network.links == {}


def test_a_link_of_its_own_overrides_the_default_in_its_direction_only():
    model = Network(default=LinkModel(latency_ns=5), links=(Link("A", "B", LinkModel(latency_ns=50)),))
    net = Net(model)
    for source, target in [("A", "B"), ("B", "A"), ("A", "C")]:
        net.send(0, source, target)
    times = {(source, target): time for source, target, _payload, time in net.run()}
    assert times == {("A", "B"): 50, ("B", "A"): 5, ("A", "C"): 5}


def test_a_link_of_its_own_takes_nothing_from_the_default():
    model = Network(default=LinkModel(loss=Loss(loss_good=1.0)), links=(Link("A", "B", LinkModel()),))
    net = Net(model)
    net.send(0, "A", "B")
    net.send(0, "A", "C")
    assert [arrival[:2] for arrival in net.run()] == [("A", "B")]


def test_a_link_is_made_once():
    net = Net()
    assert net.network.link("A", "B") is net.network.link("A", "B")
    assert net.network.link("A", "B") is not net.network.link("B", "A")


def test_size_and_radio_loss_are_those_of_the_packet():
    net = Net(Network(default=LinkModel(bandwidth_bps=8e9)))
    net.send(0, "A", "B", 1)
    net.send(0, "A", "C", 2, size=1000)
    net.send(0, "A", "D", 3, radio_loss=1.0)
    assert [(payload, time) for _source, _target, payload, time in net.run()] == [(1, 64), (2, 1000)]
    assert net.network.statistics()["lost"] == 1


def test_totals_are_the_sums_over_the_links():
    default = LinkModel(latency_ns=30, loss=Loss(loss_good=0.3), bandwidth_bps=8e9, queue_bytes=100)
    partition = Partition(groups=(("A", "B"), ("C", "D", "E")), start_ns=100, end_ns=200)
    net = Net(Network(default=default, partitions=(partition,)))
    for time in range(0, 500, 3):
        for target in NODES[1:]:
            net.send(time, "A", target, size=10)
    net.run(499)
    statistics = net.network.statistics()
    names = ("sent", "delivered", "lost", "dropped", "blocked", "in_flight")
    assert list(statistics) == [*names, "links"]
    assert list(statistics["links"]) == ["A->B", "A->C", "A->D", "A->E"]
    for name in names:
        assert statistics[name] == sum(link[name] for link in statistics["links"].values())
        assert statistics[name] > 0
    assert statistics["sent"] == sum(statistics[name] for name in names[1:])
    assert statistics["delivered"] == len(net.arrivals)
    assert statistics["in_flight"] == net.kernel.pending


def test_without_traffic_all_totals_are_zero():
    assert Net().network.statistics() == {
        "sent": 0, "delivered": 0, "lost": 0, "dropped": 0, "blocked": 0, "in_flight": 0, "links": {},
    }  # fmt: skip


LOSSY = LinkModel(latency_ns=100, jitter_ns=50, loss=Loss(loss_good=0.1, loss_bad=0.9, p=0.2, r=0.3))


def arrivals_of(pairs, nodes=NODES, model=None):
    """Return what arrives over A->B when packets also go over other links."""
    net = Net(model or Network(default=LOSSY), nodes)
    for time in range(0, 3000, 10):
        for source, target in pairs:
            net.send(time, source, target, time)
    return [(payload, time) for source, target, payload, time in net.run() if (source, target) == ("A", "B")]


@pytest.mark.parametrize(
    "pairs", [[("A", "C"), ("A", "B")], [("B", "A"), ("A", "B")], [("C", "B"), ("A", "B"), ("D", "B"), ("B", "C")]]
)
def test_traffic_on_other_links_does_not_change_what_a_link_loses_and_delays(pairs):
    alone = arrivals_of([("A", "B")])
    assert 0 < len(alone) < 300
    assert arrivals_of(pairs) == alone


def test_further_nodes_and_links_do_not_change_what_a_link_loses_and_delays():
    alone = arrivals_of([("A", "B")], nodes=("A", "B"))
    further = Network(default=LOSSY, links=(Link("A", "C", LinkModel(loss=Loss(loss_good=0.5))),))
    assert arrivals_of([("A", "C"), ("A", "Z"), ("A", "B")], nodes=("Z", "C", "B", "A"), model=further) == alone


def test_two_links_with_the_same_model_do_not_lose_the_same_packets():
    net, pairs = Net(Network(default=LOSSY)), [("A", "B"), ("B", "A"), ("A", "C"), ("C", "B")]
    for number in range(300):
        for pair in pairs:
            net.send(number, *pair, number)
    net.run()
    assert len({frozenset(x[2] for x in net.arrivals if x[:2] == pair) for pair in pairs}) == len(pairs)
