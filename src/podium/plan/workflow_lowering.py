"""From the steps of a workflow to steps of a plan, file by file.

A step that is made of others becomes several: the others, and one of kind `value` by its own name that needs them, so
that everything can be needed and referred to by the name that was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from podium.errors import DocumentError
from podium.model import workflow as d
from podium.model.workflow_loading import workflow_document
from podium.model.yaml_loader import load_yaml_file
from podium.plan.graph import Need, Step, Trigger
from podium.plan.policy import Compensation, Fallback, Policy, Retry
from podium.plan.workflow_drafts import Asked, Drafts, Place, Start, Written
from podium.plan.workflow_inputs import checked_inputs, holds_expression
from podium.plan.workflow_policies import (
    bare,
    breaker_of,
    changed,
    group_of,
    preset_or,
    retry_of,
    seconds,
)
from podium.plan.workflow_references import sole_expression
from podium.plan.workflow_works import check_callable, kind_of, made, rendered, work_of

MOST_LEVELS = 16
"""How deep workflows may be nested."""
MOST_STEPS = 50_000
"""How many steps a plan may have with all nested workflows."""
_NAME = re.compile(d.STEP_NAME)
_LONGEST_LITERAL = 2000
_OF_A_RUN = ("slots", "deadline", "strict_waves")
"""Keys that have a meaning only for the workflow that is run."""
_THERE = "inputs != null"
"""Holds in a nested workflow unless the step that stands for it was left out."""


@dataclass
class Lowering:
    """Makes steps of the workflow in one file.

    Attributes:
        drafts: Where they go.
        document: The workflow.
        place: Where it stands.
        file: Its file.
        scope: Beginning of the names of its steps.
        start: What steps without needs begin with.
        role: Role of its steps but those of its teardown.
        above: The files that led here, from the first to this one.
    """

    drafts: Drafts
    document: d.WorkflowDocument
    place: Place
    file: Path
    scope: str = ""
    start: Start = field(default_factory=Start)
    role: Literal["step", "teardown"] = "step"
    above: tuple[Path, ...] = ()
    policy: Policy = field(default_factory=Policy)

    def lower(self) -> list[str]:
        """Add the steps of the file, and return the names of those it consists of, without its teardown."""
        document, drafts = self.document, self.drafts
        self.above = (*self.above, self.file.resolve())
        self.policy = preset_or(document.policy, Policy(), self.place.at("policy"), drafts)
        if isinstance(document.policy, d.PolicyDocument):
            self._check_rules(document.policy.retry, self.place.at("policy", "retry"), None)
        self._share()
        if not document.steps:
            drafts.report("D145", "the workflow has no steps", self.place.at("steps"), hint="add at least one step")
        before = set(drafts.steps)
        start, own_role = self.start, self.role
        names = self._list(document.setup, self.place.at("setup"), start, sequence=True)
        begun = [name for name in drafts.steps if name not in before]
        if names:
            needs = tuple(Need(name) for name in self._leaves(begun))
            start = Start(needs, "passed", start.when)
        in_sequence = document.order == "sequence"
        names += self._list(document.steps, self.place.at("steps"), start, sequence=in_sequence)
        begun = begun or [name for name in drafts.steps if name not in before]
        self.role = "teardown"
        needs = tuple(Need(name, "done") for name in begun if own_role == "teardown" or not self._is_teardown(name))
        teardown = Start(needs, "done", self.start.when)
        last = self._list(document.teardown, self.place.at("teardown"), teardown, sequence=True)
        self.role = own_role
        return names + (last if own_role == "teardown" else [])

    def _is_teardown(self, name: str) -> bool:
        return self.drafts.steps[name].role == "teardown"

    def _leaves(self, names: Sequence[str]) -> list[str]:
        """Return the steps that none of the others needs."""
        needed = {need.step for name in names for need in self.drafts.steps[name].needs}
        return [name for name in names if name not in needed and self.drafts.steps[name].role == self.role]

    def _share(self) -> None:
        """Add the groups and capacities of the file to those of all."""
        for name, group in self.document.groups.items():
            if self.drafts.groups.setdefault(name, group_of(group)) != group_of(group):
                self._differs("groups", name)
        for name, amount in self.document.capacities.items():
            if self.drafts.capacities.setdefault(name, amount) != amount:
                self._differs("capacities", name)

    def _differs(self, key: str, name: str) -> None:
        text = f"`{name}` is declared differently by another workflow of this run"
        hint = "declare it alike in both, or use two names"
        self.drafts.report("P222", text, self.place.at(key, name), hint=hint, key=True)

    # Steps

    def _list(self, documents: Sequence[d.StepDocument], place: Place, start: Start, *, sequence: bool) -> list[str]:
        """Add some steps, and return their names."""
        names: list[str] = []
        for index, document in enumerate(documents):
            previous = names[-1] if sequence and names else None
            at = place.at(index)
            own = self._start(document, at, start, previous)
            names.append(self._step(document, at, own))
        return names

    def _start(self, document: d.StepDocument, place: Place, start: Start, previous: str | None) -> Start:
        """Return when a step starts, in a list that starts at `start`."""
        needs = tuple(self._need(need) for need in document.needs or ())
        asked = (Asked(place.at("needs", i), need.step, self.scope, self.role) for i, need in enumerate(needs))
        self.drafts.asked += asked
        usual: Trigger = "done" if self.role == "teardown" else "passed"
        when = _both(start.when, bare(document.when or ""))
        if document.needs is None and previous is not None:
            needs = (Need(previous, "done" if self.role == "teardown" else "passed"),)
        elif not needs:
            needs, usual = start.needs, start.trigger
        elif start.inside is not None and start.trigger == "passed" and not any(n.step in start.inside for n in needs):
            needs = _united(needs, start.needs)
        if self.role == "teardown":
            needs = _united(start.needs, needs)
        if document.trigger is not None and not needs:
            text = f"`trigger: {document.trigger}` asks what the needs came to, and the step has none"
            self.drafts.report("P219", text, place.at("trigger"), hint="add `needs`, or remove `trigger`", key=True)
        if document.when is not None:
            self._note(place.at("when"), needs, template=False)
        return Start(needs, document.trigger or usual, when)

    def _need(self, need: str | d.NeedDocument) -> Need:
        if isinstance(need, str):
            return Need(self.scope + need)
        return Need(self.scope + need.step, need.until)

    def _step(self, document: d.StepDocument, place: Place, start: Start) -> str:
        """Add the steps that one step comes to, and return the name of the last."""
        name = self.scope + document.name
        if not _NAME.fullmatch(document.name) or len(document.name) > d.LONGEST_NAME:
            text = f"`{document.name[:40]}` is no name of a step"
            hint = f"use up to {d.LONGEST_NAME} letters, digits, `_`, `-` and `.`"
            self.drafts.report("D141", text, place.at("name"), hint=hint)
        if len(self.drafts.steps) >= MOST_STEPS:
            self.drafts.report("D144", f"there are more than {MOST_STEPS} steps", place, hint="nest less")
            raise DocumentError(self.drafts.findings("error"))
        kind = kind_of(document, place, self.drafts)
        if kind == "parallel":
            self._parallel(name, document, place, start)
        elif kind == "if":
            self._branch(name, document, place, start)
        elif kind == "workflow":
            self._nested(name, document, place, start)
        else:
            self._simple(name, kind or "value", document, place, start)
        return name

    def _simple(self, name: str, kind: str, document: d.StepDocument, place: Place, start: Start) -> None:
        repeated = document.for_each is not None
        start = self._items(name, document, place, start) if repeated else start
        for at in rendered(place):
            self._note(at, start.needs, item=repeated)
        usual = Policy() if kind == "wait" else self.policy  # nobody answers within a limit meant for work
        base = preset_or(document.policy, usual, place.at("policy"), self.drafts)
        at = place.at("policy", "retry")
        self._check_rules(getattr(document.policy, "retry", None), at, start.needs, item=repeated)
        self._check_rules(document.retry, place.at("retry"), start.needs, item=repeated)
        step = Step(
            name=name,
            work=work_of(document, kind, place, self.drafts),
            needs=start.needs,
            trigger=start.trigger,
            when=start.when,
            policy=changed(base, document, place, self.drafts),
            breaker=breaker_of(document.breaker),
            fallbacks=self._fallbacks(document, place, start),
            compensation=self._compensation(name, document, place, start),
            resources=document.resources or {},
            slots=0 if kind == "wait" else 1,
            group=document.group or "",
            role=self.role,
            for_each=self._for_each(document) if repeated else "",
            at_once=document.at_once or 0,
            scope=self.scope,
            allow_failure=document.allow_failure,
            expected=1.0 if document.expected is None else seconds(document.expected),
            labels=document.labels,
        )
        self.drafts.add(step, place)

    def _items(self, name: str, document: d.StepDocument, place: Place, start: Start) -> Start:
        """Check what a step is repeated for; a list that is long or has expressions becomes the output of a step."""
        at = place.at("for_each")
        given = document.for_each
        if isinstance(given, str):
            self._note(at, start.needs, template=False)
        elif not isinstance(given, list):
            text = "`for_each` takes a list, or an expression of one"
            self.drafts.report("D142", text, at, hint='write for_each: [a, b], or "${steps.find.output}"')
        elif _is_long(given):
            self._note(at, start.needs)
            self._value(f"{name}.items", given, at, start)
            there = f'steps["{document.name}.items"].output != null'
            return Start((Need(f"{name}.items"),), "passed", _both(there, start.when))
        return start

    def _for_each(self, document: d.StepDocument) -> str:
        given = document.for_each
        if isinstance(given, str):
            return bare(given)
        return f'steps["{document.name}.items"].output' if _is_long(given) else json.dumps(given, ensure_ascii=False)

    def _fallbacks(self, document: d.StepDocument, place: Place, start: Start) -> tuple[Fallback, ...]:
        fallbacks: list[Fallback] = []
        for index, fallback in enumerate(document.fallback or ()):
            at = place.at("fallback", index)
            kind = kind_of(fallback, at, self.drafts) or "value"
            for inner in rendered(at):
                self._note(inner, start.needs, item=document.for_each is not None)
            self._check_rules(fallback.retry, at.at("retry"), start.needs)
            retry = Retry()
            if fallback.retry is not None:
                retry = retry_of(fallback.retry, self.policy.retry, at.at("retry"), self.drafts)
            work = work_of(fallback, kind, at, self.drafts)
            fallbacks.append(Fallback(fallback.name or kind, work, retry, breaker_of(fallback.breaker)))
        return tuple(fallbacks)

    def _compensation(self, name: str, document: d.StepDocument, place: Place, start: Start) -> Compensation | None:
        given, at = document.compensate, place.at("compensate")
        if given is None:
            return None
        if isinstance(given, str):
            check_callable(given, at, self.drafts)
            return Compensation(made("python", {"callable": given, "args": document.with_ or {}}), self.policy)
        kind = kind_of(given, at, self.drafts) or "value"
        for inner in rendered(at):
            self._note(inner, start.needs, own=name, item=document.for_each is not None)
        self._check_rules(given.retry, at.at("retry"), start.needs)
        policy = changed(self.policy, given, at, self.drafts)
        return Compensation(work_of(given, kind, at, self.drafts), policy, given.on)

    def _check_rules(
        self, retry: int | d.RetryDocument | None, place: Place, needs: Iterable[Need] | None, *, item: bool = False
    ) -> None:
        """Have the expressions of rules checked."""
        for index, rule in enumerate(retry.rules if isinstance(retry, d.RetryDocument) else ()):
            if rule.when:
                self._note(place.at("rules", index, "when"), needs, item=item, template=False)

    # Steps that are made of others

    def _parallel(self, name: str, document: d.StepDocument, place: Place, start: Start) -> None:
        inner = document.parallel or []
        self._not_empty(inner, "parallel", place)
        inside = frozenset(self.scope + below for below in _names_below(inner))
        entry = replace(start, inside=inside)
        names = self._list(inner, place.at("parallel"), entry, sequence=False)
        value = {step.name: f'${{steps["{step.name}"].output}}' for step in inner}
        self._value(name, value, place, self._after(names, start), labels=document.labels)

    def _branch(self, name: str, document: d.StepDocument, place: Place, start: Start) -> None:
        self._note(place.at("if"), start.needs, template=False)
        test = f"{document.name}.if"
        condition = bare(document.if_ or "")
        self._value(f"{name}.if", f"${{({condition}) ? true : false}}", place, start)
        names = [f"{name}.if"]
        if document.then is None and document.else_ is None:
            self.drafts.report("D145", "there is neither `then` nor `else`", place, hint="add then: [steps]")
        for key, inner, wanted in (("then", document.then, "true"), ("else", document.else_, "false")):
            if inner is not None:
                self._not_empty(inner, key, place)
                inside = frozenset(self.scope + below for below in _names_below(inner))
                entry = Start((Need(f"{name}.if"),), "passed", f'steps["{test}"].output == {wanted}', inside)
                names += self._list(inner, place.at(key), entry, sequence=True)
        value = f'${{steps["{test}"].output}}'
        self._value(name, value, place, self._after(names, start), labels=document.labels)

    def _nested(self, name: str, document: d.StepDocument, place: Place, start: Start) -> None:
        file = self.file.parent / (document.workflow or "")
        child = self._read(file, place.at("workflow"))
        given = document.with_ or {}
        self._note(place.at("with"), start.needs)
        if child is None:
            self._value(name, {}, place, start)
            return
        inner, at = child

        def where(key: str | None) -> Place:
            return place.at("workflow") if key is None else place.at("with", key)

        values = checked_inputs(inner, at, given, self.drafts, where=where)
        self._value(f"{name}/inputs", values, place, start)
        self._warn(inner, at)
        guard = _THERE if start.may_be_left_out or self.role == "teardown" else ""
        scope = f"{name}/"
        entry = Start((Need(f"{name}/inputs"),), "passed", guard)
        lowering = Lowering(self.drafts, inner, at, file, scope, entry, self.role, self.above)
        names = lowering.lower()
        for output in inner.outputs:
            written = Written(at.at("outputs", output), scope, frozenset(inner.inputs), tuple(names))
            self.drafts.written.append(written)
        outputs = {key: f"${{{text}}}" for key, text in output_expressions(inner, at, self.drafts).items()}
        after = self._after([f"{name}/inputs", *names], Start(start.needs, when=guard))
        self._value(name, outputs, place, after, labels=document.labels, scope=scope)

    def _read(self, file: Path, place: Place) -> tuple[d.WorkflowDocument, Place] | None:
        """Return a nested workflow; note it if it cannot be read, and return None."""
        drafts, real = self.drafts, file.resolve()
        if real in self.above:
            circle = " -> ".join(path.name for path in (*self.above[self.above.index(real) :], real))
            text = f"the workflows are nested in a circle: {circle}"
            drafts.report("D144", text, place, hint="remove one of these steps")
            return None
        if len(self.above) > MOST_LEVELS:
            text = f"workflows are nested more than {MOST_LEVELS} deep"
            drafts.report("D144", text, place, hint="put some of them into one file")
            return None
        try:
            mapped = load_yaml_file(file)
            return workflow_document(mapped), Place(mapped)
        except DocumentError as error:
            if any(finding.span is None for finding in error.diagnostics):  # the file as a whole: say who asked for it
                for finding in error.diagnostics:
                    drafts.report(finding.code, finding.message, place, hint=finding.hint)
            else:
                drafts.include(error.diagnostics)
            return None

    def _warn(self, document: d.WorkflowDocument, place: Place) -> None:
        for key in _OF_A_RUN:
            if key in document.model_fields_set:
                text = f"key `{key}` has no effect in a workflow that is nested in another one"
                hint = "it counts when the workflow is run by itself"
                self.drafts.report("D149", text, place.at(key), hint=hint, key=True, severity="warning")

    def _after(self, names: Iterable[str], start: Start) -> Start:
        """Return the start of a step that stands for others."""
        teardown = self.role == "teardown"
        needs = tuple(Need(name, "done" if teardown else "passed") for name in names)
        if teardown:
            needs = _united(start.needs, needs)
        return Start(needs, "done" if teardown else "passed", start.when)

    def _value(
        self,
        name: str,
        value: Any,
        place: Place,
        start: Start,
        *,
        labels: dict[str, str] | None = None,
        scope: str | None = None,
    ) -> None:
        """Add a step whose output is a value."""
        step = Step(
            name=name,
            work=made("value", {"value": value}),
            needs=start.needs,
            trigger=start.trigger,
            when=start.when,
            role=self.role,
            scope=self.scope if scope is None else scope,
            labels=labels or {},
        )
        self.drafts.add(step, place)

    def _not_empty(self, steps: Sequence[d.StepDocument], key: str, place: Place) -> None:
        if not steps:
            self.drafts.report("D145", f"`{key}` has no steps", place.at(key), hint="add at least one step")

    def _note(
        self,
        place: Place,
        needs: Iterable[Need] | None,
        *,
        own: str = "",
        item: bool = False,
        template: bool = True,
    ) -> None:
        """Have a text checked when all steps are known."""
        names = None if needs is None or self.role == "teardown" else tuple(need.step for need in needs)
        known = frozenset(self.document.inputs)
        self.drafts.written.append(Written(place, self.scope, known, names, own, item, template))


def output_expressions(document: d.WorkflowDocument, place: Place, drafts: Drafts) -> dict[str, str]:
    """Return the outputs of a workflow as expressions, and note those that are none."""
    outputs: dict[str, str] = {}
    for name, text in document.outputs.items():
        expression = sole_expression(text, drafts.expressions)
        outputs[name] = expression or ""
        if expression is None and not ("${" in text and _has_error(text, drafts)):
            hint = 'write one ${…} and nothing else, as in "${steps.charge.output.id}"'
            drafts.report("P223", f"output `{name}` is not one `${{…}}`", place.at("outputs", name), hint=hint)
    return outputs


def _has_error(text: str, drafts: Drafts) -> bool:
    """Return whether a template is found wrong anyway, when all steps are known."""
    try:
        drafts.expressions.steps_in(text)
    except ValueError:
        return True
    return False


def _is_long(items: Any) -> bool:
    return isinstance(items, list) and (
        holds_expression(items) or len(json.dumps(items, ensure_ascii=False)) > _LONGEST_LITERAL
    )


def _both(one: str, other: str) -> str:
    return f"({one}) && ({other})" if one and other else one or other


def _united(one: tuple[Need, ...], other: tuple[Need, ...]) -> tuple[Need, ...]:
    names = {need.step for need in one}
    return (*one, *(need for need in other if need.step not in names))


def _names_below(documents: Iterable[d.StepDocument]) -> Iterable[str]:
    for document in documents:
        yield document.name
        for inner in (document.parallel, document.then, document.else_):
            yield from _names_below(inner or ())
        if document.if_ is not None:
            yield f"{document.name}.if"
