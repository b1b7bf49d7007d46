"""The language of conditions and of `${…}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from podium.model.expressions.compiling import Compiled, compile_expression, library
from podium.model.expressions.templates import as_text, template, texts
from podium.model.expressions.values import (
    MAX_DEPTH,
    MISSING,
    NoValueError,
    as_json,
    at,
    copied,
    needed,
    reason_of,
    shown,
    weigh,
)
from podium.model.expressions.work import Meter
from podium.protocols import ExpressionError


class Cel:
    """The language of conditions and of `${…}`; see `podium.protocols.Expressions`."""

    def steps(self, text: str) -> frozenset[str]:
        """Return the names of the steps an expression refers to, as its syntax tells.

        Raises:
            ExpressionError: It is no expression, or names a step by a value, as `steps[inputs.name]` does.
        """
        return compile_expression(text).steps

    def evaluate(self, text: str, scope: Mapping[str, Any]) -> Any:
        """Return the JSON value of an expression.

        Args:
            text: The expression.
            scope: Name to JSON value, for some of `NAMES`.

        Raises:
            ExpressionError: It is no expression, is refused because of its limits, or has no value that is JSON.
        """
        compiled = compile_expression(text)
        try:
            return _value(compiled, scope)
        except NoValueError as error:
            raise ExpressionError(f"{shown(text)} has no value: {error}") from error

    def steps_in(self, payload: Any) -> frozenset[str]:
        """Return the names of the steps that the expressions in a payload refer to.

        Raises:
            ExpressionError: One of them is no expression, or a `${` is not closed.
        """
        holes = (part.text for text in texts(payload) for part in template(text) if part.is_expression)
        return frozenset(name for hole in holes for name in self.steps(hole))

    def render(self, payload: Any, scope: Mapping[str, Any]) -> Any:
        """Return a payload with every `${…}` in its strings replaced; `$${` stands for `${`.

        A string that is one `${…}` and nothing else becomes the value itself; elsewhere values become text, those that
        are no text as JSON. Keys are left alone.

        Args:
            payload: JSON value; returned as it is if there is nothing to replace.
            scope: Name to JSON value, as for `evaluate`.

        Raises:
            ExpressionError: An expression has no value, a `${` is not closed, or the payload is nested too deep.
        """
        return payload if next(texts(payload), None) is None else self._rendered(payload, scope, 0)

    def _rendered(self, payload: Any, scope: Mapping[str, Any], depth: int) -> Any:
        if isinstance(payload, str):
            return self._filled(payload, scope) if "${" in payload else payload
        if depth > MAX_DEPTH:
            raise ExpressionError(f"a payload with `${{…}}` is nested more than {MAX_DEPTH} deep")
        if isinstance(payload, dict):
            items = cast("dict[Any, Any]", payload).items()
            return {key: self._rendered(value, scope, depth + 1) for key, value in items}
        if isinstance(payload, list):
            return [self._rendered(value, scope, depth + 1) for value in cast("list[Any]", payload)]
        return payload

    def _filled(self, text: str, scope: Mapping[str, Any]) -> Any:
        parts = template(text)
        if len(parts) == 1 and parts[0].is_expression:
            return self.evaluate(parts[0].text, scope)
        return "".join(as_text(self.evaluate(part.text, scope)) if part.is_expression else part.text for part in parts)


def _value(compiled: Compiled, scope: Mapping[str, Any]) -> Any:
    if compiled.path is not None:
        found = at(scope, compiled.path)
        if found is not MISSING:
            weigh(found)
            return copied(found)
    data = needed(scope, compiled.wanted)
    if not compiled.is_plain:
        Meter(data).check(compiled.root)
    try:
        result = compiled.run(data)
    except RuntimeError as error:
        raise NoValueError(reason_of(str(error))) from error
    value = result.plain_value()
    if isinstance(value, bool):
        return value
    _, failed = library()
    if result.type() == failed:
        raise NoValueError(reason_of(str(value)))
    return as_json(value)
