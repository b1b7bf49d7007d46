"""Step dictionaries as they are read: which there are, in what order, and what is wrong with them.

Nothing is decided here about actions and expressions; `podium.plan.step_dictionaries` makes steps of drafts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import msgspec

from podium.errors import Diagnostic
from podium.model.findings import did_you_mean
from podium.model.workflow import LONGEST_NAME, STEP_NAME

Kind = Literal["action", "parallel", "branch"]
KEYS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "action": (str,),
    "timeout": (int, float),
    "retry": (bool, int),
    "compensation": (str,),
    "condition": (str,),
    "then": (str, list, dict),
    "else": (str, list, dict),
    "parallel": (list,),
    "output": (object,),
    "fail": (bool, int),
    "needs": (str, list),
    "input": (object,),
}
"""What a step may say, and of which type."""
_OF_ALL = {"name", "needs", "condition"}
_OF_KIND: dict[Kind, set[str]] = {
    "action": _OF_ALL | {"action", "timeout", "retry", "compensation", "output", "fail", "input"},
    "parallel": _OF_ALL | {"parallel"},
    "branch": _OF_ALL | {"then", "else"},
}
_WORDS = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a step"}
_NAME = re.compile(STEP_NAME)


@dataclass
class Draft:
    """A step as it was read.

    Attributes:
        name: Its name.
        kind: `action`, `parallel`: made of others side by side, or `branch`: decides which others run.
        given: What the dictionary says.
        start: Steps that come before all of it, the one whose output is its `result` last.
        conditions: Its own, and those of what it is in, with the steps they were written at.
        chosen_by: The branches that name it, and for which decision; it runs if one of them decides so.
        inside: The branches it is in, and for which decision.
        inner: Names of the steps it is made of.
    """

    name: str
    kind: Kind
    given: Mapping[str, Any]
    start: list[str]
    conditions: list[tuple[str, Draft]] = field(default_factory=list["tuple[str, Draft]"])
    chosen_by: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    inside: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    inner: list[str] = field(default_factory=list[str])

    @property
    def needs(self) -> list[str]:
        """Steps that come first, with those it is made of."""
        return [*self.start, *self.inner]

    @property
    def is_optional(self) -> bool:
        """Whether it may be left out by a condition."""
        return bool(self.conditions or self.inside or self.chosen_by)


@dataclass(frozen=True)
class _Place:
    """Where a list of steps stands.

    Attributes:
        words: For people, such as `then` of `decide`.
        after: What comes before all of its steps.
        conditions: Of what it is in.
        inside: The branches it is in.
        in_order: Each step needs the one before.
    """

    words: str = ""
    after: tuple[str, ...] = ()
    conditions: tuple[tuple[str, Draft], ...] = ()
    inside: tuple[tuple[str, bool], ...] = ()
    in_order: bool = True


class Reading:
    """Reads a list of step dictionaries.

    Attributes:
        drafts: What was read, in order.
        findings: What is wrong.
    """

    def __init__(self, steps: Sequence[Any]) -> None:
        self.drafts: list[Draft] = []
        self.findings: list[Diagnostic] = []
        self._named: list[tuple[Draft, str, bool]] = []
        if not steps:
            self.report("D145", "the workflow has no steps", "add at least one step")
        self._list(steps, _Place())
        self.known = {draft.name: draft for draft in self.drafts}
        for draft, target, decision in self._named:
            self._choose(draft, target, decision=decision)
        self._check_needs()

    def report(self, code: str, text: str, hint: str | None = None) -> None:
        """Note that something is wrong."""
        self.findings.append(Diagnostic(code, text, hint))

    def _list(self, steps: Sequence[Any], place: _Place) -> list[str]:
        """Read some steps, and return the names of those that come last."""
        last, names = list(place.after), list[str]()
        for number, given in enumerate(steps, 1):
            words = f"step {number}{place.words}"
            if not isinstance(given, Mapping):
                self.report("D123", f"{words} is {given!r:.40}, and must be a dictionary")
                continue
            last = self._step(cast("Mapping[str, Any]", given), words, place, last if place.in_order else place.after)
            names += last
        return last if place.in_order else names

    def _step(self, given: Mapping[str, Any], words: str, place: _Place, before: Sequence[str]) -> list[str]:
        """Read one step, and return the names of those the next one needs."""
        kind = self._checked(given, words)
        if kind is None:
            return list(before)
        given = _without_nothing(given)
        draft = Draft(given["name"], kind, given, list(before))
        if "needs" in given:
            draft.start = [name for name in place.after if not place.in_order or place.inside]
            draft.start += [name for name in _listed(given["needs"]) if name not in draft.start]
        draft.conditions += place.conditions
        draft.inside += place.inside
        if "condition" in given:
            draft.conditions.append((given["condition"], draft))
        if kind == "parallel":
            at = f" of `parallel` of `{draft.name}`"
            inner = _Place(at, tuple(draft.start), tuple(draft.conditions), place.inside, in_order=False)
            draft.inner = self._list(given["parallel"], inner)
            self.drafts.append(draft)
        else:
            self.drafts.append(draft)
            if kind == "branch":
                return self._branches(draft, place)
        return [draft.name]

    def _branches(self, draft: Draft, place: _Place) -> list[str]:
        """Read the steps that stand in a branch; they follow one after another, as at most one side runs."""
        draft.conditions.pop()  # it decides, and is itself not left out
        last = [draft.name]
        for key, decision in (("then", True), ("else", False)):
            inline: list[Any] = []
            for entry in _listed(draft.given.get(key, ())):
                if isinstance(entry, str):
                    self._named.append((draft, entry, decision))
                else:
                    inline.append(entry)
            side = (*place.inside, (draft.name, decision))
            at = _Place(f" of `{key}` of `{draft.name}`", tuple(last), tuple(draft.conditions), side)
            last = self._list(inline, at)
        return last

    def _choose(self, draft: Draft, target: str, *, decision: bool) -> None:
        """Let a branch decide whether a step of the list runs, with all it is made of."""
        chosen = self.known.get(target)
        if chosen is None:
            self._unknown("P202", f"`{'then' if decision else 'else'}` of step `{draft.name}` names", target)
            return
        for step in [chosen, *self._within(chosen)]:
            step.chosen_by.append((draft.name, decision))
            if draft.name not in step.start:
                step.start.insert(0, draft.name)

    def _within(self, draft: Draft) -> Iterator[Draft]:
        for name in draft.inner:
            yield self.known[name]
            yield from self._within(self.known[name])

    def _check_needs(self) -> None:
        for draft in self.drafts:
            for need in draft.needs:
                if need not in self.known:
                    self._unknown("P202", f"step `{draft.name}` needs", need)

    def _unknown(self, code: str, text: str, name: object) -> None:
        known = f"known: {', '.join(self.known)}"
        close = did_you_mean(str(name), list(self.known), what="known") or known
        self.report(code, f"{text} unknown step `{name}`", close if close == known else f"{close} {known}")

    # One dictionary

    def _checked(self, given: Mapping[str, Any], words: str) -> Kind | None:
        """Note what is wrong with a dictionary on its own, and return what kind of step it is, None if it cannot be."""
        given = _without_nothing(given)
        name = given.get("name")
        if not isinstance(name, str):
            hint = f'it has the keys {", ".join(map(str, given)) or "none"}; add "name": …'
            self.report("D122", f"{words} has no name", hint)
            return None
        words = f"step `{name:.40}`"
        if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
            hint = f"use up to {LONGEST_NAME} letters, digits, `_`, `-` and `.`"
            self.report("D141", f"`{name:.40}` is no name of a step", hint)
        before = len(self.findings)
        kind = _kind(given)
        for key, value in given.items():
            self._check_key(str(key), value, kind, words)
        if kind == "branch" and "condition" not in given:
            self.report("D122", f"{words} has `then` or `else`, and no `condition` to decide")
        return kind if len(self.findings) == before else None

    def _check_key(self, key: str, value: Any, kind: Kind, words: str) -> None:
        if key not in KEYS:
            self.report("D121", f"{words} has the unknown key `{key:.40}`", did_you_mean(key, list(KEYS), what="keys"))
        elif key not in _OF_KIND[kind]:
            made = {"parallel": "`parallel`", "branch": "`then` or `else`", "action": "an action"}[kind]
            hint = "put it on the steps inside, or on a step of its own"
            self.report("D142", f"key `{key}` of {words} has no meaning with {made}", hint)
        elif problem := _problem(key, value):
            self.report("D123", f"`{key}` of {words} {problem}")


def _kind(given: Mapping[str, Any]) -> Kind:
    if "parallel" in given:
        return "parallel"
    return "branch" if "then" in given or "else" in given else "action"


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, str | Mapping) else list(cast("Sequence[Any]", value))


def _without_nothing(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a dictionary without the keys that are None, which is a value only of `output` and `input`."""
    return {key: value for key, value in given.items() if value is not None or key in {"output", "input"}}


def _problem(key: str, value: Any) -> str | None:
    """Return why a value cannot be that of a key."""
    kinds = KEYS[key]
    if not isinstance(value, kinds) or (isinstance(value, bool) and not {bool, object} & set(kinds)):
        words = dict.fromkeys(_WORDS[kind] for kind in kinds)
        return f"must be {' or '.join(words)}, not {value!r:.40}"
    return _no_json(value) if kinds == (object,) else next(_rules_broken(key, value), None)


def _rules_broken(key: str, value: Any) -> Iterator[str]:
    if key == "timeout" and not (math.isfinite(value) and value > 0):
        yield f"must be above 0 s, not {value}"
    if key == "retry" and not isinstance(value, bool) and value < 1:
        yield f"is the number of attempts and must be at least 1, not {value}"
    if key == "needs" and not all(isinstance(name, str) for name in _listed(value)):
        yield "must hold names of steps"
    if key in {"then", "else"} and not all(isinstance(entry, str | Mapping) for entry in _listed(value)):
        yield "must hold names of steps, or steps"
    if key not in {"timeout", "retry", "needs", "fail"} and not value:
        yield "is empty"


def _no_json(value: Any) -> str | None:
    try:
        msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        return f"must be a JSON value: {error}"
    return None
