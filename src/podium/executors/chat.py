"""Asks a language model behind an endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

import os
from typing import Any, cast

import msgspec

from podium.events import Failure
from podium.executors.http import HttpExecutor, Request
from podium.executors.results import Tasks, raised
from podium.protocols import Attempt, Finished, ReportTo


class Chat(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Payload of a step of kind `chat`.

    Attributes:
        endpoint: URL up to and without `/chat/completions`.
        model: Name of the model.
        prompt: What the user says.
        system: What the model is told beforehand.
        api_key_env: Name of the environment variable with the key; the key itself is never stored.
        options: Further fields of the request, such as `temperature`.
    """

    endpoint: str
    model: str
    prompt: str
    system: str | None = None
    api_key_env: str | None = None
    options: dict[str, Any] = {}


class ChatExecutor:
    """Sends each prompt from a task of its own.

    Args:
        http: Sends the requests; closed with this executor.
    """

    def __init__(self, http: HttpExecutor) -> None:
        self._http = http
        self._tasks = Tasks()

    def start(self, attempt: Attempt, report: ReportTo) -> None:
        """Begin to send the prompt."""
        self._tasks.start(attempt, report, self._carry_out(attempt))

    def stop(self, token: int, *, force: bool) -> None:
        """Drop the connection."""
        del force  # a task is cancelled either way
        self._tasks.stop(token)

    async def close(self) -> None:
        """Drop all connections, also those of the HTTP executor."""
        await self._tasks.close()
        await self._http.close()

    async def _carry_out(self, attempt: Attempt) -> Finished:
        try:
            return await self._ask(msgspec.convert(attempt.work.payload, Chat), attempt.idempotency_key)
        except Exception as error:  # noqa: BLE001 (whatever goes wrong is the result)
            return raised(error)

    async def _ask(self, chat: Chat, idempotency_key: str) -> Finished:
        key = os.environ.get(chat.api_key_env, "") if chat.api_key_env else None
        if key == "":
            return Finished("errored", failure=Failure("NoApiKey", f"{chat.api_key_env} is not set"))
        finished = await self._http.send(_request(chat, key), idempotency_key)
        return _answer(finished, chat) if finished.outcome == "passed" else finished


def _request(chat: Chat, key: str | None) -> Request:
    system = [] if chat.system is None else [{"role": "system", "content": chat.system}]
    messages = [*system, {"role": "user", "content": chat.prompt}]
    return Request(
        url=f"{chat.endpoint.rstrip('/')}/chat/completions",
        method="POST",
        headers={} if key is None else {"Authorization": f"Bearer {key}"},
        json={**chat.options, "model": chat.model, "messages": messages},
        output="json",
    )


def _answer(finished: Finished, chat: Chat) -> Finished:
    body = finished.output["body"]
    try:
        text = body["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        text = None
    if not isinstance(text, str):
        answer = msgspec.json.encode(body).decode()[:2048]
        return Finished("errored", failure=Failure("NoText", f"{chat.model} answered without a text", answer))
    return Finished("passed", output={"text": text, "usage": cast("dict[str, Any]", body).get("usage")})
