"""From what a workflow says about limits and retries to a policy."""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

import msgspec

from podium.model import workflow as d
from podium.model.findings import did_you_mean
from podium.plan.policy import Breaker, Group, Policy, Retry, RetryRule
from podium.plan.presets import PRESETS
from podium.plan.workflow_drafts import Drafts, Place

_USUAL_ATTEMPTS = 3
_BACKOFF = ("initial", "maximum", "exponent", "jitter")
_Value = TypeVar("_Value")


def seconds(ns: int) -> float:
    """Return a duration of a document [ns] as plans have it [s]."""
    return ns / 1e9


def listed(value: _Value | list[_Value]) -> tuple[_Value, ...]:
    """Return the values of a key that takes one or a list."""
    return tuple(cast("list[_Value]", value)) if isinstance(value, list) else (value,)


def preset_or(document: str | d.PolicyDocument | None, base: Policy, place: Place, drafts: Drafts) -> Policy:
    """Return the policy that a key `policy` asks for.

    Args:
        document: What it says.
        base: What holds where it says nothing.
        place: Where it stands.
        drafts: Where findings go.
    """
    if document is None:
        return base
    if isinstance(document, str):
        return _preset(document, base, place, drafts)
    if document.preset is not None:
        base = _preset(document.preset, base, place.at("preset"), drafts)
    return changed(base, document, place, drafts)


def changed(
    policy: Policy,
    document: d.PolicyDocument | d.StepDocument | d.CompensateDocument,
    place: Place,
    drafts: Drafts,
) -> Policy:
    """Return a policy with the limits and retries that a document gives, and note what does not fit together."""
    update: dict[str, Any] = {}
    if document.timeout is not None:
        update |= _limits(document.timeout, policy)
    if document.retry is not None:
        update["retry"] = retry_of(document.retry, policy.retry, place.at("retry"), drafts)
    if not isinstance(document, d.CompensateDocument):
        update |= {} if document.grace is None else {"grace": seconds(document.grace)}
        update |= {} if document.cache is None else {"cache": document.cache}
    if isinstance(document, d.PolicyDocument) and document.losses is not None:
        update["losses"] = document.losses
    policy = msgspec.structs.replace(policy, **update)
    if document.timeout is not None and policy.extend_to is not None and policy.extend_to < (policy.timeout or 0):
        text = f"`extend_to` is {policy.extend_to:g} s, less than the limit of an attempt, {policy.timeout:g} s"
        drafts.report("D147", text, place.at("timeout", "extend_to"), hint="make it longer, or remove it")
    return policy


def retry_of(document: int | d.RetryDocument, base: Retry, place: Place, drafts: Drafts) -> Retry:
    """Return when something is tried again.

    Args:
        document: Attempts, whether at all, or more.
        base: What holds where it says nothing.
        place: Where it stands.
        drafts: Where findings go.
    """
    usual = base.attempts if base.attempts > 1 else _USUAL_ATTEMPTS
    if isinstance(document, bool):
        return msgspec.structs.replace(base, attempts=usual if document else 1)
    if isinstance(document, int):
        return msgspec.structs.replace(base, attempts=document)
    update: dict[str, Any] = {"attempts": document.attempts or usual, **_backoff(document)}
    if document.outcomes is not None:
        update["outcomes"] = listed(document.outcomes)
    if document.budget is not None:
        update["budget"] = seconds(document.budget)
    retry = msgspec.structs.replace(base, **update)
    rules = [_rule(rule, retry, place.at("rules", index), drafts) for index, rule in enumerate(document.rules)]
    return msgspec.structs.replace(retry, rules=(*rules, *base.rules))


def breaker_of(document: str | d.BreakerDocument | None) -> Breaker | None:
    """Return what protects a target."""
    if document is None or isinstance(document, str):
        return None if document is None else Breaker(document)
    return Breaker(document.target, document.failures, seconds(document.window), seconds(document.reset))


def group_of(document: d.GroupDocument) -> Group:
    """Return the pace of a group."""
    return Group(seconds(document.stagger), document.starts, seconds(document.per))


def check_pattern(pattern: str, place: Place, drafts: Drafts) -> None:
    """Note it if a text is no regular expression."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        hint = r"put a backslash before a character that is meant literally: \( \[ \*"
        drafts.report("D148", f"`{pattern[:40]}` is no regular expression: {error}", place, hint=hint)


def _preset(name: str, base: Policy, place: Place, drafts: Drafts) -> Policy:
    if name not in PRESETS:
        hint = did_you_mean(name, list(PRESETS), what="presets")
        drafts.report("P218", f"unknown policy preset `{name}`", place, hint=hint)
    return PRESETS.get(name, base)


def _limits(document: int | d.TimeoutDocument, policy: Policy) -> dict[str, float | None]:
    """Return limits that change; a new limit of an attempt is not extended unless this is said again."""
    if isinstance(document, int):
        return {"timeout": seconds(document), "extend_to": None}
    names = {
        "attempt": "timeout",
        "extend_to": "extend_to",
        "active_within": "active_within",
        "silence": "silence_timeout",
        "queue": "queue_timeout",
        "total": "total_timeout",
    }
    given = {names[key]: seconds(ns) for key in names if (ns := getattr(document, key)) is not None}
    update: dict[str, float | None] = {**given}
    if "timeout" in given and "extend_to" not in given and (policy.extend_to or 0) < given["timeout"]:
        update["extend_to"] = None
    return update


def _backoff(document: d.RetryDocument | d.RetryRuleDocument) -> dict[str, float]:
    given = {key: getattr(document, key) for key in _BACKOFF}
    durations = {key: seconds(given[key]) for key in ("initial", "maximum") if given[key] is not None}
    return durations | {key: given[key] for key in ("exponent", "jitter") if given[key] is not None}


def _rule(document: d.RetryRuleDocument, retry: Retry, place: Place, drafts: Drafts) -> RetryRule:
    check_pattern(document.pattern, place.at("pattern"), drafts)
    if document.attempts > retry.attempts:
        text = f"the rule allows {document.attempts} attempts, but there are {retry.attempts} in all"
        drafts.report("D147", text, place.at("attempts"), hint="give `attempts` of `retry` a larger number")
    backoff = {key: getattr(retry, key) for key in _BACKOFF} | _backoff(document)
    return RetryRule(
        attempts=document.attempts,
        outcomes=listed(document.outcomes),
        errors=listed(document.errors),
        exit_codes=listed(document.exit_codes),
        pattern=document.pattern,
        when=bare(document.when),
        **backoff,
    )


def bare(text: str) -> str:
    """Return an expression without the `${…}` that may stand around it."""
    inner = text.strip()
    return inner[2:-1].strip() if inner.startswith("${") and inner.endswith("}") else text.strip()
