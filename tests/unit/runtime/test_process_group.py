"""Process groups: pipes, and when it is known that nothing of a group is left."""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from podium.runtime import process_group
from podium.runtime.process_group import ProcessGroup, describe_exit

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")


def shell(text, **options):
    return ProcessGroup(["/bin/sh", "-c", text], **options)


def descriptors():
    return sorted(path.name for path in Path("/dev/fd").iterdir())


def end(group):
    code = group.wait(10)
    assert group.kill()
    return code


def test_output_goes_to_a_file_of_which_the_end_can_be_read():
    group = shell("echo out; echo err >&2; cat; exit 3")
    assert end(group) == 3
    assert group.tail() == "out\nerr\n"
    assert group.tail(4) == "err\n"
    assert (group.stdin, group.stdout, group.stderr) == (None, None, None)
    group.forget_output()
    assert group.tail() == ""
    group.close()


def test_with_pipes_standard_output_and_error_are_apart_and_do_not_block():
    group = shell("read line; echo $line; echo err >&2", pipes=True, feed=True)
    with pytest.raises(BlockingIOError):
        os.read(group.stdout.fileno(), 10)
    group.stdin.write(b"line\n")
    assert end(group) == 0
    assert (group.stdout.read(), group.stderr.read()) == (b"line\n", b"err\n")
    assert group.tail() == ""
    group.forget_output()
    group.close()
    assert [pipe.closed for pipe in (group.stdin, group.stdout, group.stderr)] == [True, True, True]


def test_without_feed_standard_input_is_empty():
    group = shell("cat; echo end", pipes=True)
    assert group.stdin is None
    end(group)
    assert group.stdout.read() == b"end\n"
    group.close()


@pytest.mark.parametrize("pipes", [False, True])
def test_a_program_that_cannot_be_started_leaves_no_descriptor(pipes):
    before = descriptors()
    with pytest.raises(FileNotFoundError):
        ProcessGroup(["no-such-program"], pipes=pipes, feed=pipes)
    assert descriptors() == before


def test_striking_does_not_wait_and_a_dead_group_is_not_signalled_again(monkeypatch):
    group = shell("exec sleep 600", pipes=True)
    group.strike()
    assert end(group) == -signal.SIGKILL
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("the number may be another group's by now"))
    group.strike()
    group.terminate()
    assert group.kill()
    group.close()


def test_what_says_nothing_about_itself_is_looked_at_again(monkeypatch):
    """A process that is just replacing its program has no environment for a moment."""
    looks = iter([([], {5, 6}), ([], {5, 7}), ([-1], {5}), ([], {5}), ([], {5})])
    killed = []
    group = shell("exit 0", pipes=True)
    group.wait(10)
    monkeypatch.setattr(process_group, "_look", lambda _label: next(looks))
    monkeypatch.setattr(os, "kill", lambda pid, _number: killed.append(pid))
    assert group.kill()
    assert killed == [-1]
    assert next(looks, None) == ([], {5}), "all but the last were needed"
    group.close()


def test_on_a_busy_machine_looking_comes_to_an_end(monkeypatch):
    pids = iter(range(1000))
    group = shell("exit 0", pipes=True)
    group.wait(10)
    monkeypatch.setattr(process_group, "_look", lambda _label: ([], {next(pids)}))
    assert group.kill()
    assert next(pids) == process_group._MOST_LOOKS
    group.close()


def test_what_cannot_be_killed_is_told(monkeypatch):
    group = shell("exit 0", pipes=True)
    group.wait(10)
    with monkeypatch.context() as patch:
        patch.setattr(process_group, "_PATIENCE", 0.05)
        patch.setattr(process_group, "_look", lambda _label: ([2**22 + 1], set()))
        assert not group.kill()
    assert group.kill()
    group.close()


def test_members_without_the_label_are_dead_too():
    group = shell("env -i sleep 600 & echo $!; exit 0", pipes=True)
    end(group)
    pid = int(group.stdout.read())
    with contextlib.suppress(psutil.NoSuchProcess):
        assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    group.close()


def test_members_that_are_slow_to_die_are_waited_for(monkeypatch):
    alive = iter([True, True, False])
    group = shell("exit 0", pipes=True)
    group.wait(10)
    monkeypatch.setattr(process_group, "_exists", lambda _group: True)
    monkeypatch.setattr(process_group, "_members", lambda _group: next(alive))
    assert group._members_end(time.monotonic() + 5)
    assert next(alive, None) is None
    monkeypatch.setattr(process_group, "_members", lambda _group: True)
    assert not group._members_end(0.0)
    monkeypatch.undo()
    assert group.kill()
    group.close()


def test_members_are_found_unless_they_are_zombies():
    group = shell("exec sleep 600", pipes=True)
    assert process_group._exists(group.pid)
    assert process_group._members(group.pid)
    group.strike()
    deadline = time.monotonic() + 5
    while process_group._members(group.pid) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert process_group._exists(group.pid), "it is a zombie until it is waited for"
    assert not process_group._members(group.pid)
    end(group)
    assert not process_group._exists(group.pid)
    group.close()


def test_elsewhere_than_on_linux_labels_are_found_too(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    group = shell("setsid sleep 600 & sleep 0.5", pipes=True)
    group.wait(10)
    found, silent = process_group._look(group._label)
    assert (len(found), silent) == (1, set())
    assert group.kill()
    assert process_group._look(group._label) == ([], set())
    group.close()


def test_a_label_within_another_begins_with_it(monkeypatch):
    outer = f"outer-{os.getpid()}"
    monkeypatch.setenv(process_group.GROUP_VARIABLE, outer)
    group = shell("exec sleep 600", pipes=True)
    deadline = time.monotonic() + 5
    while not (found := process_group._look(outer)[0]) and time.monotonic() < deadline:
        time.sleep(0.005)  # it has no environment while it begins
    assert group.kill()
    group.close()
    assert group._label.startswith(f"{outer}/")
    assert found == [group.pid]


@pytest.mark.parametrize(
    ("code", "words"), [(0, "exited with code 0"), (-11, "killed by SIGSEGV"), (-99, "killed by signal 99")]
)
def test_exits_in_words(code, words):
    assert describe_exit(code) == words
