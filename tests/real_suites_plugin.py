"""A plugin of pytest that writes what each test came to, for comparison: it is the reference, so it knows no Podium.

It is loaded with `-p real_suites_plugin` and writes the JSON file `REAL_SUITES_RESULTS` names: `outcomes`, by node id,
and `first_bad`, when the first test that did not pass was reported [s since the Unix epoch]. Under pytest-xdist it is
the controller that writes.
"""

import json
import os
import time
from pathlib import Path


def pytest_configure(config):
    path = os.environ.get("REAL_SUITES_RESULTS")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(Path(path)), "real-suites-recorder")


class Recorder:
    """Folds the reports of a test's phases into one outcome."""

    def __init__(self, path):
        self.path = path
        self.outcomes = {}
        self.first_bad = None

    def pytest_runtest_logreport(self, report):
        if hasattr(report, "context"):  # a subtest: the test fails with it, whatever the test itself reports
            if report.failed:
                self.outcomes[report.nodeid] = "failed"
                self.first_bad = self.first_bad or time.time()
            return
        outcome = outcome_of(report)
        known = self.outcomes.get(report.nodeid)
        if outcome and (known is None or (outcome == "errored" and known != "failed")):
            self.outcomes[report.nodeid] = outcome
        if report.failed and self.first_bad is None:
            self.first_bad = time.time()

    def pytest_sessionfinish(self):
        self.path.write_text(json.dumps({"outcomes": self.outcomes, "first_bad": self.first_bad}))


def outcome_of(report):
    """Return the outcome a report alone would mean, or None for a phase that went well and says nothing."""
    if report.failed:
        return "failed" if report.when == "call" else "errored"
    expected_to_fail = hasattr(report, "wasxfail")
    if report.skipped:
        return "xfailed" if expected_to_fail else "skipped"
    if report.when == "call":
        return "xpassed" if expected_to_fail else "passed"
    return None
