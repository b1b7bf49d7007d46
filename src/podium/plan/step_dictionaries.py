"""From step dictionaries, as Python programs write them, to a plan.

    [{"name": "reserve", "action": "reserve", "compensation": "release"}, {"name": "ship", "retry": True}]

The steps run in the order of the list, each after the one before, unless `needs` says otherwise. All that is wrong is
reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from podium.errors import PlanError
from podium.model.findings import did_you_mean
from podium.plan.graph import Need, Plan, Step
from podium.plan.policy import Compensation, Policy, Retry
from podium.plan.step_conditions import Before, step_named, translated, translated_in
from podium.plan.step_drafts import Draft, Reading
from podium.plan.workflow_policies import bare
from podium.protocols import ExpressionError, Expressions, Work

FAILS = "podium: declared to fail"
"""Name of the function that steps call which are declared to fail."""
FAILING = Work("local", {"callable": FAILS})
"""What such a step does."""
DECLARED = "declared"
"""Label of steps that are declared, and have nothing that is carried out."""
_SUCCESS = "success"
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_WIDEST = 32
_LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Conventions:
    """What step dictionaries leave open.

    Attributes:
        actions: Name of every registered function to which of `input` and `results` it takes.
        look_up: Returns the same for a function `module:name`; raises ValueError if there is none.
        attempts: How many attempts `retry: True` means.
        delay: The first wait before another attempt [s]; it doubles from one to the next.
        compensates: Whether what was done is undone if the run does not pass.
    """

    actions: Mapping[str, Collection[str]]
    look_up: Callable[[str], Collection[str]]
    attempts: int = 3
    delay: float = 5.0
    compensates: bool = True


def plan_steps(
    name: str, steps: Sequence[Any], conventions: Conventions, *, expressions: Expressions, **more: Any
) -> Plan:
    """Return the plan of a list of step dictionaries.

    Args:
        name: What a person calls it.
        steps: The dictionaries.
        conventions: What they leave open.
        expressions: The language of their conditions, once translated.
        more: Other attributes of the plan.

    Raises:
        PlanError: What is wrong with them, all of it.
    """
    reading = Reading(steps)
    making = _Making(reading, conventions, expressions)
    made = [] if reading.findings else [making.step(draft) for draft in reading.drafts]
    if reading.findings:
        raise PlanError(reading.findings)
    plan = Plan.of(name, made, work="workflow", **more)
    widest = max(map(len, plan.waves()))
    return msgspec.structs.replace(plan, slots=min(widest, _WIDEST))


def is_function(action: str) -> bool:
    """Return whether an action is written as `module:function`."""
    return _FUNCTION.fullmatch(action) is not None


class _Making:
    """Makes steps of drafts."""

    def __init__(self, reading: Reading, conventions: Conventions, expressions: Expressions) -> None:
        self._reading = reading
        self._known = reading.known
        self._names = list(reading.known)
        self._conventions = conventions
        self._expressions = expressions
        functions = any(is_function(draft.given.get("action", "")) for draft in reading.drafts)
        self._only_declared = not conventions.actions and not functions

    def step(self, draft: Draft) -> Step:
        """Return the step of a draft."""
        step = Step(
            name=draft.name,
            work=Work("value", {"value": None}),
            needs=tuple(Need(need) for need in draft.needs),
            when=self._when(draft),
        )
        if draft.kind == "action":
            return self._with_action(draft, step)
        value: Any = {name: _hole(f"{step_named(name)}.output") for name in draft.inner}
        if draft.kind == "branch":
            value = _hole(f"({self._expression(draft.given['condition'], draft)}) ? true : false")
        work = Work("value", {"value": value}, template=True)
        return msgspec.structs.replace(step, work=work, labels={"kind": draft.kind})

    def _with_action(self, draft: Draft, step: Step) -> Step:
        action = self._action(draft)
        if action is None:
            work = Work("value", {"value": draft.given.get("output", _SUCCESS)})
            if draft.given.get("fail"):
                work = FAILING
            policy, labels = Policy(), {DECLARED: "yes"}
        else:
            earlier = [name for name in self._names if name in self._earlier(draft)]
            work = self._call(action, draft, earlier)
            policy, labels = self._policy(draft), {"action": action}
        return msgspec.structs.replace(
            step, work=work, policy=policy, labels=labels, compensation=self._compensation(draft)
        )

    # Actions

    def _action(self, draft: Draft) -> str | None:
        """Return what a step calls, None if it is a declaration."""
        action: str | None = draft.given.get("action")
        is_declaration = "output" in draft.given or bool(draft.given.get("fail"))
        if self._only_declared:
            return None
        if action is None:
            if is_declaration:
                return None
            if draft.name not in self._conventions.actions:
                self._report(draft, "D143", "has no action, and none is registered under its name", draft.name)
            return draft.name
        if is_declaration:
            hint = "they are what a step comes to that has nothing to call; remove them, or `action`"
            self._reading.report("D142", f"step `{draft.name}` has an action, and `output` or `fail`", hint)
        elif not is_function(action) and action not in self._conventions.actions:
            self._report(draft, "D143", f"has the unknown action `{action:.40}`", action)
        return action

    def _report(self, draft: Draft, code: str, text: str, word: str) -> None:
        known = ", ".join(self._conventions.actions) or "none"
        close = did_you_mean(word, list(self._conventions.actions), what="registered") or ""
        hint = close if close.startswith("registered") else f"{close} registered: {known}".strip()
        self._reading.report(code, f"step `{draft.name}` {text}", hint)

    def _call(self, action: str, draft: Draft, earlier: Iterable[str]) -> Work:
        kind = "python" if is_function(action) and action not in self._conventions.actions else "local"
        args: dict[str, Any] = {}
        takes = self._takes(action, draft)
        if "input" in takes:
            args["input"] = self._input(draft)
        if "results" in takes:
            args["results"] = {name: _hole(f"{step_named(name)}.output") for name in earlier}
        return Work(kind, {"callable": action, "args": args}, template=bool(args))

    def _takes(self, action: str, draft: Draft) -> Collection[str]:
        if action in self._conventions.actions:
            return self._conventions.actions[action]
        if not is_function(action):
            return ()
        try:
            return self._conventions.look_up(action)
        except ValueError as error:
            self._reading.report("D143", f"step `{draft.name}`: {error}")
            return ()

    def _input(self, draft: Draft) -> Any:
        if "input" not in draft.given:
            return "${inputs}"
        try:
            return translated_in(draft.given["input"], lambda text: self._checked(text, draft))
        except ExpressionError as error:
            self._reading.report("P213", f"`input` of step `{draft.name}`: {error}")
            return None

    def _policy(self, draft: Draft) -> Policy:
        retry = draft.given.get("retry", False)
        attempts = {True: self._conventions.attempts, False: 1}[retry] if isinstance(retry, bool) else int(retry)
        delay = self._conventions.delay
        return Policy(
            timeout=draft.given.get("timeout"),
            retry=Retry(attempts=attempts, initial=delay, maximum=max(_LONGEST_WAIT, delay), jitter=0.0),
        )

    def _compensation(self, draft: Draft) -> Compensation | None:
        action: str | None = draft.given.get("compensation")
        if action is None or self._only_declared:
            return None
        if not is_function(action) and action not in self._conventions.actions:
            self._report(draft, "D143", f"has the unknown compensation `{action:.40}`", action)
            return None
        earlier = [name for name in self._names if name in self._earlier(draft)]
        work = self._call(action, draft, [*earlier, draft.name])
        return Compensation(work, self._policy(draft)) if self._conventions.compensates else None

    # Expressions

    def _when(self, draft: Draft) -> str:
        own = [self._expression(text, at) for text, at in draft.conditions]
        inside = [_decided(name, decision=decision) for name, decision in draft.inside]
        chosen = " || ".join(_decided(name, decision=decision) for name, decision in draft.chosen_by)
        parts = [*inside, *([chosen] if chosen else []), *own]
        return parts[0] if len(parts) == 1 else " && ".join(f"({part})" for part in parts)

    def _expression(self, text: str, draft: Draft) -> str:
        try:
            return self._checked(bare(text), draft)
        except ExpressionError as error:
            self._reading.report("P213", f"`condition` of step `{draft.name}` is `{text:.60}`: {error}")
            return "true"

    def _checked(self, text: str, draft: Draft) -> str:
        self._expressions.steps(translated(text, Before(), self._names))  # an error shows this, as it is shorter
        expression = translated(text, self._before(draft), self._names)
        earlier = self._earlier(draft)
        for name in sorted(self._expressions.steps(expression)):
            if name not in self._known:
                raise ExpressionError(f"there is no step `{name}`; known: {', '.join(self._names)}")
            if name not in earlier:
                raise ExpressionError(f"step `{name}` may come later; add it to `needs`")
        return expression

    def _before(self, draft: Draft) -> Before:
        """Return what `result` means: steps that only decide are passed over; behind optional ones come others."""
        names: list[str] = []
        seen: set[str] = set()
        while draft.start and draft.start[-1] not in seen:  # a circle is refused later
            draft = self._known[draft.start[-1]]
            seen.add(draft.name)
            if draft.kind != "branch":
                names.append(draft.name)
                if not draft.is_optional:
                    return Before(tuple(names), certain=True)
        return Before(tuple(names))

    def _earlier(self, draft: Draft) -> set[str]:
        """Return the steps that come before a step in any case."""
        found: set[str] = set()
        ahead = [*draft.start]
        while ahead:
            name = ahead.pop()
            if name not in found:
                found.add(name)
                ahead += self._known[name].needs
        return found


def _decided(branch: str, *, decision: bool) -> str:
    return f"{step_named(branch)}.output == {'true' if decision else 'false'}"


def _hole(expression: str) -> str:
    return f"${{{expression}}}"
