"""Real commands: what they come to, and that nothing of them is left."""

import asyncio
import os
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.executor_bench import Commands, with_commands
from tests.processes import gone

from podium.events import Failure
from podium.executors.command import LARGEST_OUTPUT, LARGEST_STREAM, CommandExecutor
from podium.protocols import Attempt, Finished, Progressed, Work

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")


def run(_options=None, **payload):
    async def body(bench):
        bench.start(1, **payload)
        return await bench.end(1)

    return with_commands(body, **(_options or {}))


def python(code, **payload):
    return run(argv=[sys.executable, "-c", code], **payload)


def descriptors():
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def kind(finished):
    return finished.outcome, finished.failure and finished.failure.type


def test_text_is_standard_output_without_its_final_newline():
    end = run(shell="echo one; echo two; echo three >&2")
    assert end == Finished("passed", "one\ntwo", artifacts={"stdout": b"one\ntwo\n", "stderr": b"three\n"})


def test_a_command_that_says_nothing_has_empty_text_and_no_artifacts():
    assert run(argv=["true"]) == Finished("passed", "")


@pytest.mark.parametrize(
    ("output", "text", "value"),
    [
        ("json", '{"a": [1, null]}', {"a": [1, None]}),
        ("lines", "one\\r\\n\\n two \\n", ["one", "", " two "]),
        ("lines", "one\\ntwo", ["one", "two"]),
        ("lines", "", []),
        ("none", "anything", None),
    ],
)
def test_other_kinds_of_output(output, text, value):
    end = run(argv=["printf", text.replace("%", "%%")], output=output)
    assert (end.outcome, end.output) == ("passed", value)


@pytest.mark.parametrize("text", ["", "no", '{"a":', "[1] [2]", "\\377", "[" * 100_000])
def test_what_is_not_json_is_errored(text):
    end = run(argv=["printf", text], output="json")
    assert kind(end) == ("errored", "NoJson")
    assert "not JSON" in end.failure.message


def test_a_failed_command_is_failed_with_the_end_of_its_standard_error():
    end = run(shell="echo out; seq 5000 >&2; exit 3")
    assert (end.outcome, end.output) == ("failed", None)
    assert (end.failure.type, end.failure.message, end.failure.exit_code) == ("ExitCode", "exited with code 3", 3)
    assert end.failure.details.endswith("4999\n5000\n")
    assert len(end.failure.details) == 4096
    assert end.artifacts["stdout"] == b"out\n"


def test_which_exit_codes_pass_can_be_said():
    assert run(shell="exit 3", exit_codes=[0, 3]).outcome == "passed"
    assert kind(run(shell="exit 0", exit_codes=[3])) == ("failed", "ExitCode")


def test_a_crash_is_errored_and_says_which():
    end = run(shell="echo before >&2; kill -SEGV $$")
    assert kind(end) == ("errored", "Signal")
    assert end.failure.message == "killed by SIGSEGV"
    assert end.failure.details == "before\n"


def test_what_cannot_be_started_says_why(tmp_path):
    def why(**payload):
        end = run(**payload)
        assert kind(end) == ("errored", "CannotStart")
        return end.failure.message

    plain, bad, lost = tmp_path / "plain", tmp_path / "bad", tmp_path / "lost"
    plain.write_text("text")
    bad.write_bytes(b"\x00\x01\x02")
    lost.write_text("#!/no/such/interpreter\n")
    bad.chmod(0o755)
    lost.chmod(0o755)
    assert why(argv=["no-such-program-at-all"]) == "program 'no-such-program-at-all' not found"
    assert why(argv=["./none"], cwd=str(tmp_path)) == "program './none' not found"
    assert why(argv=[str(plain)]) == f"program '{plain}' is not executable"
    assert why(argv=["./lost"], cwd=str(tmp_path)) == "program './lost' names an interpreter that was not found"
    assert "Exec format error" in why(argv=[str(bad)])
    assert why(argv=["true"], cwd=str(tmp_path / "none")) == f"directory '{tmp_path}/none' not found"
    assert why(argv=["true"], cwd=str(plain)) == f"'{plain}' is not a directory"
    assert "null byte" in why(argv=["a\0b"])
    assert "environment variable" in why(argv=["true"], env={"A=B": "c"})
    assert "Argument list too long" in why(argv=["true", "x" * 4_000_000])


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"argv": []},
        {"argv": ["true"], "shell": "true"},
        {"argv": "true"},
        {"argv": [1]},
        {"shell": "true", "output": "yaml"},
        {"shell": "true", "stop_on": ["("]},
        {"shell": "true", "unknown": 1},
    ],
)
def test_a_wrong_payload_is_errored(payload):
    assert kind(run(**payload)) == ("errored", "BadPayload")


def test_a_payload_that_is_no_mapping_is_errored():
    ends = []
    CommandExecutor().start(Attempt("r", "s", 1, 1, Work("command", "true"), "k"), lambda _, end: ends.append(end))
    assert [kind(end) for end in ends] == [("errored", "BadPayload")]


def test_the_environment_says_which_attempt_it_is():
    names = ["PODIUM_IDEMPOTENCY_KEY", "PODIUM_RUN", "PODIUM_STEP", "PODIUM_ATTEMPT", "MORE", "HOME"]
    end = run(argv=["printenv", *names], env={"MORE": "given", "PODIUM_RUN": "mine"}, output="lines")
    assert end.output == ["key:1", "run-id", "step1", "3", "given", os.environ["HOME"]]


def test_the_working_directory_begins_at_the_executors(tmp_path):
    (tmp_path / "below").mkdir()
    executor = {"cwd": str(tmp_path)}
    assert run(executor, shell="pwd -P").output == str(tmp_path.resolve())
    assert run(executor, shell="pwd -P", cwd="below").output == str(tmp_path.resolve() / "below")
    assert run(executor, shell="pwd -P", cwd="/").output == "/"


def test_standard_input_arrives_and_ends():
    assert run(argv=["cat"], stdin="grüße\n").output == "grüße"
    assert run(argv=["wc", "-c"], stdin="x" * 5_000_000).output.strip() == "5000000"
    assert run(argv=["cat"]).output == "", "without any, it is empty"


def test_standard_input_nobody_reads_does_not_matter():
    assert run(argv=["true"], stdin="x" * 5_000_000).outcome == "passed"
    assert run(shell="exec <&-; sleep 0.1; echo done", stdin="x" * 5_000_000).output == "done"


def test_bytes_that_are_no_text_become_replacement_characters():
    end = run(shell=r"printf 'gr\303\274n \377\n'; printf '\376 bad\n' >&2; exit 0")
    assert end.output == "grün \ufffd"
    assert end.artifacts == {"stdout": b"gr\xc3\xbcn \xff\n", "stderr": b"\xfe bad\n"}


def test_text_beyond_the_limit_is_cut_with_a_mark_and_whole_in_the_artifact():
    end = run(shell=f"head -c {LARGEST_OUTPUT + 5} /dev/zero | tr '\\0' x")
    text, _, mark = end.output.rpartition("\n")
    assert text == "x" * LARGEST_OUTPUT
    assert mark == f"[podium: cut, {LARGEST_OUTPUT + 5} bytes in all]"
    assert len(end.artifacts["stdout"]) == LARGEST_OUTPUT + 5
    lines = run(shell=f"seq {LARGEST_OUTPUT}", output="lines").output
    assert lines[:2] == ["1", "2"]
    assert "cut" in lines[-1]


def test_json_beyond_the_limit_is_errored():
    assert kind(run(shell="yes 1 | head -c 2000000", output="json")) == ("errored", "OutputTooLarge")


def test_50_mb_of_output_are_kept_and_the_loop_goes_on_meanwhile():
    async def body(bench):
        pauses = []

        async def tick():
            while True:
                before = time.perf_counter()
                await asyncio.sleep(0.001)
                pauses.append(time.perf_counter() - before)

        ticking = asyncio.create_task(tick())
        bench.start(1, shell="head -c 50000000 /dev/zero; head -c 50000000 /dev/zero >&2", output="none")
        end = await bench.end(1)
        ticking.cancel()
        sizes = {name: len(data) for name, data in end.artifacts.items()}
        assert sizes == {"stdout": 50_000_000, "stderr": 50_000_000}
        assert max(pauses) < 2

    with_commands(body)


def test_what_is_beyond_the_largest_stream_is_dropped_and_said():
    async def body(bench):
        bench.start(1, shell=f"head -c {LARGEST_STREAM + 77} /dev/zero; echo end", output="none")
        end = await bench.end(1)
        assert end.outcome == "passed"
        assert end.artifacts["stdout"][LARGEST_STREAM:] == b"\n[podium: 81 more bytes were dropped]\n"

    with_commands(body)


def test_what_a_command_writes_is_a_sign_of_life_a_few_times_a_second():
    async def body(bench):
        bench.start(
            1, shell=r"for i in $(seq 60); do printf '\nline %s\n' $i; sleep 0.01; done; printf 'x%.0s' $(seq 300)"
        )
        await bench.end(1)
        return [report.message for report in bench.reports[1][:-1]]

    messages = with_commands(body)
    assert messages[0] == "line 1"
    assert 2 <= len(messages) <= 8
    assert all(message.startswith("line ") or message == "x" * 200 for message in messages)


def test_a_sign_of_life_is_one_clean_line():
    async def body(bench):
        bench.start(1, shell=r"printf 'a\n 10%% \r\033[31m 20%%\033[0m\a\n\n' >&2; sleep 0.05")
        return await bench.message(1)

    assert with_commands(body) == "20%"


def test_a_silent_process_reports_nothing_but_its_end():
    async def body(bench):
        bench.start(1, argv=["sleep", "0.5"])
        await bench.end(1)
        return bench.reports[1]

    assert with_commands(body) == [Finished("passed", "")]


def test_a_line_to_stop_on_ends_the_command_at_once():
    async def body(bench):
        code = "trap '' TERM; echo fine >&2; echo 'API ERROR: 529 overloaded' >&2; sleep 60"
        bench.start(1, shell=code, stop_on=["never", "(?i)api error"])
        return await bench.end(1)

    began = time.monotonic()
    end = with_commands(body)
    assert (end.outcome, end.failure.type, end.failure.message) == ("failed", "Pattern", "API ERROR: 529 overloaded")
    assert end.artifacts["stderr"].startswith(b"fine\nAPI ERROR")
    assert time.monotonic() - began < 5


def test_a_line_to_stop_on_counts_in_the_last_words_too_and_only_on_standard_error():
    assert kind(run(shell="printf 'no quota' >&2", stop_on=["^no quota$"])) == ("failed", "Pattern")
    assert run(shell="echo no quota; echo no; echo quota >&2", stop_on=["no.quota"]).outcome == "passed"


def test_asked_to_stop_a_command_is_cancelled():
    async def body(bench):
        bench.start(1, shell="echo $$; sleep 60")
        pid = int(await bench.message(1))
        bench.executor.stop(1, force=False)
        end = await bench.end(1)
        assert gone(pid)
        bench.executor.stop(1, force=True)
        return end

    end = with_commands(body)
    assert kind(end) == ("cancelled", "Cancelled")
    assert end.artifacts["stdout"]


def test_asked_to_stop_a_command_may_still_pass():
    async def body(bench):
        bench.start(1, shell="trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.02; done")
        await bench.message(1)
        bench.executor.stop(1, force=False)
        return await bench.end(1)

    end = with_commands(body)
    assert (end.outcome, end.output, end.failure) == ("passed", "ready\nsaved", None)


def test_a_command_that_ignores_being_asked_is_killed():
    async def body(bench):
        code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
        bench.start(1, argv=[sys.executable, "-c", code])
        await bench.message(1)
        bench.executor.stop(1, force=False)
        await asyncio.sleep(0.2)
        assert isinstance(bench.reports[1][-1], Progressed)
        bench.executor.stop(1, force=True)
        return await bench.end(1)

    assert kind(with_commands(body)) == ("cancelled", "Cancelled")


SCATTERS = """
import os, signal, subprocess, sys
deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
def begin(**how):
    child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, **how)
    child.stdout.readline()
    return child.pid
pids = begin(), begin(start_new_session=True), begin(env={"PATH": os.environ["PATH"]})
os.write(1, "{} {} {}".format(*pids).encode())  # at once
"""


def test_what_a_command_leaves_behind_is_dead_when_its_end_is_reported():
    end = python(SCATTERS)
    assert end.outcome == "passed"
    same, other, unlabelled = map(int, end.output.split())
    assert [gone(pid) for pid in (same, other, unlabelled)] == [True, True, True]


def test_killing_a_command_kills_what_left_its_session():
    async def body(bench):
        bench.start(1, argv=[sys.executable, "-c", SCATTERS + "\nimport time; time.sleep(600)"])
        pids = [int(pid) for pid in (await bench.message(1)).split()]
        bench.executor.stop(1, force=True)
        await bench.end(1)
        return [gone(pid) for pid in pids]

    assert with_commands(body) == [True, True, True]


def test_a_process_that_begins_while_others_are_killed_is_found():
    """Each link of the chain leaves the session and ends at once, having begun the next."""
    code = "import os, sys, time\nfor _ in range(4):\n if os.fork(): os._exit(0)\n os.setsid()\ntime.sleep(600)"
    for _ in range(20):
        python(code)
        assert not [process for process in psutil.process_iter() if code in _arguments(process)]


def _arguments(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_an_end_does_not_wait_for_somebody_else_who_holds_the_pipe():
    """A process without the label in a session of its own is beyond reach; it must not hold up the attempt."""
    began = time.monotonic()
    end = run(shell="env -i setsid sh -c 'echo $$; exec sleep 60' & sleep 0.2")
    assert end.outcome == "passed"
    assert time.monotonic() - began < 20
    psutil.Process(int(end.output)).kill()


def test_closing_the_executor_leaves_no_process_and_reports_nothing():
    pids = []

    async def body(bench):
        bench.start(1, argv=[sys.executable, "-c", SCATTERS + "\nimport time; time.sleep(600)"])
        bench.start(2, shell="trap '' TERM; echo $$; sleep 600; sleep 600")
        pids.extend((await bench.message(1)).split())
        pids.extend((await bench.message(2)).split())
        await bench.executor.close()
        bench.start(3, argv=["true"])
        assert kind(await bench.end(3)) == ("errored", "CannotStart")
        return bench.reports

    reports = with_commands(body)
    assert [len(reports[1]), len(reports[2])] == [1, 1]
    assert len(pids) == 4
    assert all(gone(int(pid)) for pid in pids)


def test_a_cancelled_loop_leaves_no_process():
    pids = []

    async def main():
        bench = Commands(CommandExecutor())
        bench.start(1, shell="trap '' TERM; echo $$; sleep 600; sleep 600")
        pids.append(int(await bench.message(1)))

    asyncio.run(main())
    assert gone(pids[0])


def test_without_pidfd_a_thread_notices_the_end(monkeypatch):
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    assert run(shell="sleep 0.1; echo yes; exit 0").output == "yes"
    assert kind(run(shell="kill -9 $$")) == ("errored", "Signal")
    assert python(SCATTERS).outcome == "passed"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc")
def test_after_a_hundred_attempts_there_is_no_zombie_and_no_open_descriptor():
    async def body(bench):
        async def some(first, count):
            for token in range(first, first + count):
                bench.start(token, shell="cat; echo err >&2; exit 1" if token % 2 else "kill -9 $$", stdin="in")
                if token % 3 == 0:
                    bench.executor.stop(token, force=token % 2 == 0)
                await bench.end(token)
            bench.start(first + count, argv=["no-such-program"], stdin="in")

        await some(0, 5)
        before = descriptors()
        await some(10, 100)
        assert descriptors() == before
        assert [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE] == []

    with_commands(body)


def test_many_short_commands_take_little_time():
    async def body(bench):
        ends = {token: asyncio.Event() for token in range(200)}
        bench.take = lambda token, report: ends[token].set() if report == Finished("passed", "") else None

        async def some(tokens):
            for token in tokens:
                bench.start(token, argv=["true"])
                await ends[token].wait()

        await asyncio.gather(some(range(100)), some(range(100, 200)))

    began = time.monotonic()
    with_commands(body)
    assert time.monotonic() - began < 20, "0.4 s on an idle machine"


def test_a_podium_within_a_podium_is_found_with_all_it_started():
    """The inner one labels its processes anew; they still carry the outer one's label before their own."""
    code = (
        "import sys, time; from podium.runtime.process_group import ProcessGroup\n"
        "inner = ProcessGroup(['sleep', '600'])\nprint(inner.pid, flush=True)\ntime.sleep(600)"
    )

    async def body(bench):
        bench.start(1, argv=[sys.executable, "-c", code])
        pid = int(await bench.message(1))
        bench.executor.stop(1, force=True)
        await bench.end(1)
        return gone(pid)

    assert with_commands(body)


def test_what_cannot_be_killed_is_said(monkeypatch):
    monkeypatch.setattr("podium.runtime.process_group.ProcessGroup.kill", lambda group: bool(group.wait()) and False)
    end = run(shell="exit 3")
    assert (end.outcome, end.failure.type) == ("errored", "LeftBehind")
    assert "ExitCode: exited with code 3" in end.failure.details


def test_an_attempt_has_an_end_whatever_happens(monkeypatch):
    def fails(_run):
        raise RuntimeError("broken")

    monkeypatch.setattr("podium.executors.command._result", fails)
    assert run(shell="exit 0").failure == Failure("RuntimeError", "could not look after the command: broken")
