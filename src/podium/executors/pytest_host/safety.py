"""When a process must not be forked."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import pytest

_HARMLESS = ("TMonitor",)
"""Types of threads that nothing waits for in a forked process: that of tqdm's display."""


def why_not_fork(config: pytest.Config) -> str:
    """Return why workers must not be forked from this process, nothing if they may."""
    return _unsuitable_platform() or _unsuitable_options(config) or _threads() or _accelerators()


def _unsuitable_platform() -> str:
    unsuitable = not hasattr(os, "fork") or sys.platform in {"win32", "darwin"}
    return f"processes are not forked on {sys.platform}" if unsuitable else ""


def _unsuitable_options(config: pytest.Config) -> str:
    for option in ("usepdb", "trace", "stepwise", "setupplan", "setuponly", "setupshow"):
        if config.getoption(option, False):
            return f"the option `{option}` needs one process"
    return ""


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


def every_report(config: pytest.Config) -> bool:
    """Return whether somebody in the parent wants to see the reports of all tests."""
    if config.getoption("durations", None) is not None or config.getoption("xmlpath", None):
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
