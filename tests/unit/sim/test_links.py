from itertools import groupby, pairwise
from math import sqrt
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.model.scenario import LinkModel, Loss
from podium.sim.kernel import Kernel
from podium.sim.links import Link, LossProcess, Packet
from podium.sim.streams import Stream

MS = 1_000_000
SECOND = 1_000_000_000


class Wire:
    """A link, with a record of what arrives and when."""

    def __init__(self, model, outages=(), seed=1):
        self.kernel = Kernel()
        self.arrivals = []
        self.link = Link(self.kernel, model, self.receive, Stream(seed, "link"), outages)

    def receive(self, packet):
        self.arrivals.append((packet.payload, self.kernel.now))

    def send(self, time, number=0, size=64, radio_loss=0.0):
        self.kernel.at(time, lambda: self.link.send(Packet("A", "B", number, size, time), radio_loss))

    def run(self, until=10**15):
        self.kernel.run(until)
        return self.arrivals


def lost(model, count, seed=1):
    process = LossProcess(model, Stream(seed, "loss"))
    return [process.loses() for _ in range(count)]


def test_a_packet_arrives_exactly_after_the_latency():
    wire = Wire(LinkModel(latency_ns=5 * MS))
    wire.send(0, "a")
    wire.send(7, "b")
    wire.send(7, "c")
    assert wire.run() == [("a", 5 * MS), ("b", 5 * MS + 7), ("c", 5 * MS + 7)]
    assert wire.link.statistics() == {
        "sent": 3, "delivered": 3, "lost": 0, "dropped": 0, "blocked": 0, "in_flight": 0,
        "latency_mean_ms": 5.0, "latency_max_ms": 5.0,
    }  # fmt: skip


def test_a_packet_without_latency_arrives_at_once_but_as_an_event_of_its_own():
    wire = Wire(LinkModel())
    wire.link.send(Packet("A", "B", "a", 1, 0))
    assert wire.arrivals == []
    assert wire.link.in_flight == 1
    assert wire.run(0) == [("a", 0)]


def test_a_link_never_used_has_no_latency():
    statistics = Wire(LinkModel()).link.statistics()
    assert statistics["latency_mean_ms"] is None
    assert statistics["latency_max_ms"] is None


def test_mean_and_greatest_latency_are_over_the_delivered_packets():
    wire = Wire(LinkModel(latency_ns=1 * MS, bandwidth_bps=8e6))
    for number in range(3):
        wire.send(0, number, size=1000)
    wire.run()
    assert wire.link.statistics()["latency_mean_ms"] == 3.0
    assert wire.link.statistics()["latency_max_ms"] == 4.0


@pytest.mark.parametrize("probability", [0.001, 0.05, 0.5, 0.9])
def test_independent_loss_has_its_probability_within_four_standard_deviations(probability):
    count = 50_000
    wire = Wire(LinkModel(loss=Loss(loss_good=probability)))
    for _ in range(count):
        wire.link.send(Packet("A", "B", 0, 64, 0))
    wire.run()
    band = 4 * sqrt(probability * (1 - probability) / count)
    assert wire.link.lost / count == pytest.approx(probability, abs=band)
    assert wire.link.lost + wire.link.delivered == count


def test_a_certain_loss_loses_everything_and_none_loses_nothing():
    assert all(lost(Loss(loss_good=1.0), 1000))
    assert not any(lost(Loss(loss_good=0.0, loss_bad=0.0, p=0.5, r=0.5), 1000))


@pytest.mark.parametrize("model_loss", [0.0, 0.2])
def test_loss_by_the_radio_comes_on_top_of_the_loss_of_the_link(model_loss):
    count = 50_000
    wire = Wire(LinkModel(loss=Loss(loss_good=model_loss)))
    for _ in range(count):
        wire.link.send(Packet("A", "B", 0, 64, 0), 0.3)
    expected = 1 - (1 - model_loss) * 0.7
    assert wire.link.lost / count == pytest.approx(expected, abs=4 * sqrt(expected * (1 - expected) / count))


def gilbert_elliott(model):
    """Return stationary loss, mean run of consecutive losses, and variance inflation of the loss estimate."""
    p, r, good, bad = model.p, model.r, model.loss_good, model.loss_bad
    in_bad, in_good = p / (p + r), r / (p + r)
    loss = in_bad * bad + in_good * good
    both = in_good * good * ((1 - p) * good + p * bad) + in_bad * bad * (r * good + (1 - r) * bad)
    memory = 1 - p - r
    covariance = 2 * in_bad * in_good * (good - bad) ** 2 * memory / (1 - memory)
    return loss, loss / (loss - both), 1 + covariance / (loss * (1 - loss))


SETS = {
    "G.1050 LAN": Loss(p=0.004, r=0.1),
    "G.1050 access link": Loss(p=0.0002, r=0.2),
    "lossy in both states": Loss(p=0.01, r=0.1, loss_bad=0.7, loss_good=0.001),
    "short bursts": Loss(p=0.1, r=0.6),
    "alternating": Loss(p=0.8, r=0.9, loss_bad=0.9, loss_good=0.2),
    "inverted": Loss(p=0.05, r=0.2, loss_bad=0.1, loss_good=0.6),
}


def test_the_closed_form_gives_the_published_example():
    loss, burst, _inflation = gilbert_elliott(SETS["lossy in both states"])
    assert loss == pytest.approx(0.06455, abs=5e-6)
    assert burst == pytest.approx(2.641, abs=5e-4)


@pytest.mark.parametrize("model", SETS.values(), ids=SETS.keys())
def test_bursty_loss_has_the_loss_and_the_burst_length_of_the_closed_form(model):
    count = 2_000_000 if model.p < 0.001 else 600_000
    packets = lost(model, count)
    loss, burst, inflation = gilbert_elliott(model)
    band = 4 * sqrt(loss * (1 - loss) * inflation / count)
    assert sum(packets) / count == pytest.approx(loss, abs=band)
    runs = [sum(run) for is_lost, run in groupby(packets) if is_lost]
    assert fmean(runs) == pytest.approx(burst, abs=4 * stdev(runs) / sqrt(len(runs)))


@pytest.mark.parametrize(("wanted_loss", "wanted_burst"), [(0.02, 3.0), (0.1, 8.0)])
def test_loss_and_burst_length_can_be_chosen(wanted_loss, wanted_burst):
    model = Loss(r=1 / wanted_burst, p=wanted_loss / ((1 - wanted_loss) * wanted_burst))
    loss, burst, _inflation = gilbert_elliott(model)
    assert loss == pytest.approx(wanted_loss)
    assert burst == pytest.approx(wanted_burst)


def test_a_packet_is_lost_by_the_present_state_and_then_the_state_changes():
    assert lost(Loss(p=1.0, r=1.0, loss_good=0.0, loss_bad=1.0), 8) == [False, True] * 4


def test_the_bad_state_is_left_and_entered_with_the_probability_of_its_own_transition():
    assert lost(Loss(p=1.0, r=0.0), 5) == [False, True, True, True, True]


def test_loss_through_a_link_is_that_of_the_loss_process():
    model = SETS["short bursts"]
    wire = Wire(LinkModel(loss=model))
    for number in range(1000):
        wire.link.send(Packet("A", "B", number, 64, 0))
    arrived = {number for number, _time in wire.run()}
    process = LossProcess(model, Stream(1, "link"))
    assert arrived == {number for number in range(1000) if not process.loses()}


def test_jitter_stays_in_its_band_and_reaches_all_of_it():
    wire = Wire(LinkModel(latency_ns=10 * MS, jitter_ns=4 * MS))
    for number in range(5000):
        wire.send(number * 20 * MS, number)
    delays = [time - number * 20 * MS for number, time in wire.run()]
    assert 6 * MS <= min(delays) < 6.02 * MS
    assert 13.98 * MS < max(delays) <= 14 * MS
    assert fmean(delays) == pytest.approx(10 * MS, abs=4 * 4 * MS / sqrt(3 * 5000))


@given(
    st.integers(0, 50),
    st.integers(0, 200),
    st.lists(st.integers(0, 30), min_size=1, max_size=60),
    st.integers(0, 2**32),
    st.sampled_from([None, 1e9, 64e9]),
)
def test_jitter_keeps_the_order_and_the_band(latency, jitter, gaps, seed, bandwidth):
    wire = Wire(LinkModel(latency_ns=latency, jitter_ns=jitter, bandwidth_bps=bandwidth), seed=seed)
    time, sent = 0, []
    for number, gap in enumerate(gaps):
        time += gap
        sent.append(time)
        wire.send(time, number, size=8)
    arrivals = wire.run()
    assert [number for number, _time in arrivals] == list(range(len(gaps)))
    free = 0
    serialisation = round(64e9 / bandwidth) if bandwidth else 0
    for number, arrival in arrivals:
        free = departure = max(free, sent[number]) + serialisation
        assert max(departure, departure + latency - jitter) <= arrival <= departure + latency + jitter


def test_packets_sent_together_leave_one_serialisation_time_apart():
    wire = Wire(LinkModel(latency_ns=3, bandwidth_bps=1e6))
    for number in range(4):
        wire.send(0, number, size=125 * (number + 1))
    assert wire.run() == [(0, MS + 3), (1, 3 * MS + 3), (2, 6 * MS + 3), (3, 10 * MS + 3)]


def test_the_rounding_of_serialisation_times_does_not_add_up():
    """A packet of 64 byte takes 5.12 ns, and one of 1000 byte at 3 Mbit/s 2 666 666.67 ns."""
    for bandwidth, size, exact in [(100e9, 64, 5.12), (3e6, 1000, 8e6 / 3)]:
        wire = Wire(LinkModel(bandwidth_bps=bandwidth))
        for number in range(1000):
            wire.send(0, number, size=size)
        assert wire.run() == [(number, round((number + 1) * exact)) for number in range(1000)]


def test_a_packet_over_an_idle_link_takes_its_own_time_whatever_went_before():
    wire = Wire(LinkModel(bandwidth_bps=100e9))
    for number in range(200):
        wire.send(number * 100, number, size=64 + 2 * (number % 3))
    assert {time - 100 * number for number, time in wire.run()} == {5}  # 5.12, 5.28 and 5.44 ns, rounded


def test_an_idle_link_does_not_save_up_its_bandwidth():
    wire = Wire(LinkModel(bandwidth_bps=1e6))
    wire.send(0, "a", size=125)
    wire.send(10 * MS, "b", size=125)
    wire.send(10 * MS + MS // 2, "c", size=125)
    assert wire.run() == [("a", MS), ("b", 11 * MS), ("c", 12 * MS)]


def test_a_link_with_poisson_arrivals_has_the_waiting_time_of_theory():
    """At rho = 0.5 and constant service, Wq is half the service; each wait also follows Lindley's recursion."""
    count = 50_000
    wire = Wire(LinkModel(bandwidth_bps=8e6))
    stream = Stream(1, "arrivals")
    time, times = 0, []
    for number in range(count):
        time += round(stream.exponential(0.5) * MS)
        times.append(time)
        wire.send(time, number, size=1000)
    arrivals = wire.run()
    waits = [arrival - times[number] - MS for number, arrival in arrivals]
    expected, wait = [0], 0
    for before, after in pairwise(times):
        wait = max(0, wait + MS - (after - before))
        expected.append(wait)
    assert waits == expected
    assert fmean(waits) / MS == pytest.approx(0.5, rel=0.05)


def test_a_packet_that_finds_the_queue_full_is_dropped():
    wire = Wire(LinkModel(bandwidth_bps=8e6, queue_bytes=2000))
    for number in range(6):
        wire.send(0, number, size=1000)
    wire.send(2 * MS, "later", size=1000)
    assert wire.run() == [(0, 1 * MS), (1, 2 * MS), (2, 3 * MS), ("later", 4 * MS)]
    assert wire.link.dropped == 3


def test_without_a_queue_a_packet_is_carried_only_by_an_idle_link():
    wire = Wire(LinkModel(bandwidth_bps=8e6, queue_bytes=0))
    for number, time in enumerate([0, 1, MS - 1, MS, 3 * MS]):
        wire.send(time, number, size=1000)
    assert [number for number, _time in wire.run()] == [0, 3, 4]
    assert wire.link.dropped == 2


@pytest.mark.parametrize("bandwidth", [1e6, 3e6, 7e6, 9600, 56e6])
def test_whether_a_packet_finds_room_does_not_depend_on_how_its_time_is_rounded(bandwidth):
    wire = Wire(LinkModel(bandwidth_bps=bandwidth, queue_bytes=3000))
    for number in range(6):
        wire.send(0, number, size=1000)
    wire.run()
    assert wire.link.dropped == 2


def test_a_dropped_packet_takes_no_draw_and_no_bandwidth():
    model = LinkModel(bandwidth_bps=8e6, queue_bytes=0, jitter_ns=1000, latency_ns=1000)
    wire, other = Wire(model), Wire(model)
    wire.send(0, "a", size=1000)
    wire.send(1, "dropped", size=1000)
    other.send(0, "a", size=1000)
    for each in (wire, other):
        each.send(2 * MS, "b", size=1000)
    assert wire.run() == other.run()


def test_a_lost_packet_has_used_its_bandwidth():
    wire = Wire(LinkModel(bandwidth_bps=8e6, loss=Loss(p=1.0, r=1.0)))
    for number in range(3):
        wire.send(0, number, size=1000)
    assert wire.run() == [(0, MS), (2, 3 * MS)]


def test_an_outage_blocks_what_is_sent_into_it_and_what_arrives_in_it():
    wire = Wire(LinkModel(latency_ns=10), outages=((100, 200), (300, 301)))
    times = [89, 90, 99, 100, 150, 190, 199, 200, 290, 291, 299, 300, 301]
    for time in times:
        wire.send(time, time)
    arrived = [number for number, _time in wire.run()]
    assert arrived == [89, 200, 291, 299, 301]
    assert wire.link.blocked == len(times) - len(arrived)
    assert wire.link.lost == wire.link.dropped == 0


def test_an_outage_between_sending_and_arriving_is_not_noticed():
    wire = Wire(LinkModel(latency_ns=100), outages=((10, 90),))
    wire.send(0)
    assert len(wire.run()) == 1


def test_a_packet_blocked_when_sent_takes_no_draw():
    model = LinkModel(loss=Loss(loss_good=0.5))
    wire, other = Wire(model, outages=((0, 10),)), Wire(model)
    for time in range(10):
        wire.send(time, time)
    for time in range(20, 60):
        wire.send(time, time)
        other.send(time, time)
    assert wire.run() == other.run()


probability = st.sampled_from([0.0, 0.1, 0.5, 1.0])
losses = st.builds(Loss, loss_good=probability, loss_bad=probability, p=probability, r=probability)
models = st.builds(
    LinkModel,
    latency_ns=st.integers(0, 50),
    jitter_ns=st.sampled_from([0, 0, 5, 80]),
    loss=losses,
    bandwidth_bps=st.sampled_from([None, 8e9, 1e9]),
    queue_bytes=st.sampled_from([None, 0, 100]),
)
outage = st.tuples(st.integers(0, 200), st.integers(0, 50)).map(lambda x: (x[0], x[0] + x[1]))
traffic = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 100), st.sampled_from([0.0, 0.0, 0.3])), max_size=60)


@given(models, st.lists(outage, max_size=3).map(tuple), traffic, st.integers(0, 400), st.integers(0, 2**32))
def test_every_packet_ends_in_exactly_one_way(model, outages, packets, stop, seed):
    wire = Wire(model, outages, seed)
    link, kernel = wire.link, wire.kernel
    time = 0
    for number, (gap, size, radio_loss) in enumerate(packets):
        time += gap
        if time > stop:
            break
        wire.send(time, number, size, radio_loss)
    kernel.run(stop)
    assert link.in_flight == kernel.pending
    assert link.delivered == len(wire.arrivals)
    assert link.sent == link.delivered + link.lost + link.dropped + link.blocked + kernel.pending
    assert min(link.sent, link.delivered, link.lost, link.dropped, link.blocked) >= 0
    wire.run()
    assert link.in_flight == 0
    assert link.sent == len(wire.arrivals) + link.lost + link.dropped + link.blocked
    assert [number for number, _time in wire.arrivals] == sorted(number for number, _time in wire.arrivals)
    if not outages:
        assert link.blocked == 0
    if model.bandwidth_bps is None or model.queue_bytes is None:
        assert link.dropped == 0
