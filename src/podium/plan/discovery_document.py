"""The document of layers that says what was found in a project, for a person to go on from."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Sequence

from podium.plan.discovery import DerivedCategory
from podium.plan.discovery_names import LAYERS, as_name
from podium.plan.suites import CommandSuite, PytestSuite

_ABOUT = {
    "fast_feedback": "What a developer waits for.",
    "core_integration": "Parts that work together.",
    "service_integration": "Services that work together.",
    "e2e_background": "The whole, in the background.",
}
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_WIDTH = 100
_HEAD = """\
# Layers of tests, as Podium found them in this project. It is not rewritten: change what you like.
#
#   podium test              run the layers
#   podium test --validate   check this file and show the plan
#
# A layer starts when those it needs have passed. What else may be said here:
#
#   layers.LAYER.budget: 2 min             longest duration of the whole layer
#   layers.LAYER.services: [postgresql]    services its tests rely on, described below `services`
#   categories: timeout: 60 s              longest duration of a category
#               parallel: auto             worker processes; 1 for tests that get into each other's way
#               retries: 1                 a test that passes then is flaky
#   quarantine: [{test: "*::test_mail", until: 2030-12-31, reason: the mail server moves}]
"""


def layers_document(derived: Sequence[DerivedCategory], name: str = "tests") -> str:
    """Return a document of layers with these categories, as commented YAML.

    Args:
        derived: What `podium.plan.discovery.derive` found, at least one.
        name: What a person calls the project.
    """
    lines = [_HEAD, "kind: layers", f"name: {_scalar(name)}", "layers:"]
    used = [layer for layer in LAYERS if any(category.layer == layer for category in derived)]
    for place, layer in enumerate(used):
        lines += [f"  {layer}:", f"    description: {_scalar(_ABOUT[layer])}"]
        if place:
            lines.append(f"    needs: [{used[place - 1]}]")
        if layer == LAYERS[-1] and place:
            lines.append("    background: true")
        lines.append("    categories:")
        for category in derived:
            if category.layer == layer:
                lines += _category(category)
    return "\n".join(lines) + "\n"


def _category(category: DerivedCategory) -> Iterator[str]:
    for line in textwrap.wrap(f"{category.why[:1].upper()}{category.why[1:]}.", _WIDTH, break_long_words=False):
        yield f"      # {line}"
    yield f"      - name: {_scalar(as_name(category.name))}"
    suite = category.suite
    if isinstance(suite, PytestSuite):
        yield "        parallel: auto"
        is_empty = not (suite.paths or suite.exclude or suite.markers or suite.cwd)
        yield f"        pytest:{' {}' if is_empty else ''}"
        if suite.cwd:
            yield f"          cwd: {_scalar(suite.cwd)}"
        yield from _list("          paths", suite.paths)
        yield from _list("          exclude", suite.exclude)
        if suite.markers:
            yield f"          markers: {_scalar(suite.markers)}"
    else:
        yield from _command(suite)


def _command(suite: CommandSuite) -> Iterator[str]:
    yield from _list("        command", suite.argv)
    if suite.cwd:
        yield f"        cwd: {_scalar(suite.cwd)}"
    if suite.env:
        pairs = (f"{_scalar(name)}: {_scalar(value)}" for name, value in suite.env.items())
        yield f"        env: {{{', '.join(pairs)}}}"
    path = f", path: {_scalar(suite.report_path)}" if suite.report_path else ""
    yield f"        report: {{format: {suite.report}{path}}}"
    if suite.exit_codes != CommandSuite().exit_codes:
        yield from _list("        exit_codes", [str(code) for code in suite.exit_codes], numbers=True)


def _list(key: str, values: Sequence[str], *, numbers: bool = False) -> Iterator[str]:
    if not values:
        return
    shown = list(values) if numbers else [_scalar(value) for value in values]
    line = f"{key}: [{', '.join(shown)}]"
    if len(line) <= _WIDTH:
        yield line
        return
    indent = " " * (len(key) - len(key.lstrip()) + 2)
    yield f"{key}:"
    if numbers:
        wrapped = textwrap.wrap(", ".join(shown), _WIDTH)
        yield f"{indent}[{wrapped[0]}"
        yield from (f"{indent} {line}" for line in wrapped[1:-1])
        yield f"{indent} {wrapped[-1]}]"
    else:
        yield from (f"{indent}- {value}" for value in shown)


def _scalar(text: str) -> str:
    """Return text as YAML reads it back as the same text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)
