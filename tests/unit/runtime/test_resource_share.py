"""What suites use together, and which of them is told when it is too much."""

import gc

import hypothesis.strategies as st
import pytest
from hypothesis import given

from podium.events import Failure
from podium.plan.suites import Limits, SharedLimits
from podium.runtime import resource_share
from podium.runtime.process_usage import MarkedProcesses, ProcessUsage
from podium.runtime.resource_share import ResourceShare, ShareMember, mebibytes, share_of

MIB = 1 << 20


class Processes(MarkedProcesses):
    """Processes of which only a part of what they seem to use is their own."""

    def __init__(self, own=1.0):
        super().__init__("m")
        self._own = own

    def memory(self, processes, enough):
        return int(sum(process.resident for process in processes if not process.ended) * self._own)


def usage(memory=0, cpu=0.0, *, ended=False):
    return ProcessUsage(1, 1.0, 1, cpu, memory * MIB, ended)


def member(share, told, name, own=1.0):
    made = ShareMember(Processes(own), lambda failure: told.append((name, failure)))
    share.join(made)
    return made


def test_up_to_the_limit_nobody_is_told():
    told = []
    share = ResourceShare(SharedLimits("layer `a`", memory=100 * MIB, processes=3), 2)
    one, two = member(share, told, "one"), member(share, told, "two")
    share.look(one, [usage(40), usage(10)])
    share.look(two, [usage(50), usage(900, ended=True)])
    assert told == []


def test_the_member_that_uses_most_is_told_whoever_looks():
    for looks_last in (0, 1):
        told = []
        share = ResourceShare(SharedLimits("layer `a`", memory=100 * MIB), 2)
        members = [member(share, told, "small"), member(share, told, "large")]
        seen = [[usage(40)], [usage(30), usage(31)]]
        share.look(members[1 - looks_last], seen[1 - looks_last])
        share.look(members[looks_last], seen[looks_last])
        text = "the limit of layer `a` is 100 MiB of memory: its suites together used 101 MiB, and this one most: "
        assert told == [("large", Failure("MemoryLimit", f"{text}it used 61 MiB"))]


def test_what_processes_share_is_not_counted_twice():
    told = []
    share = ResourceShare(SharedLimits("layer `a`", memory=100 * MIB), 2)
    one, two = member(share, told, "one", own=0.5), member(share, told, "two", own=0.5)
    share.look(one, [usage(90)])
    share.look(two, [usage(90)])
    assert told == []


def test_nobody_else_is_told_until_the_one_has_left():
    told = []
    share = ResourceShare(SharedLimits("layer `a`", processes=3), 2)
    one, two, three = (member(share, told, name) for name in ("one", "two", "three"))
    share.look(one, [usage()] * 3)
    share.look(two, [usage()] * 2)
    share.look(three, [usage()] * 2)
    share.look(one, [usage()] * 9)
    assert [name for name, _ in told] == ["one"]
    share.leave(one)
    share.look(two, [usage()] * 2)
    text = "the limit of layer `a` is 3 processes at once: its suites together had 4, and this one most: it had 2"
    assert told[1:] == [("two", Failure("ProcessLimit", text))]
    share.leave(two)
    share.look(three, [usage()] * 4)
    text = "the limit of layer `a` is 3 processes at once: this suite had 4"
    assert told[2:] == [("three", Failure("ProcessLimit", text))]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.integers(1, 150))
def test_one_is_told_exactly_if_the_sum_is_too_much(sizes, limit):
    told = []
    share = ResourceShare(SharedLimits("layer `a`", memory=limit * MIB), 2)
    members = [member(share, told, size) for size in sizes]
    sums = 0
    for position, (one, size) in enumerate(zip(members, sizes, strict=True)):
        share.look(one, [usage(size)])
        sums += size
        if sums > limit:
            assert [name for name, _ in told] == [max(sizes[: position + 1])]
            return
        assert told == []


def test_members_that_use_more_than_their_share_of_the_processors_are_held_together(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(resource_share.time, "monotonic", lambda: now[0])
    share = ResourceShare(SharedLimits("layer `a`", cpu=0.5), 2)
    one, two = member(share, [], "one"), member(share, [], "two")

    def may_run(at, *used):
        now[0] = at
        for each, cpu in zip((one, two), used, strict=False):
            share.look(each, [usage(cpu=cpu)])
        return share.may_run()

    assert may_run(0.0, 0.0, 0.0)
    assert may_run(1.0, 0.6, 0.4), "one processor's worth is theirs"
    assert not may_run(2.0, 2.0, 1.2), "more than that and what was left over"
    assert may_run(3.5, 2.0, 1.2)
    share.leave(two)
    assert may_run(3.6, 2.05), "what another has used before it left does not count again"


def test_without_a_share_of_the_processors_all_may_run():
    share = ResourceShare(SharedLimits("layer `a`", memory=1), 2)
    share.look(member(share, [], "one"), [usage(cpu=1e9)])
    assert share.may_run()


def test_a_share_is_that_of_a_run_and_a_name_and_ends_with_its_last_member():
    limits = SharedLimits("layer `a`", memory=1)
    share = share_of("run", limits, 2)
    assert share_of("run", SharedLimits("layer `a`", memory=1), 2) is share
    assert share_of("other", limits, 2) is not share
    assert share_of("run", SharedLimits("layer `b`", memory=1), 2) is not share
    del share
    gc.collect()
    assert not resource_share._shares


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        (Limits(), None),
        (Limits(memory=3), 3),
        (Limits(memory=3, shared=SharedLimits("a", memory=2)), 2),
        (Limits(memory=3, shared=SharedLimits("a", cpu=0.5)), 3),
        (Limits(shared=SharedLimits("a", memory=2)), 2),
    ],
)
def test_what_a_suite_may_use_if_nothing_else_runs(limits, most):
    assert limits.most_memory == most


def test_amounts_are_seen_to_be_more_than_others():
    assert mebibytes(128 * MIB + 1, above=128 * MIB) == "128.000001 MiB"
