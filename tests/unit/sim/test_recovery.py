import pytest

from podium.model.scenario import DetectionRule, Fault, Node, Recovery, Scenario, Threshold
from podium.sim.kernel import Kernel
from podium.sim.measures import Measures
from podium.sim.pacing import Pacer
from podium.sim.recovery import STANDARD_RULES, SafeMode
from podium.sim.simulation import Simulation

SECOND = 1_000_000_000
STEP = SECOND // 10
HOT = DetectionRule("thermal_runaway", Threshold("heat", ">", 50.0), 2 * SECOND)
TILT = DetectionRule("attitude_desync", Threshold("tilt", ">", 5.0), 1 * SECOND)


class Patient:
    """A node whose signals follow a script, under the policy `safe_mode`; a step every 100 ms.

    `hot` and `tilted` are intervals `(from, until)` in seconds in which the signals are beyond their limits. With
    `cured`, `hot` does not count in safe mode.
    """

    id = "N"

    def __init__(self, *, hot=(), tilted=(), cured=False, recovery=None):
        self.kernel = Kernel()
        self.safe = False
        self.against = set()
        self.stages = []
        self.hot, self.tilted, self.cured = hot, tilted, cured
        signals = {
            "heat": lambda: 80.0 if self._is_in(self.hot) and not (self.safe and self.cured) else 20.0,
            "tilt": lambda: 45.0 if self._is_in(self.tilted) else 0.0,
        }
        recovery = recovery or Recovery(rules=(HOT, TILT), clear_ns=10 * SECOND)
        policy = SafeMode(self.kernel, self, recovery, signals, self._note)
        self.kernel.every(STEP, lambda: policy.step(self.kernel.now), priority=10)

    def _is_in(self, intervals):
        return any(start <= self.kernel.now / SECOND < end for start, end in intervals)

    def _note(self, node, stage, fault):
        assert node == "N"
        self.stages.append((self.kernel.now / SECOND, stage, fault))

    def enter_safe_mode(self, against):
        self.safe = True
        self.against.add(against)

    def leave_safe_mode(self):
        self.safe = False
        self.against.clear()

    def run(self, seconds):
        self.kernel.run(seconds * SECOND)
        return self

    def times(self, stage):
        return [time for time, name, _ in self.stages if name == stage]


def test_detection_decision_and_action_come_at_exactly_the_stated_delays():
    patient = Patient(hot=[(5, 100)]).run(50)
    assert patient.stages == [
        (7.0, "detected", "thermal_runaway"),
        (9.0, "decided", "thermal_runaway"),
        (12.0, "acted", "thermal_runaway"),
    ]
    assert patient.against == {"thermal_runaway"}


@pytest.mark.parametrize(("decision", "action"), [(0, 0), (1, 1), (123_456_789, 1), (5 * SECOND, 7 * SECOND)])
def test_the_delays_are_those_of_the_scenario_and_independent_of_the_step(decision, action):
    recovery = Recovery(rules=(HOT,), decision_ns=decision, action_ns=action)
    patient = Patient(hot=[(5, 100)], recovery=recovery).run(50)
    times = [round(time * SECOND) for time, _, _ in patient.stages]
    assert times == [7 * SECOND, 7 * SECOND + decision, 7 * SECOND + decision + action]


def test_safe_mode_begins_with_the_action_and_not_before():
    patient = Patient(hot=[(5, 100)])
    assert not patient.run(11).safe
    patient.kernel.run(12 * SECOND - 1)
    assert not patient.safe
    assert patient.run(12).safe


@pytest.mark.parametrize(("lasts", "detected"), [(1.9, []), (2.0, []), (2.1, [7.0])])
def test_a_condition_that_does_not_persist_is_no_detection(lasts, detected):
    assert Patient(hot=[(5, 5 + lasts)]).run(20).times("detected") == detected


def test_a_condition_that_is_interrupted_starts_anew():
    assert Patient(hot=[(5, 6.5), (6.6, 8.5), (8.6, 20)]).run(20).times("detected") == [10.6]


def test_a_rule_without_persistence_detects_at_once():
    rule = DetectionRule("thermal_runaway", Threshold("heat", ">", 50.0))
    assert Patient(hot=[(5, 6)], recovery=Recovery(rules=(rule,))).run(20).times("detected") == [5.0]


def test_a_healthy_node_does_nothing():
    assert Patient().run(100).stages == []


def test_a_node_returns_when_everything_was_clear_for_the_stated_time():
    patient = Patient(hot=[(5, 20)]).run(100)
    assert patient.stages[3:] == [(20.0, "recovered", "thermal_runaway"), (30.0, "returned", None)]
    assert not patient.safe


def test_a_condition_that_comes_back_while_in_safe_mode_starts_the_clear_time_anew():
    assert Patient(hot=[(5, 20), (25, 26)]).run(100).times("returned") == [36.0]


def test_the_clear_time_does_not_run_before_the_action():
    assert Patient(hot=[(5, 7.1)]).run(100).times("returned") == [22.0]


def test_a_fault_that_is_over_before_the_action_is_acted_against_all_the_same():
    patient = Patient(hot=[(5, 8)]).run(15)
    assert [stage for _, stage, _ in patient.stages] == ["detected", "recovered", "decided", "acted"]
    assert patient.safe


def test_a_fault_that_comes_back_doubles_the_clear_time_after_each_return():
    patient = Patient(hot=[(5, 1000)], cured=True).run(400)
    acted, returned = patient.times("acted"), patient.times("returned")
    assert acted[0] == 12.0
    # The first step in safe mode, at the time of the action, is clear already.
    assert [end - start for start, end in zip(acted, returned, strict=False)] == pytest.approx([10, 20, 40, 80, 160])
    # Beyond the limit from the step after the return, then 2 s of persistence, 2 s to decide, 3 s to act.
    assert [start - end for end, start in zip(returned, acted[1:], strict=False)] == pytest.approx([7.1] * 5)


def test_two_faults_are_treated_each_on_its_own_timeline():
    patient = Patient(hot=[(5, 40)], tilted=[(6.5, 30)]).run(39)
    timeline = {fault: [time for time, _, kind in patient.stages if kind == fault] for _, _, fault in patient.stages}
    assert timeline == {"thermal_runaway": [7.0, 9.0, 12.0], "attitude_desync": [7.5, 9.5, 12.5, 30.0]}
    assert patient.against == {"thermal_runaway", "attitude_desync"}
    assert patient.run(100).times("returned") == [50.0]


def test_a_fault_is_treated_once_until_the_node_has_returned():
    patient = Patient(hot=[(5, 20), (22, 27), (60, 70)]).run(120)
    assert patient.times("detected") == [7.0, 62.0]
    assert patient.times("acted") == [12.0, 67.0]


# With a whole simulation around it.


def simulate(*faults, recovery=None, duration=300, criteria=()):
    nodes = (Node("SAT1", "satellite", (0.0, 0.0, 420.0), (), recovery or Recovery()),)
    simulation = Simulation(Scenario("s", duration * SECOND, nodes, faults=faults, criteria=criteria, seed=3))
    return simulation.run(Pacer(None, monotonic=lambda: 0.0, sleep=lambda _: None))[0]


def fault(kind, start=60, duration=120, severity=0.7):
    return Fault(kind, "SAT1", start * SECOND, duration * SECOND, severity)


def events(result, *names):
    return {entry["event"]: entry["time_s"] for entry in result.timeline if entry["event"] in names}


LASTS = {"power_brownout": 120, "comms_dropout": 60, "thermal_runaway": 120, "attitude_desync": 120}
"""A dropout is over before the node returns: the backup radio hides it, so it would be noticed a second time."""
FAULTS = tuple(LASTS)


@pytest.mark.parametrize("kind", FAULTS)
def test_the_standard_rules_recognise_each_fault_for_what_it_is(kind):
    result = simulate(fault(kind, duration=LASTS[kind]))
    [found] = result.classifications
    assert (found["predicted"], found["actual"], found["node"], found["confidence"]) == (kind, kind, "SAT1", 1.0)
    assert 60.0 < found["time_s"] < 160.0
    assert {rule.fault for rule in STANDARD_RULES} == set(FAULTS)


@pytest.mark.parametrize("kind", FAULTS)
def test_latencies_are_the_differences_of_the_simulated_times(kind):
    result = simulate(fault(kind, duration=LASTS[kind]))
    at = events(result, "detected", "decided", "acted", "recovered")
    expected = {
        "fault_detection": (at["detected"], at["detected"] - 60.0),
        "agent_decision": (at["decided"], 2.0),
        "recovery_action": (at["recovered"], at["recovered"] - at["decided"]),
    }
    assert at["acted"] - at["decided"] == 3.0
    assert set(result.latency) == set(expected)
    for name, (time, seconds) in expected.items():
        [entry] = result.latency[name]
        assert (entry["node"], entry["fault"], entry["time_s"]) == ("SAT1", kind, time)
        assert entry["ms"] == pytest.approx(1000.0 * seconds)


@pytest.mark.parametrize("kind", FAULTS)
def test_the_policy_none_does_nothing(kind):
    result = simulate(fault(kind), recovery=Recovery(policy="none"))
    assert [entry["event"] for entry in result.timeline] == ["fault_began", "fault_ended"]
    assert (result.latency, result.classifications) == ({}, ())
    assert result.final_telemetry["SAT1"]["mission_mode"] == "nominal"


def test_a_fault_no_rule_notices_is_missed():
    deaf = Recovery(rules=(DetectionRule("comms_dropout", Threshold("comms.packet_loss", ">", 0.99)),))
    result = simulate(fault("comms_dropout"), recovery=deaf)
    missed = {"node": "SAT1", "time_s": 180.0, "predicted": None, "actual": "comms_dropout", "confidence": 1.0}
    assert result.classifications == (missed,)
    assert result.latency == {}


def test_a_fault_still_acting_and_unnoticed_at_the_end_is_missed():
    deaf = Recovery(rules=(DetectionRule("comms_dropout", Threshold("comms.packet_loss", ">", 0.99)),))
    [found] = simulate(fault("comms_dropout", duration=1000), recovery=deaf).classifications
    assert (found["predicted"], found["actual"], found["time_s"]) == (None, "comms_dropout", 300.0)


def test_a_rule_that_fires_without_a_fault_is_a_false_alarm():
    nervous = Recovery(rules=(DetectionRule("thermal_runaway", Threshold("battery.temperature", ">", 0.0), SECOND),))
    result = simulate(recovery=nervous)
    alarm = {"node": "SAT1", "time_s": 1.0, "predicted": "thermal_runaway", "actual": None, "confidence": 1.0}
    assert result.classifications == (alarm,)
    assert "fault_detection" not in result.latency
    assert result.final_telemetry["SAT1"]["mission_mode"] == "safe"


def test_a_fault_taken_for_another_counts_as_that_and_as_missed():
    confused = Recovery(rules=(DetectionRule("thermal_runaway", Threshold("comms.packet_loss", ">", 0.25)),))
    result = simulate(fault("comms_dropout"), recovery=confused)
    assert [(entry["predicted"], entry["actual"]) for entry in result.classifications] == [
        ("thermal_runaway", "comms_dropout"),
        (None, "comms_dropout"),
    ]
    assert "fault_detection" not in result.latency


def test_a_fault_that_safe_mode_only_hides_is_noticed_again_after_the_return():
    result = simulate(fault("comms_dropout", duration=200))
    assert [(entry["time_s"], entry["actual"]) for entry in result.classifications] == [
        (65.0, "comms_dropout"),
        (136.0, "comms_dropout"),
    ]


def test_safe_mode_sheds_the_payload_and_the_node_returns_by_itself():
    result = simulate(fault("comms_dropout", duration=60))
    at = events(result, "acted", "returned")
    assert at["returned"] == at["acted"] + 60.0
    assert result.final_telemetry["SAT1"]["mission_mode"] == "nominal"
    during = simulate(fault("comms_dropout", duration=60), duration=90).final_telemetry["SAT1"]
    assert during["mission_mode"] == "safe"
    assert during["power"]["load_current"] == pytest.approx(6.0 / during["power"]["battery_voltage"], abs=0.002)


def test_overlapping_faults_of_one_type_are_detected_together():
    measures = Measures()
    measures.watches("N")
    first, second = (Fault("comms_dropout", "N", start, 10 * SECOND) for start in (SECOND, 3 * SECOND))
    measures.fault(SECOND, "N", "fault_began", first)
    measures.fault(3 * SECOND, "N", "fault_began", second)
    measures.stage(4 * SECOND, "N", "detected", "comms_dropout")
    measures.fault(11 * SECOND, "N", "fault_ended", first)
    measures.fault(13 * SECOND, "N", "fault_ended", second)
    measures.finish(20 * SECOND)
    assert [entry["ms"] for entry in measures.latency["fault_detection"]] == [3000.0, 1000.0]
    assert [entry["actual"] for entry in measures.classifications] == ["comms_dropout"]
