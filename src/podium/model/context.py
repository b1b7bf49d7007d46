"""What a task is told about the tasks it depends on: known only when it starts, so it is rendered then."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """What one dependency came to.

    Attributes:
        id: The id of its task.
        passed: Whether it passed.
        text: Its output if it passed, otherwise its error.
    """

    id: str
    passed: bool
    text: str


def context_text(entries: Sequence[Entry]) -> str:
    """Return what is added to a prompt about the dependencies, in the order given; nothing if there are none."""
    if not entries:
        return ""
    failed = sum(not entry.passed for entry in entries)
    lines = [f"Previous context ({len(entries) - failed}/{len(entries)} dependencies):", *map(_line, entries)]
    if failed:
        lines += ["", f"WARNING: {failed}/{len(entries)} dependencies failed. Proceed with available context."]
    return "\n\n" + "\n".join(lines)


def prompt_with_context(prompt: str, context: Sequence[Mapping[str, Any]]) -> str:
    """Return a prompt with what its dependencies came to.

    Args:
        prompt: What is to be done.
        context: Per dependency `id`, `outcome`, `output` (a JSON value) and `error` (`type` and `message`, or None).
    """
    return prompt + context_text([_entry(dependency) for dependency in context])


def prompt_with_outputs(prompt: str, context: Sequence[Mapping[str, Any]]) -> str:
    """Return a prompt with the outputs of what came before and passed, in the order given; those with none left out.

    Args:
        prompt: What is to be done.
        context: As for `prompt_with_context`.
    """
    entries = [_entry(dependency) for dependency in context]
    outputs = [entry.text for entry in entries if entry.passed and entry.text]
    return prompt + "\n\nPrevious context:\n" + "\n".join(outputs) if outputs else prompt


def _line(entry: Entry) -> str:
    return f"✓ [sg-{entry.id}]: {entry.text}" if entry.passed else f"✗ [sg-{entry.id}]: FAILED - {entry.text}"


def _entry(dependency: Mapping[str, Any]) -> Entry:
    outcome = dependency["outcome"]
    if outcome == "passed":
        return Entry(dependency["id"], passed=True, text=_as_text(dependency.get("output")))
    error: Mapping[str, str] = dependency.get("error") or {}
    return Entry(dependency["id"], passed=False, text=error.get("message") or error.get("type") or outcome)


def _as_text(output: Any) -> str:
    if output is None:
        return ""
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
