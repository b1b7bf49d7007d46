"""How fast the command starts, and what it does when something is wrong with Podium itself."""

import os
import subprocess
import sys

import pytest

from podium.cli.root import COMMANDS

HEAVY = ["pydantic", "yaml", "rich", "sqlite3", "asyncio", "msgspec", "psutil"]
DEFECT = """\
from podium.store.sqlite import Store

def runs(*_arguments, **_options):
    raise ValueError("a wrong value")

Store.runs = runs
"""


def test_help_imports_nothing_heavy(podium):
    code = (
        "import sys\n"
        "from podium.cli.root import run\n"
        "assert run(['--help']) == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, check=True, env=podium.environment, capture_output=True, text=True, timeout=20)
    assert ended.stderr.strip() == "[]"


def test_native_layers_do_not_wait_for_the_models_of_documented_ones(podium):
    (podium.folder / "layers.yaml").write_text("kind: layers\nlayers: {a: {categories: [{name: b, shell: 'true'}]}}\n")
    code = (
        "import sys\n"
        "from podium.cli.root import run\n"
        "assert run(['test', '--dry-run']) == 0\n"
        "print([name for name in sys.modules if name.startswith('podium.model.dialects')], file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(
        command, check=True, env=podium.environment, cwd=podium.folder, capture_output=True, text=True, timeout=20
    )
    assert ended.stderr.splitlines()[-1] == "[]"


def test_help_takes_less_than_150_ms_of_processor_time(podium):
    environment = {name: value for name, value in podium.environment.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def seconds():
        pid = os.posix_spawn(
            podium.command,
            [str(podium.command), "--help"],
            environment,
            file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
        )
        _, status, usage = os.wait4(pid, 0)
        assert status == 0
        return usage.ru_utime + usage.ru_stime

    seconds()  # writes what is compiled
    assert min(seconds() for _ in range(8)) < 0.150


def test_every_command_says_what_it_does(podium):
    listed = podium("--help").output
    for name, line in COMMANDS.items():
        assert f"  {name} " in listed
        assert line in listed
        ended = podium(name, "--help")
        assert ended.output.startswith(f"Usage: podium {name}")
        assert ended.errors == ""
    assert list(podium.folder.iterdir()) == []


def test_the_examples_in_the_help_of_run_stay_a_line_each(podium):
    lines = [line.strip() for line in podium("run", "--help").output.splitlines()]
    assert "podium run scenarios" in lines


def test_without_a_command_the_help_is_shown_and_it_is_wrong_usage(podium):
    ended = podium(code=2)
    assert ended.output == ""
    assert ended.errors == podium("--help").output


def test_the_version_is_printed(podium):
    assert podium("--version").output.startswith("podium ")
    assert podium("-V").output == podium("--version").output


@pytest.mark.parametrize("debug", [False, True])
def test_a_defect_of_podium_is_one_line_with_its_place_and_exit_code_3(podium, debug):
    podium.write("site/sitecustomize.py", DEFECT)
    environment = podium.environment | {"PYTHONPATH": "site"} | ({"PODIUM_DEBUG": "1"} if debug else {})
    command = [podium.command, "list"]
    ended = subprocess.run(
        command, check=False, cwd=podium.folder, env=environment, capture_output=True, text=True, timeout=20
    )
    assert ended.returncode == 3
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert ("Traceback (most recent call last):" in lines) == debug
    assert lines[-2].startswith("error[X900]: ValueError: a wrong value (in runs, ")
    assert lines[-1].startswith("hint: ")
    assert debug or len(lines) == 2


def test_ctrl_c_exits_130_without_a_traceback(podium):
    podium.write("site/sitecustomize.py", DEFECT.replace('ValueError("a wrong value")', "KeyboardInterrupt"))
    ended = podium("list", code=130, PYTHONPATH="site")
    assert ended.output == ""


def test_python_dash_m_is_the_same_command(podium):
    command = [sys.executable, "-m", "podium", "explain", "U404"]
    ended = subprocess.run(command, check=True, env=podium.environment, capture_output=True, text=True, timeout=20)
    assert ended.stdout == podium("explain", "U404").output
