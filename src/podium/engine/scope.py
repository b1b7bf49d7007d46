"""What the expressions of a step know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from podium.engine.retry import error_of
from podium.engine.state import RunState, StepState
from podium.protocols import Expressions, Work


class Scopes:
    """Evaluates the expressions of a run's steps.

    Args:
        run: Run id.
        state: Where the run stands.
        language: The language of the expressions.
    """

    def __init__(self, run: str, state: RunState, language: Expressions) -> None:
        self._run = {"id": run, "name": state.plan.name, "seed": state.plan.seed}
        self._state = state
        self._language = language

    def value(self, state: StepState, text: str, known: dict[str, Any] | None = None) -> Any:
        """Return the value of an expression of a step.

        Args:
            state: The step.
            text: The expression.
            known: More names it may use.

        Raises:
            ExpressionError: It has none.
        """
        scope = {**self._scope(state, self._language.steps(text)), **(known or {})}
        return self._language.evaluate(text, scope)

    def payload(self, state: StepState, work: Work) -> Any:
        """Return what an attempt gets to do, with every `${…}` replaced.

        Raises:
            ExpressionError: An expression has no value.
        """
        if not work.template:
            return work.payload
        names = self._language.steps_in(work.payload)
        return self._language.render(work.payload, self._scope(state, names))

    def outputs(self) -> dict[str, Any] | None:
        """Return what the plan's outputs came to; those that have no value are null."""
        if not self._state.plan.outputs:
            return None
        return {name: self._output(text) for name, text in self._state.plan.outputs.items()}

    def _output(self, text: str) -> Any:
        try:
            steps = self._steps("", self._language.steps(text))
            return self._language.evaluate(text, {"inputs": self._state.plan.inputs, "run": self._run, "steps": steps})
        except ValueError:
            return None

    def _scope(self, state: StepState, names: Iterable[str]) -> dict[str, Any]:
        prefix = state.step.scope
        inputs = self._state.steps[f"{prefix}inputs"].output if prefix else self._state.plan.inputs
        scope: dict[str, Any] = {"inputs": inputs, "run": self._run, "steps": self._steps(prefix, names)}
        if state.item is not None:
            scope["index"], scope["item"] = state.item
        return scope

    def _steps(self, prefix: str, names: Iterable[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in names:
            state = self._state.steps.get(prefix + name)
            if state is not None:
                error = error_of(state.failure) if state.outcome != "passed" else None
                if error is None and state.reason and state.outcome not in ("passed", None):
                    error = {"type": str(state.outcome), "message": state.reason}
                found[name] = {"output": state.output, "outcome": state.outcome, "error": error}
        return found
