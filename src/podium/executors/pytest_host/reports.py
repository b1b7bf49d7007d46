"""Reports for the hooks of the parent: as a worker has sent them, or made from what is known of a test."""

from __future__ import annotations

from typing import Any

import pytest

from .records import PASSED, SKIPPED, XFAILED, XPASSED, Record

_PAIRS = ("sections", "user_properties")


def with_tuples(data: dict[str, Any]) -> dict[str, Any]:
    """Return a serialised report with the tuples it had before it was sent as JSON, which pytest and plugins rely on.

    Args:
        data: What `pytest_report_to_serializable` gave, sent and received.
    """
    known: dict[str, Any] = {key: [tuple(pair) for pair in data[key]] for key in _PAIRS if data.get(key)}
    if data.get("location"):
        known["location"] = tuple(data["location"])
    if isinstance(data.get("longrepr"), list):  # where and why it was skipped
        known["longrepr"] = tuple(data["longrepr"])
    return {**data, **known}


def made_report(item: Any, record: Record) -> Any:
    """Return a report about a test of which no report came.

    Args:
        item: The test.
        record: What it came to.
    """
    path, line, domain = item.location
    if record.outcome in {PASSED, XPASSED}:
        outcome, about = "passed", None
    elif record.outcome in {SKIPPED, XFAILED}:
        outcome, about = "skipped", (str(item.path), (line or 0) + 1, f"Skipped: {record.message}")
    else:
        outcome, about = "failed", record.message
    report: Any = pytest.TestReport(item.nodeid, (path, line, domain), {}, outcome, about, "call", (), record.duration)
    if record.outcome in {XFAILED, XPASSED}:
        report.wasxfail = record.message
    return report
