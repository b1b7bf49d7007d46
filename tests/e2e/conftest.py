"""The real command in a process of its own, in a folder of its own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

SCENARIO = """\
kind: scenario
name: {name}
duration: {duration}
seed: 5
nodes:
  A: {{type: sensor, to: B, period: 100ms}}
  B: {{type: gateway}}
network:
  default: {{latency: 20 ms, jitter: 5 ms, loss: 5 %}}
"""
CRITERIA = """\
criteria:
  - at_end: B.received > {received}
"""


class Ended:
    """What a command came to."""

    def __init__(self, pid, code, output, errors):
        self.pid, self.code, self.output, self.errors = pid, code, output, errors

    @property
    def json(self):
        return json.loads(self.output)

    @property
    def events(self):
        return [json.loads(line) for line in self.output.splitlines()]

    @property
    def cases(self):
        return {case["name"]: case for case in self.json["cases"]}

    @property
    def outcomes(self):
        return {case["name"]: case["outcome"] for case in self.json["cases"]}

    @property
    def fingerprints(self):
        return {case["name"]: case["output"]["fingerprint"] for case in self.json["cases"]}


class Podium:
    """Runs `podium` in a folder; its exit code must be the expected one, and it never shows a traceback."""

    command = Path(sys.executable).parent / "podium"

    def __init__(self, folder):
        self.folder = folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PODIUM_")}
        self.environment |= {"NO_COLOR": "1", "COLUMNS": "120"}

    def start(self, *arguments, **environment):
        return subprocess.Popen(
            [self.command, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments, code=0, **environment):
        with self.start(*arguments, **environment) as process:
            try:
                output, errors = process.communicate(timeout=50)
            finally:
                process.kill()
        assert process.returncode == code, (arguments, process.returncode, output, errors)
        assert "Traceback" not in output + errors
        return Ended(process.pid, process.returncode, output, errors)

    def refused(self, *arguments, code=2, error, **environment):
        """Run a command that fails with an error code, and return the message; nothing is on stdout."""
        ended = self(*arguments, code=code, **environment)
        assert ended.output == ""
        assert ended.errors.startswith(f"error[{error}]: "), ended.errors
        return ended.errors

    def write(self, name, text=None, *, duration="10s", received=0):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            text = SCENARIO.format(name=path.stem, duration=duration)
            text += "" if received is None else CRITERIA.format(received=received)
        path.write_text(text)
        return path

    def runs(self):
        return self("list", "--format", "json").json


class Begun:
    """A run in the background."""

    def __init__(self, process):
        self.process = process

    def end(self, code):
        """Return the JSON it printed; `None` leaves open which exit code it ends with."""
        output, errors = self.process.communicate(timeout=30)
        assert code in (None, self.process.returncode), (self.process.returncode, output, errors)
        assert "Traceback" not in output + errors
        return json.loads(output)

    def kill(self):
        self.process.kill()
        self.process.communicate(timeout=30)


@pytest.fixture(scope="session")
def podium_in():
    """Return a function that gives the command in a folder."""
    return Podium


@pytest.fixture
def podium(tmp_path):
    return Podium(tmp_path)


@pytest.fixture
def begin(podium):
    """Return a function that begins a run in the background; what is left of it at the end is killed."""
    begun = []

    def start(*arguments, **environment):
        begun.append(Begun(podium.start(*arguments, "--format", "json", **environment)))
        return begun[-1]

    yield start
    for run in begun:
        run.kill()


@pytest.fixture
def nothing_left():
    """Return a function that tells whether all processes a process had started are gone, waiting a little for it."""

    def is_left(pid):
        for process in psutil.process_iter():
            try:
                owner = process.environ().get("PODIUM_OWNER", "")
                if owner.startswith(f"{pid}:") and process.status() != psutil.STATUS_ZOMBIE:
                    return True
            except (psutil.Error, OSError):
                continue
        return False

    def check(pid):
        deadline = time.monotonic() + 10
        while is_left(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        return not is_left(pid)

    return check


@pytest.fixture(scope="session")
def examples():
    return EXAMPLES
