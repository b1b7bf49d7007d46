"""`podium show`: one run, or one of its cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import click
import msgspec

from podium.cli.options import format_option, known_store_option, run_argument
from podium.cli.output import print_json, print_table
from podium.cli.words import counts_in_words, local_time, noun_of, numbered, outcome_of
from podium.errors import UsageError
from podium.events import outcome_word
from podium.history import TestOfRun
from podium.model.scenario import Verdict
from podium.session import Session
from podium.sinks.test_lines import total_in_words
from podium.sinks.writing import how_long, printable
from podium.store import RunRow, StepRow
from podium.store.surrounding import surrounding_of
from podium.test_results import BAD, TestCounts, TestResult

_PACKETS = ("delivered", "lost", "dropped", "blocked", "in_flight")
_QUIET = ("passed", "skipped", "xfailed")
"""Outcomes of tests that are counted and not shown one by one."""
_LINES = 20
_LATENCIES = ("mean_ms", "p95_ms", "max_ms")
_LONG = 1e4
"""Numbers from here on are shown with six digits rather than four."""


@click.command("show")
@run_argument
@click.argument("case", required=False)
@click.option("--tests", is_flag=True, help="Its tests, or those of the step CASE: text has those that did not pass.")
@format_option("text", "json")
@known_store_option
def command(*, run: str, case: str | None, tests: bool, format_: str, store: Path | None) -> int:
    """Show RUN, or one CASE of it with its criteria, timeline and latencies, or one step with its output."""
    with Session.open(store) as session:
        row = session.store.run(run)
        if tests:
            _show_tests(session, row, case, format_)
            return 0
        steps = session.store.steps(row.id)
        state = outcome_of(session, row)
        known = list(dict.fromkeys([*(step.name for step in session.plan_of(row.id).steps), *(s.name for s in steps)]))
        bad = [test for test in session.store.not_passed(row.id) if test.result.outcome in BAD]
        found = None if case is None else _find(case, steps, known, noun_of(row))
        printed = {} if found is None else {name: session.store.blob(found.artifacts[name]) for name in _printed(found)}
        inner = [] if found is None else session.store.runs_within(row.id, found.name)
        began = [(one.id, one.name, outcome_of(session, one)) for one in inner]
    if found is not None:
        _show_case(found, format_, noun_of(row), printed, began)
    elif format_ == "json":
        print_json({"run": row, "cases": steps})
    else:
        _show_run(row, state, steps, known, bad)
    return 0


def _show_tests(session: Session, row: RunRow, step: str | None, format_: str) -> None:
    """Print what the tests of a run, or of one step of it, came to."""
    known = [one.name for one in session.plan_of(row.id).steps]
    if step is not None and step not in known:
        _find(step, [], known, noun_of(row))
    results = session.store.results_of(row.id, step)
    if format_ == "json":
        print_json([{"step": place[0], **msgspec.to_builtins(result)} for place, result in results.items()])
        return
    told = [(place[0], result) for place, result in results.items() if result.flaky or result.outcome not in _QUIET]
    if told:
        print_table(
            ("OUTCOME", "TOOK ", "STEP", "TEST", "WHY"),
            (
                (_outcome(result), how_long(result.duration), name, printable(result.id), printable(result.message))
                for name, result in told
            ),
        )
        click.echo("")
    counts = TestCounts()
    counts.add(results.values())
    click.echo(total_in_words(counts))


def _outcome(result: TestResult) -> str:
    if result.flaky and result.outcome == "passed":
        return "flaky"
    return outcome_word(result.outcome) + (" (in quarantine)" if result.quarantined else "")


def _find(case: str, steps: list[StepRow], known: list[str], noun: str) -> StepRow:
    for step in steps:
        if step.name == case:
            return step
    if case in known:
        raise UsageError(f"{noun} `{case}` has no result yet", code="U414", hint=f"`podium why RUN {case}`")
    from podium.model.findings import did_you_mean  # noqa: PLC0415

    raise UsageError(f"the run has no {noun} `{case}`", code="U414", hint=did_you_mean(case, known, what=f"{noun}s"))


def _show_run(row: RunRow, state: str, steps: list[StepRow], known: list[str], bad: list[TestOfRun]) -> None:
    click.echo(f"run      {row.id}")
    click.echo(f"name     {row.name}")
    click.echo(f"outcome  {state}  {counts_in_words(row.counts)}".rstrip())
    click.echo(f"started  {local_time(row.started_us)}")
    if row.duration is not None:
        click.echo(f"took     {how_long(row.duration)}")
    if row.parent:
        click.echo(f"reruns   {row.parent}")
    surrounding = surrounding_of(row)
    if surrounding is not None:
        click.echo(f"part of  {surrounding.run}  {printable(surrounding.step)}".rstrip())
    if row.output is not None:
        click.echo(f"output   {msgspec.json.encode(row.output).decode()}")
    click.echo("")
    by_name = {step.name: step for step in steps}
    print_table(("OUTCOME", "TOOK ", noun_of(row).upper(), "WHY"), (_line(name, by_name.get(name)) for name in known))
    if bad:
        click.echo(
            f"\n{numbered(len(bad), 'test')} did not pass" + (f", of which {_LINES}:" if len(bad) > _LINES else ":")
        )
        for test in bad[:_LINES]:
            click.echo(f"  {_outcome(test.result)}  {printable(test.step)}: {printable(test.result.id)}")


def _line(name: str, step: StepRow | None) -> tuple[object, ...]:
    if step is None:
        return "-", None, name, ""
    why = step.failure.message if step.failure else step.reason
    return step.outcome, None if step.duration is None else how_long(step.duration), name, why.partition("\n")[0]


def _printed(step: StepRow) -> list[str]:
    """Return the names of the artifacts that hold what a step printed."""
    return [name for name in ("output", "stdout", "stderr", "log") if name in step.artifacts]


def _show_case(
    step: StepRow, format_: str, noun: str, printed: dict[str, bytes], began: Sequence[tuple[str, str, str]]
) -> None:
    if format_ == "json":
        print_json(step)
        return
    click.echo(f"{noun:<11}  {step.name}")
    click.echo(f"outcome      {step.outcome}{f'  after {step.attempts} attempts' if step.attempts > 1 else ''}")
    if step.failure and step.failure.type != "Criteria":
        click.echo(f"failure      {step.failure.type}: {step.failure.message}\n{step.failure.details}".rstrip())
    if step.reason:
        click.echo(f"reason       {step.reason}")
    for run, name, outcome in began:
        click.echo(f"began run    {run}  {printable(name)}  {outcome_word(outcome)}")
    output: Any = step.output
    if not isinstance(output, dict) or "fingerprint" not in output:
        _show_output(step, printed)
        return
    _show_result(cast("dict[str, Any]", output))


def _show_result(output: dict[str, Any]) -> None:
    """Print what a simulation gave."""
    click.echo(f"seed         {output['seed']}\nfingerprint  {output['fingerprint']}")
    network = output.get("network", {})
    if network.get("sent"):
        what_became = counts_in_words({name: network.get(name, 0) for name in _PACKETS})
        click.echo(f"network      {numbered(network['sent'], 'packet')} sent: {what_became}")
    if output.get("criteria"):
        click.echo("")
        verdicts = msgspec.convert(output["criteria"], list[Verdict])
        print_table(
            ("OUTCOME", "CRITERION", "WORST ", "AT ", "MARGIN ", "FIRST VIOLATED "),
            (
                (
                    v.outcome,
                    v.name,
                    _measured(v.worst, v.unit),
                    _seconds(v.worst_at_s),
                    _measured(v.margin, v.unit),
                    _seconds(v.first_violation_s),
                )
                for v in verdicts
            ),
        )
    if output.get("timeline"):
        click.echo("")
        print_table(
            ("TIME ", "NODE", "EVENT", "FAULT", "SEVERITY "),
            (
                (_seconds(e["time_s"]), e["node"], e["event"], e.get("fault", ""), e.get("severity", ""))
                for e in output["timeline"]
            ),
        )
    _show_latencies(output.get("latency", {}))


def _show_output(step: StepRow, printed: dict[str, bytes]) -> None:
    if step.output is not None:
        click.echo(f"output       {msgspec.json.encode(step.output).decode()}")
    for name, data in printed.items():
        lines = data.decode("utf-8", "replace").splitlines()
        click.echo(f"\n{name}" + (f" (the last {_LINES} of {len(lines)} lines)" if len(lines) > _LINES else ""))
        for line in lines[-_LINES:]:
            click.echo(f"  {printable(line)}")


def _show_latencies(latency: dict[str, list[dict[str, Any]]]) -> None:
    if not latency:
        return
    from podium.analysis.latency import latency_statistics  # noqa: PLC0415

    click.echo("")
    rows = ((kind, latency_statistics([entry["ms"] for entry in entries])) for kind, entries in latency.items())
    print_table(
        ("LATENCY", "COUNT ", "MEAN ", "P95 ", "MAX "),
        ((kind, s["count"], *(_measured(s[of] / 1000, "s") for of in _LATENCIES)) for kind, s in rows),
    )


def _measured(value: float | str | None, unit: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return f"{value:.{4 if abs(value) < _LONG else 6}g} {unit}".rstrip()


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:g} s"
