"""When a process must not be forked."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import pytest

_ONE_PROCESS = (
    "usepdb",
    "trace",
    "stepwise",
    "stepwise_skip",
    "stepwise_reset",
    "setupplan",
    "setuponly",
    "setupshow",
)
_XDIST = frozenset({"-n", "-d", "--numprocesses", "--dist", "--tx"})
_HARMLESS = ("TMonitor",)
"""Types of threads that nothing waits for in a forked process: that of tqdm's display."""


def why_not_fork(config: pytest.Config) -> str:
    """Return why workers must not be forked from this process, nothing if they may."""
    return _unsuitable_platform() or why_one_process(config.option) or _threads() or _accelerators()


def why_one_process(options: Any) -> str:
    """Return which option needs all tests to be run by one process, whoever starts it, nothing if none does."""
    for option in _ONE_PROCESS:
        if getattr(options, option, False):
            return f"the option `{option}` needs one process"
    return ""


def _unsuitable_platform() -> str:
    unsuitable = not hasattr(os, "fork") or sys.platform in {"win32", "darwin"}
    return f"processes are not forked on {sys.platform}" if unsuitable else ""


def _threads() -> str:
    names = [
        thread.name
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and type(thread).__name__ not in _HARMLESS
    ]
    return f"threads were running after collection: {', '.join(sorted(names)[:5])}" if names else ""


def _accelerators() -> str:
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is not None and _asked(cuda, "is_initialized"):
        return "torch had initialised CUDA during collection"
    if getattr(sys.modules.get("jax._src.xla_bridge"), "_backends", None):
        return "jax had started a backend during collection"
    return ""


def hands_over(config: pytest.Config) -> bool:
    """Return whether pytest-xdist runs the tests, because the project or the caller says so."""
    return config.pluginmanager.hasplugin("dsession")


def keeps_from_xdist(options: Any, job: dict[str, Any]) -> str:
    """Return why pytest-xdist, which the project's settings ask for, is not to run the tests; nothing if it may.

    Args:
        options: As far as they are known before the first `conftest.py` is loaded.
        job: What the executor asked for.
    """
    asked = getattr(options, "numprocesses", None) or getattr(options, "tx", None) or getattr(options, "distload", None)
    if not asked or _XDIST.intersection(map(_option, job["args"])):  # whoever started this run asked for it
        return ""
    one_process = why_one_process(options)
    if one_process:
        return one_process
    if getattr(options, "dist", "") == "loadgroup":  # its groups are known to nobody else
        return ""
    if job["fork"]:
        return "workers are forked instead of those the project's settings ask for"
    return "" if job["xdist"] else "it cannot do all that is asked for"


def without_xdist(options: Any, args: list[str]) -> None:
    """Have the tests not run by pytest-xdist, whatever was said before.

    Args:
        options: As far as they are known: plugins look at them now.
        args: Arguments from which the final options are made.
    """
    options.numprocesses, options.tx, options.dist, options.distload = 0, [], "no", False
    place = args.index("--") if "--" in args else len(args)
    args[place:place] = ["-n0", "--dist=no"]


def _option(argument: str) -> str:
    """Return which option an argument gives."""
    if argument.startswith("--"):
        return argument.partition("=")[0]
    return argument[:2]


_OF_PASSED = frozenset("pPA")
"""Letters of `-r` with which the summary shows tests that passed."""


def every_report(config: pytest.Config) -> bool:
    """Return whether somebody in the parent wants to see the reports of all tests."""
    if config.getoption("durations", None) is not None or config.getoption("xmlpath", None):
        return True
    if not _OF_PASSED.isdisjoint(config.getoption("reportchars", None) or ""):
        return True
    return any(not builtin(impl.plugin) for impl in config.hook.pytest_runtest_logreport.get_hookimpls())


def builtin(plugin: Any) -> bool:
    """Return whether a plugin is one of pytest's own, or this one."""
    name = getattr(plugin, "__name__", None) or type(plugin).__module__
    return name.startswith(("_pytest.", "_podium_pytest_host")) or type(plugin).__module__.startswith(
        ("_pytest.", "_podium_pytest_host")
    )


def _asked(thing: Any, question: str) -> bool:
    try:
        return bool(getattr(thing, question)())
    except Exception:  # noqa: BLE001 (whatever a half imported library does)
        return False
