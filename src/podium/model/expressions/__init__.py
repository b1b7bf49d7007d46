"""Expressions in CEL, the Common Expression Language: conditions, and `${…}` in payloads.

The library `cel-expr-python` parses, checks and evaluates. What it does not bound is bounded here, so that an
expression from a document can neither run for ever, nor eat the memory, nor crash the process:

- An expression has at most 4096 characters. The library refuses to nest deeper than 32 (brackets, operators and
  selections in a row), and to iterate 10,000 times or more in one evaluation.
- Macros (`map`, `filter`, `all`, …) nest at most 3 deep.
- Before an expression that can make values grow is evaluated, an upper bound of the work is computed from its syntax
  and from the sizes of the values it names. Above `MAX_WORK`, about a second and 300 MB, it is refused. So are `map`
  and `filter` over more than about 3,500 elements, because the library copies their result for every element.
- Values handed in are nested at most 100 deep; only those an expression names are looked at.
- `map` and `filter` over the keys of a mapping are refused: the library iterates in an order that changes from one
  evaluation to the next. Where the mapping is computed, or is an element of another list, this is not noticed.
- Messages (`google.protobuf.Any{…}`) are refused, and so are time zones that are computed or name a file.

JSON values pass unchanged but for these limits: a text must hold neither U+0000 nor lone surrogates, which the library
truncates or refuses, and a number must be finite, and fit 64 bits if it is whole. The keys of a mapping come in
their own order where the whole expression is a path such as `inputs.x`, and sorted otherwise: the library forgets the
order. Durations and timestamps become text, to the microsecond.

As CEL demands, `true || x` is true and `false && x` is false even where `x` has no value.
"""

from podium.model.expressions.language import Cel
from podium.model.expressions.survey import MAX_LOOPS
from podium.model.expressions.syntax import MAX_LENGTH, NAMES
from podium.model.expressions.values import MAX_DEPTH
from podium.model.expressions.work import MAX_WORK

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "MAX_LOOPS", "MAX_WORK", "NAMES", "Cel"]
