"""From what a step of a workflow says it does to work for an executor; which keys go with which work."""

from __future__ import annotations

import re
from typing import Any, cast

from podium.model import workflow as d
from podium.plan.workflow_drafts import Drafts, Place
from podium.plan.workflow_inputs import holds_expression
from podium.plan.workflow_policies import check_pattern, listed, seconds
from podium.protocols import Work

GROUPS = ("parallel", "if", "workflow")
"""Kinds of work that are made of other steps."""
_COMMAND_KEYS = ("env", "cwd", "stdin", "output", "exit_codes", "stop_on")
_OF_KINDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_COMMAND_KEYS, ("command", "shell")),
    "with": ("python", "workflow"),
    "then": ("if",),
    "else": ("if",),
}
"""Key to the kinds of work it goes with."""
_OF_GROUPS = {*d.KINDS, *_OF_KINDS, "name", "needs", "trigger", "when", "labels"}
"""Keys a step may have that is made of other steps."""
_CALLABLE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_CHAT_KEYS = ("endpoint", "model", "system", "api_key_env", "options")
_AGENT_KEYS = ("agent", "tool", "args")
_TEXTS = ("argv", "shell", "env", "cwd", "stdin", "url", "headers", "body", "prompt", "system", "args")
"""What executors take as text only; an argument `${inputs.amount}` is not to become a number."""
_RENDERED = ("with", "command", "shell", "http", "agent", "wait", "value", *_COMMAND_KEYS)


def kind_of(document: d.SimpleWork, place: Place, drafts: Drafts) -> str | None:
    """Return what a step does, one of `KINDS`; note it if it is nothing or several things, and return None."""
    given = set(_keys(document))
    kinds = [kind for kind in d.KINDS if kind in given]
    if len(kinds) == 1:
        _check_keys(given, kinds[0], place, drafts)
        return kinds[0]
    possible = [kind for kind in d.KINDS if _field(document, kind)]
    if kinds:
        text = f"there is one kind of work to a step, and this one has {' and '.join(f'`{kind}`' for kind in kinds)}"
        drafts.report("D140", text, place.at(kinds[1]), hint="make one step of each", key=True)
    else:
        drafts.report("D140", "the step has nothing to do", place, hint=f"add one of {', '.join(possible)}")
    return None


def work_of(document: d.SimpleWork, kind: str, place: Place, drafts: Drafts) -> Work:
    """Return the work of a step that is not made of other steps.

    Args:
        document: What it says.
        kind: What it does.
        place: Where it stands.
        drafts: Where findings go.
    """
    if kind == "python":
        check_callable(document.python or "", place.at("python"), drafts)
        return made("python", {"callable": document.python, "args": document.with_ or {}})
    if kind in {"command", "shell"}:
        return made("command", _with_texts(_command(document, place, drafts)))
    if kind == "http":
        return made("http", _with_texts(_http(document.http, place.at("http"), drafts)))
    if kind == "agent" and document.agent is not None:
        return _agent(document.agent, place.at("agent"), drafts)
    if kind == "wait" and isinstance(document, d.StepDocument):
        return made("wait", _wait(document.wait, place.at("wait"), drafts))
    return made("value", {"value": document.value})


def made(kind: str, payload: dict[str, Any]) -> Work:
    """Return work whose payload is rendered if there is anything to render."""
    return Work(kind, payload, template=holds_expression(payload))


def rendered(place: Place) -> list[Place]:
    """Return the places of a step where `${…}` is replaced."""
    return [place.at(key) for key in _RENDERED if place.at(key).value is not None]


def check_callable(text: str, place: Place, drafts: Drafts) -> None:
    """Note it if a text names no Python function."""
    if not _CALLABLE.fullmatch(text):
        drafts.report(
            "D143", f"`{text[:40]}` names no function", place, hint="write module:function, as in shop:reserve"
        )


def _keys(document: d.SimpleWork) -> list[str]:
    fields = type(document).model_fields
    return [fields[name].alias or name for name in fields if name in document.model_fields_set]


def _field(document: d.SimpleWork, key: str) -> bool:
    return any((field.alias or name) == key for name, field in type(document).model_fields.items())


def _check_keys(given: set[str], kind: str, place: Place, drafts: Drafts) -> None:
    for key in sorted(given):
        kinds = _OF_KINDS.get(key)
        if kinds is not None and kind not in kinds:
            hint = f"it goes with {' and '.join(f'`{word}`' for word in kinds)}"
            drafts.report("D142", f"key `{key}` has no meaning for `{kind}`", place.at(key), hint=hint, key=True)
        elif kind in GROUPS and key == "compensate":
            text = f"`{kind}` has nothing to undo itself"
            drafts.report("P220", text, place.at(key), hint="put `compensate` on the steps inside", key=True)
        elif kind in {"value", "wait"} and key == "compensate":
            text = f"`{kind}` has no effect that could be undone"
            drafts.report("P220", text, place.at(key), hint="remove `compensate`", key=True)
        elif kind in GROUPS and key == "for_each":
            text = f"`for_each` cannot repeat `{kind}`, which is made of several steps"
            drafts.report("P221", text, place.at(key), hint="put `for_each` on the steps inside", key=True)
        elif kind in GROUPS and key not in _OF_GROUPS:
            text = f"key `{key}` has no meaning for `{kind}`"
            drafts.report("D142", text, place.at(key), hint="put it on the steps inside", key=True)
    if "at_once" in given and "for_each" not in given:
        text = "`at_once` has no meaning without `for_each`"
        drafts.report("D142", text, place.at("at_once"), hint="add `for_each`, or remove it", key=True)


def _command(document: d.SimpleWork, place: Place, drafts: Drafts) -> dict[str, Any]:
    payload: dict[str, Any] = {"shell": document.shell} if document.command is None else {"argv": document.command}
    for key in _COMMAND_KEYS:
        value = getattr(document, key)
        if value is not None:
            payload[key] = [value] if isinstance(value, int) else value
    for index, pattern in enumerate(document.stop_on or ()):
        check_pattern(pattern, place.at("stop_on", index), drafts)
    return payload


def _http(document: str | d.HttpDocument | None, place: Place, drafts: Drafts) -> dict[str, Any]:
    if document is None or isinstance(document, str):
        return {"url": document}
    given = document.model_fields_set
    if {"json_", "body"} <= given:
        drafts.report("D142", "a request has `json` or `body`, not both", place.at("body"), hint="remove one", key=True)
    payload = {_without_underscore(name): getattr(document, name) for name in sorted(given)}
    if "expect" in payload:
        payload["expect"] = list(listed(document.expect))
    return payload


def _agent(document: d.AgentDocument, place: Place, drafts: Drafts) -> Work:
    given = [name for name in type(document).model_fields if name in document.model_fields_set]
    is_chat = document.endpoint is not None
    for key in given:
        if key in (_AGENT_KEYS if is_chat else _CHAT_KEYS) and key != "endpoint":
            hint = "remove it: `endpoint` asks a model itself" if is_chat else "add `endpoint`, or remove it"
            text = f"key `{key}` has no meaning {'with' if is_chat else 'without'} `endpoint`"
            drafts.report("D142", text, place.at(key), hint=hint, key=True)
    if is_chat and document.model is None:
        drafts.report("D142", "`endpoint` needs a `model`", place.at("endpoint"), hint="add model: NAME", key=True)
    payload = {key: value for key in given if (value := getattr(document, key)) is not None}
    return made("chat" if is_chat else "agent", _with_texts(payload))


def _wait(document: int | d.WaitDocument | None, place: Place, drafts: Drafts) -> dict[str, Any]:
    if document is None or isinstance(document, int):
        return {"seconds": seconds(document or 0)}
    given = [name for name in ("for_", "signal", "approval") if getattr(document, name) is not None]
    if len(given) != 1:
        hint = "write wait: 5 s, or {signal: NAME}, or {approval: QUESTION}"
        drafts.report("D140", "a step waits for exactly one of `for`, `signal`, `approval`", place, hint=hint)
    if document.for_ is not None:
        return {"seconds": seconds(document.for_)}
    return {"signal": document.signal} if document.signal is not None else {"approval": document.approval}


def _with_texts(payload: dict[str, Any]) -> dict[str, Any]:
    return {key: _as_text(value) if key in _TEXTS else value for key, value in payload.items()}


def _as_text(value: Any) -> Any:
    """Return a template whose value is text: with something more than one `${…}`, which alone keeps its type."""
    if isinstance(value, str):
        return f"{value}${{''}}" if value.startswith("${") and value.endswith("}") else value
    if isinstance(value, list):
        return [_as_text(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in cast("dict[str, Any]", value).items()}
    return value


def _without_underscore(name: str) -> str:
    return name.rstrip("_")
