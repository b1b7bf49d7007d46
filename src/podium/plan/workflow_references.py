"""Whether the steps of a workflow fit together: what they need, take and refer to in expressions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from podium.model.findings import did_you_mean
from podium.plan.graph import Step, topological
from podium.plan.workflow_drafts import Asked, Drafts, Place, Written
from podium.plan.workflow_policies import bare
from podium.protocols import ExpressionError, Expressions

_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"' + r"|'(?:\\.|[^'\\])*'", re.DOTALL)
_INPUT = re.compile(r"(?<![\w.])inputs\s*\.\s*([A-Za-z_]\w*)(?!\s*\()")
_INPUT_IN_BRACKETS = re.compile(r"""(?<![\w.])inputs\s*\[\s*(?:"([^"\\]+)"|'([^'\\]+)')\s*\]""")
_ITEM = re.compile(r"(?<![\w.])(item|index)\b(?!\s*\()")
_LONGEST = 4096
"""How far from its `${` the end of an expression is looked for."""
_BOUND = re.compile(r"\(\s*(\w+)\s*,")
"""The variable of a macro such as `list.map(item, item + 1)`."""


def check_graph(drafts: Drafts) -> None:
    """Note unknown and impossible needs, groups and resources, and needs in a circle."""
    for asked in drafts.asked:
        _check_need(asked, drafts)
    for name, step in drafts.steps.items():
        place = drafts.places[name]
        possible = tuple(need for need in step.needs if _is_possible(step, need.step, drafts))
        drafts.steps[name] = msgspec.structs.replace(step, needs=possible)
        if step.group and step.group not in drafts.groups:
            hint = did_you_mean(step.group, list(drafts.groups), what="groups") or "declare it under `groups`"
            drafts.report("P207", f"unknown group `{step.group}`", place.at("group"), hint=hint)
        for resource, amount in step.resources.items():
            there = drafts.capacities.get(resource)
            if there is None or amount > there:
                text = f"takes {amount:g} of `{resource}`, but there is " + ("none" if there is None else f"{there:g}")
                hint = f"declare it: capacities: {{{resource}: {amount:g}}}"
                drafts.report("P205", text, place.at("resources", resource), hint=hint)
    while _breaks_circle(drafts):
        pass


def check_written(drafts: Drafts) -> None:
    """Note expressions that cannot be read, and those that refer to what is not there."""
    for written in drafts.written:
        if not written.template:
            text = written.place.value
            if isinstance(text, str):
                _check_expression(bare(text), written, written.place, drafts)
            continue
        for place, text in written.place.texts():
            if "${" in text:
                _check_template(text, written, place, drafts)


def sole_expression(text: str, expressions: Expressions) -> str | None:
    """Return the expression of a text that is one `${…}` and nothing else."""
    found = list(_holes(text.strip(), expressions))
    return found[0][1].strip() if found and found[0][0] == len(text.strip()) and text.strip()[:2] == "${" else None


def _holes(text: str, expressions: Expressions) -> Iterator[tuple[int, str]]:
    """Yield the expressions of a template that can be read, each with where its `${…}` ends."""
    position = 0
    while (start := text.find("${", position)) >= 0:
        position = start + 2
        if text[start - 1 : start] == "$":
            continue
        for end in (match.start() for match in re.finditer("}", text[position : position + _LONGEST])):
            hole = text[position : position + end]
            if _reads(hole, expressions):
                position += end + 1
                yield position, hole
                break


def _reads(text: str, expressions: Expressions) -> bool:
    try:
        expressions.steps(text)
    except ExpressionError:
        return False
    return True


def _check_need(asked: Asked, drafts: Drafts) -> None:
    local = asked.step.removeprefix(asked.scope)
    step = drafts.steps.get(asked.step)
    if step is None:
        hint = did_you_mean(local, _local_names(asked.scope, drafts), what="steps")
        drafts.report("P202", f"needs unknown step `{local}`", asked.place, hint=hint)
    elif asked.role == "step" and step.role == "teardown":
        text = f"needs `{local}`, which runs after everything else"
        drafts.report("P208", text, asked.place, hint="remove the need, or put the step under `teardown`")


def _is_possible(step: Step, need: str, drafts: Drafts) -> bool:
    return need in drafts.steps and (step.role == "teardown" or drafts.steps[need].role == "step")


def _breaks_circle(drafts: Drafts) -> bool:
    """Note steps that need each other in a circle, and take it apart, so that others are found too."""
    left = dict(drafts.steps)
    for step in topological(tuple(drafts.steps.values())):
        del left[step.name]
    if not left:
        return False
    path = [next(iter(left))]
    while path[-1] not in path[:-1]:
        path.append(next(need.step for need in left[path[-1]].needs if need.step in left))
    circle = path[path.index(path[-1]) :]
    text = f"the steps need each other in a circle: {' -> '.join(circle)}"
    place = next((at for name in circle if (at := drafts.places[name].at("needs")).value), drafts.places[circle[0]])
    drafts.report("P203", text, place, hint="remove one of these needs")
    for name in circle:
        needs = tuple(need for need in left[name].needs if need.step not in circle)
        drafts.steps[name] = msgspec.structs.replace(left[name], needs=needs)
    return True


def _check_template(text: str, written: Written, place: Place, drafts: Drafts) -> None:
    try:
        drafts.expressions.steps_in(text)
    except ExpressionError as error:
        hint = "write $HOME for a variable of the shell, or $${HOME}" if "shell" in place.path else None
        drafts.report("P213", str(error), place, hint=hint or "write `$${` for a plain `${`")
    for _, hole in _holes(text, drafts.expressions):
        _check_names(drafts.expressions.steps(hole), written, place, drafts)
        _check_words(hole, written, place, drafts)


def _check_expression(text: str, written: Written, place: Place, drafts: Drafts) -> None:
    try:
        names = drafts.expressions.steps(text)
    except ExpressionError as error:
        hint = 'expressions look like: inputs.amount > 0 && steps.check.output == "ok"'
        drafts.report("P213", str(error), place, hint=hint)
        return
    _check_names(names, written, place, drafts)
    _check_words(text, written, place, drafts)


def _check_names(names: Iterable[str], written: Written, place: Place, drafts: Drafts) -> None:
    for name in sorted(names):
        full = written.scope + name
        if full not in drafts.steps:
            hint = did_you_mean(name, _local_names(written.scope, drafts), what="steps")
            drafts.report("P214", f"the expression refers to unknown step `{name}`", place, hint=hint)
        elif full != written.own and written.needs is not None and not _is_upstream(full, written.needs, drafts):
            text = f"the expression refers to step `{name}`, which need not be done by then"
            drafts.report("P215", text, place, hint=f"add it to the step's needs: needs: [{name}]")


def _is_upstream(name: str, needs: Iterable[str], drafts: Drafts) -> bool:
    seen = set(needs)
    to_see = list(seen)
    while to_see:
        step = to_see.pop()
        if step == name:
            return True
        more = {need.step for need in drafts.steps[step].needs} - seen if step in drafts.steps else set[str]()
        seen |= more
        to_see += more
    return False


def _check_words(text: str, written: Written, place: Place, drafts: Drafts) -> None:
    """Look for inputs that are not declared, and items where there are none."""
    plain = _QUOTED.sub('""', text)
    names = [*_INPUT.findall(plain), *(one or other for one, other in _INPUT_IN_BRACKETS.findall(text))]
    for name in dict.fromkeys(names):
        if name not in written.inputs:
            hint = did_you_mean(name, sorted(written.inputs), what="inputs") or "declare it under `inputs`"
            drafts.report("P216", f"the expression refers to unknown input `{name}`", place, hint=hint)
    if not written.item:
        for name in dict.fromkeys(_ITEM.findall(plain)):
            if name not in _BOUND.findall(plain):
                text = f"`{name}` has a value only in the work of a step with `for_each`"
                drafts.report("P217", text, place, hint="add `for_each`, or use another name")


def _local_names(scope: str, drafts: Drafts) -> list[str]:
    names = [name.removeprefix(scope) for name in drafts.steps if name.startswith(scope)]
    return [name for name in names if "/" not in name]
