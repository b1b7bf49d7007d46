"""From the expressions of step dictionaries to those of plans, which know `steps` and `inputs`.

In dictionaries they are called `result` (the output of the step before), `results` and `input`.
Only names are replaced: not what stands in text or comments, and not the keys of values, as in `inputs.result`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from podium.protocols import ExpressionError

_TOKEN = re.compile(
    r"""
      (?P<text> [bB]?[rR](?: \"{3}.*?\"{3} | '{3}.*?'{3} | "[^"\n]*" | '[^'\n]*' )
              | [bB]?(?: \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3}
                       | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' ) )
    | (?P<blank> \s+ | //[^\n]* )
    | (?P<name> [A-Za-z_]\w* )
    | (?P<other> [\d.]*\d\w* | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_SHORT_TEXT = re.compile(r"""(["'])([^"'\\\n]*)\1""")
_MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})
_WORDS = frozenset({"result", "results", "input"})


class Before(NamedTuple):
    """What an expression can refer to as `result`: the output of the first of these steps that was not left out.

    Attributes:
        names: Steps, the one closest before first.
        certain: The last of them is never left out; otherwise the input follows.
    """

    names: tuple[str, ...] = ()
    certain: bool = False

    @property
    def output(self) -> str:
        """Return the expression of its output."""
        return f"{self._step}.output" if self.names else "inputs"

    @property
    def status(self) -> str:
        """Return the expression of `result.status`: that of the output, else what the step came to."""
        if not self.names:
            return "inputs.status"
        step = self._step
        of_step = f'({step}.outcome == "passed" ? "success" : {step}.outcome)'
        return f"(type({step}.output) == map && has({step}.output.status) ? {step}.output.status : {of_step})"

    @property
    def _step(self) -> str:
        steps = [step_named(name) for name in self.names]
        if self.certain and len(steps) == 1:
            return steps[0]
        start = [] if self.certain else ['{"output": inputs, "outcome": "passed"}']
        return f'[{", ".join(steps + start)}].filter(s, s.outcome != "skipped")[0]'


class _Token(NamedTuple):
    kind: str
    text: str


def step_named(name: str) -> str:
    """Return the expression of a step."""
    return f"steps[{json.dumps(name, ensure_ascii=False)}]"


def translated(text: str, before: Before, known: Sequence[str]) -> str:
    """Return an expression over `steps` and `inputs`.

    Args:
        text: The expression, in which `result` is the output of the step before, `results.NAME` that of another step,
            and `input` what the workflow was given.
        before: What `result` is.
        known: Names of the steps there are.

    Raises:
        ExpressionError: `results` is used in another way, or a macro calls its variable by one of these words.
    """
    return "".join(_translated([*_tokens(text)], before, known))


def translated_in(value: Any, translate: Callable[[str], str]) -> Any:
    """Return a value with the expression of every `${…}` in its texts translated; `$${` stands for `${`."""
    if isinstance(value, str):
        return "".join(_filled(value, translate)) if "${" in value else value
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {key: translated_in(inner, translate) for key, inner in items}
    if isinstance(value, list | tuple):
        return [translated_in(inner, translate) for inner in cast("list[Any]", value)]
    return value


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text):
        yield _Token(found.lastgroup or "other", found[0])


def _translated(tokens: list[_Token], before: Before, known: Sequence[str]) -> Iterator[str]:
    meant = [index for index, token in enumerate(tokens) if token.kind != "blank"]
    position = {index: place for place, index in enumerate(meant)}
    skip = 0

    def near(index: int, offset: int) -> _Token:
        place = position[index] + offset
        return tokens[meant[place]] if 0 <= place < len(meant) else _Token("other", "")

    for index, token in enumerate(tokens):
        if skip and token.kind != "blank":
            skip -= 1
        elif token.kind != "name" or token.text not in _WORDS or near(index, -1).text == ".":
            yield token.text
        elif near(index, -1).text == "(" and near(index, 1).text == "," and near(index, -2).text in _MACROS:
            raise ExpressionError(f"`{token.text}` has a meaning of its own here; call the variable otherwise")
        elif token.text == "results":
            name, skip = _named([near(index, offset) for offset in range(1, 4)])
            if name not in known:
                raise ExpressionError(f"`results` has no step `{name}`; known: {', '.join(known)}")
            yield f"{step_named(name)}.output"
        elif token.text == "result" and (near(index, 1).text, near(index, 2).text) == (".", "status"):
            is_call = near(index, 3).text == "("
            skip = 0 if is_call else 2
            yield before.output if is_call else before.status
        else:
            yield before.output if token.text == "result" else "inputs"


def _named(after: list[_Token]) -> tuple[str, int]:
    """Return the name in `.name` or `["name"]`, and of how many tokens that is made."""
    first, second, third = after
    if first.text == "." and second.kind == "name":
        return second.text, 2
    text = _SHORT_TEXT.fullmatch(second.text)
    if first.text == "[" and text and third.text == "]":
        return text[2], 3
    raise ExpressionError('`results` needs the name of a step, as in `results.build` or `results["build"]`')


def _filled(text: str, translate: Callable[[str], str]) -> Iterator[str]:
    position = 0
    for opening in re.finditer(r"\$\$\{|\$\{", text):
        if opening.start() < position:
            continue
        yield text[position : opening.end()]
        position = opening.end()
        if opening[0] == "${":
            expression = _expression(text, position)
            yield translate(expression)
            position += len(expression)
    yield text[position:]


def _expression(text: str, start: int) -> str:
    """Return what stands between `start` and the brace that closes it."""
    depth, position = 0, start
    while found := _TOKEN.match(text, position):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if depth < 0:
            return text[start:position]
        position = found.end()
    raise ExpressionError(f"`{text[start - 2 : start + 40]}` has no closing brace; write `$${{` for a plain `${{`")
