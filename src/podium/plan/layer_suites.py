"""From a category to what an executor has to do: its runner, and all that its document and the command line say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import msgspec

from podium.model import layers as d
from podium.model.findings import Path
from podium.plan.layer_context import Context
from podium.plan.layer_fail_fast import FailFast
from podium.plan.layer_llm import llm_variables
from podium.plan.plain import plain
from podium.plan.suites import (
    CommandSuite,
    Criteria,
    Limits,
    PytestSuite,
    Quarantined,
    Selection,
    SharedLimits,
    Suite,
)

ANY_NUMBER = 2**31 - 1
"""So many failures are no limit."""


class Shard(NamedTuple):
    """A part of a category.

    Attributes:
        number: Which one, from 1.
        of: How many there are.
    """

    number: int = 1
    of: int = 1


class Share(NamedTuple):
    """What a category gets of what all share.

    Attributes:
        workers: Worker processes.
        budget: Time for its most telling tests [s].
        variables: Of services that are mocked.
        services: Service to an expression of its variables.
    """

    workers: int
    budget: float | None
    variables: Mapping[str, str]
    services: Mapping[str, str]


def runner_of(context: Context, layer: str, category: d.CategoryDocument) -> tuple[str, Suite] | None:
    """Return the executor and the bare suite of a category; None if nothing in the project looks like it.

    Args:
        context: What the plan is made of.
        layer: Its layer.
        category: The category.
    """
    if category.pytest is not None:
        p = category.pytest
        return "pytest", PytestSuite(
            cwd=p.cwd,
            origin=_origin(p.cwd),
            python=p.python,
            paths=tuple(p.paths),
            include=tuple(p.include),
            exclude=tuple(p.exclude),
            markers=p.markers,
            keyword=p.keyword,
            args=tuple(p.args),
            workers=p.workers or 1,
            fork=p.fork,
        )
    if category.run is not None:
        report = f".podium/reports/{layer}.{category.name}.xml"
        argv = (*context.program, "run", category.run, "--junit", report)
        return "suite", CommandSuite(argv=argv, report="junit", report_path=report, exit_codes=(0, 1))
    if category.command is not None or category.shell is not None:
        found = category.report or d.ReportDocument()  # pyright: ignore[reportCallIssue]
        return "suite", CommandSuite(
            cwd=category.cwd,
            origin=_origin(category.cwd),
            argv=tuple(category.command or ()),
            shell=category.shell or "",
            report=found.format,
            report_path=found.path,
            exit_codes=tuple(category.exit_codes),
        )
    runner = context.find(category.name, context.project)
    return None if runner is None else (runner.kind, _filtered(runner.suite, category.filters))


def _origin(cwd: str) -> str:
    return cwd.strip("/").removeprefix("./").replace("\\", "/") if cwd not in {"", "."} else ""


def _filtered(suite: Suite, filters: d.FiltersDocument | None) -> Suite:
    """Return a suite that was found, with filters; what it was found by includes enough."""
    if filters is None or not isinstance(suite, PytestSuite):
        return suite
    is_narrow = suite.paths or suite.markers or suite.keyword or suite.include
    include = suite.include if is_narrow else tuple(filters.include)
    return msgspec.structs.replace(suite, include=include, exclude=(*suite.exclude, *filters.exclude))


def payload_of(
    context: Context,
    layer: str,
    category: d.CategoryDocument,
    suite: Suite,
    *,
    share: Share,
    fail_fast: FailFast,
    shard: Shard,
) -> tuple[dict[str, Any], bool]:
    """Return the payload of a category, and whether it is a template.

    Args:
        context: What the plan is made of.
        layer: Its layer.
        category: The category.
        suite: The bare suite.
        share: What it gets of what all share.
        fail_fast: What a failure ends.
        shard: Which part of it.
    """
    document, selection = context.document.layers[layer], context.selection
    defaults = context.document.defaults
    at = ("layers", layer, "categories", context.position(layer, category.name))
    place: Path = (*at, "llm") if category.llm is not None else ("layers", layer, "llm")
    test_timeout = category.test_timeout or defaults.test_timeout
    retries = defaults.retries if category.retries is None else category.retries
    whole = msgspec.structs.replace(
        suite,
        env={
            **suite.env,
            **({"TEST_ENVIRONMENT": selection.environment} if selection.environment else {}),
            **({"TEST_REAL_SERVICES": "1"} if context.uses_real_services or category.real_services else {}),
            **llm_variables(context, document.llm, category.llm, place, f"{layer}/{category.name}"),
            **context.in_environment.env,
            **document.env,
            **share.variables,
            **category.env,
            **({"PODIUM_SHARD": str(shard.number), "PODIUM_SHARDS": str(shard.of)} if shard.of > 1 else {}),
            **dict(selection.env),
        },
        timeout=selection.test_timeout or (suite.timeout if test_timeout is None else test_timeout / 1e9),
        retries=retries if selection.retries is None else selection.retries,
        max_failures=fail_fast.max_failures,
        early_end=fail_fast.early_end_of(document.success, category.success),
        flaky=defaults.flaky,
        criteria=criteria_within(document.success, category.success),
        limits=_limits(context, layer, category.limits),
        quarantine=tuple(Quarantined(q.test, q.until, q.reason) for q in context.document.quarantine),
        selection=Selection(
            only=selection.only,
            changed=selection.changed,
            since=selection.since,
            budget=share.budget,
            repeat=selection.repeat,
            until_fail=selection.until_fail,
            shard=(shard.number, shard.of),
        ),
    )
    if isinstance(whole, PytestSuite):
        whole = _pytest(context, whole, share.workers)
    payload = plain(whole)
    if shard.of > 1:
        payload = _numbered(payload, shard)
    if not share.services:
        return payload, False
    return {**escaped(payload), "services": dict(share.services)}, True


def _pytest(context: Context, suite: PytestSuite, workers: int) -> PytestSuite:
    """Return a suite of pytest with what the command line says about it."""
    selection, pattern = context.selection, context.selection.pattern
    by_path = any(sign in pattern for sign in ("/", "*")) or pattern.endswith(".py")
    keyword = suite.keyword
    if pattern and not by_path:
        keyword = f"({keyword}) and ({pattern})" if keyword else pattern
    return msgspec.structs.replace(
        suite,
        include=(pattern,) if pattern and by_path else suite.include,
        keyword=keyword,
        narrowed=f"-k {pattern}" if pattern else "",
        workers=workers,
        python=selection.python or suite.python,
        fork=suite.fork and selection.fork,
        args=(*suite.args, *selection.pytest_args),
    )


def criteria_of(success: d.SuccessDocument | None) -> Criteria:
    """Return when tests count as passed: strictly, unless something else is said.

    One of the two limits alone leaves the other open.
    """
    if success is None:
        return Criteria()
    rate, failures = success.min_pass_rate, success.max_failures
    if rate is None and failures is None:
        rate, failures = 1.0, 0
    return Criteria(
        min_pass_rate=0.0 if rate is None else rate,
        max_failures=ANY_NUMBER if failures is None else failures,
        critical=tuple(success.critical),
        allow_partial=success.allow_partial,
    )


def criteria_within(layer: d.SuccessDocument | None, category: d.SuccessDocument | None) -> Criteria:
    """Return the criteria of a category; what is critical for its layer is so in all its categories."""
    criteria = criteria_of(category)
    more = () if layer is None else layer.critical
    return msgspec.structs.replace(criteria, critical=tuple(dict.fromkeys((*criteria.critical, *more))))


def _limits(context: Context, layer: str, category: d.LimitsDocument | None) -> Limits:
    """Return what a suite may use: what its category says, each within what all suites of its layer may together."""
    most, document = context.document.execution.cpu, context.document.layers[layer].limits
    memory, cpu, processes = (category.memory, category.cpu, category.processes) if category else (None, None, None)
    shares = [share for share in (cpu, most) if share is not None]
    shared = None
    if document is not None:
        of_layer = _whole(document.memory), _share(document.cpu), document.processes
        shared = SharedLimits(f"layer `{layer}`", *of_layer) if any(of_layer) else None
    return Limits(_whole(memory), _share(min(shares, default=None)), processes, shared)


def _whole(memory: float | None) -> int | None:
    return None if memory is None else int(memory)


def _share(cpu: float | None) -> float | None:
    """Return a share of all processors, nothing if it is all of them."""
    return None if cpu is None or cpu >= 1 else cpu


def _numbered(value: Any, shard: Shard) -> Any:
    """Return a payload with the numbers of a shard in its texts."""
    if isinstance(value, str):
        return value.replace("${shard}", str(shard.number)).replace("${shards}", str(shard.of))
    if isinstance(value, list):
        return [_numbered(item, shard) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _numbered(item, shard) for key, item in cast("dict[str, Any]", value).items()}
    return value


def escaped(value: Any) -> Any:
    """Return a payload whose texts mean themselves when it is rendered as a template."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, list):
        return [escaped(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in cast("dict[str, Any]", value).items()}
    return value
