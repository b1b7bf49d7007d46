"""The HTTP side of a conductor: start, status, list, cancel, signal, approve."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from podium.engine.waiting import APPROVAL
from podium.errors import DocumentError, ExitCode, PodiumError, UsageError
from podium.messages import Cancel, Signal
from podium.model.expressions import Cel
from podium.plan.workflow import plan_workflow, plan_workflow_text
from podium.server.conductor import Conductor
from podium.session import Session

_LARGEST_BODY = 4 << 20
_STATUS = {ExitCode.USAGE: 400, ExitCode.NOTHING_SELECTED: 400, ExitCode.ENVIRONMENT: 503, ExitCode.INTERNAL: 500}
_UNKNOWN, _FINISHED, _STOPPING = ("U411", "U414", "U419"), "U415", "U416"
_MOST_LISTED = 10_000
_log = logging.getLogger("podium.server")

Handler = Callable[[Request], Awaitable[Response]]
_Body = TypeVar("_Body")


class Start(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a request that starts a workflow: its text, or the path of its file.

    Attributes:
        document: Text of the document.
        path: File below the server's folder.
        inputs: Input name to JSON value.
    """

    document: str | None = None
    path: str | None = None
    inputs: dict[str, Any] = {}


class Ending(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a request that ends a run.

    Attributes:
        why: For the record.
        force: Kill what is under way.
        compensate: Undo what was done.
    """

    why: str = "cancelled over HTTP"
    force: bool = False
    compensate: bool = True


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a request that answers a step which waits for an approval.

    Attributes:
        approved: Yes or no.
        comment: For the record.
    """

    approved: bool = True
    comment: str = ""


class Joining(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a request that adds a worker.

    Attributes:
        capacity: How many runs it takes at once.
    """

    capacity: int


class Api:
    """Answers requests.

    Args:
        conductor: What conducts the runs.
        session: Its store.
        folder: Where the documents that are named by path are.
        token: What every request must carry as bearer token; empty: nothing.
        hosts: Names under which the server may be addressed; empty: any.
    """

    def __init__(
        self, conductor: Conductor, session: Session, *, folder: Path, token: str = "", hosts: tuple[str, ...] = ()
    ) -> None:
        self._conductor = conductor
        self._session = session
        self._folder = folder.resolve()
        self._token = token
        self._hosts = hosts

    def app(self) -> Starlette:
        """Return the application."""
        routes = [
            ("GET", "/health", self._health),
            ("POST", "/workflows", self._start),
            ("GET", "/runs", self._list),
            ("GET", "/runs/{run}", self._status),
            ("POST", "/runs/{run}/cancel", self._cancel),
            ("POST", "/runs/{run}/signals/{name}", self._signal),
            ("POST", "/runs/{run}/approvals/{step:path}", self._approve),
            ("GET", "/workers", self._workers),
            ("PUT", "/workers/{name}", self._add_worker),
            ("DELETE", "/workers/{name}", self._remove_worker),
        ]
        return Starlette(
            routes=[Route(path, self._guarded(handler), methods=[verb]) for verb, path, handler in routes],
            exception_handlers={HTTPException: _no_such_request},
        )

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            refusal = self._refusal(request)
            if refusal is not None:
                return refusal
            try:
                return await handler(request)
            except PodiumError as error:
                return _error(error)
            except msgspec.MsgspecError as error:
                return _error(UsageError(f"the body is not what is expected: {error}"))
            except asyncio.CancelledError:  # it would keep the server from stopping
                return _error(UsageError("the server is stopping", code=_STOPPING, hint="ask again in a moment"))
            except Exception:  # noqa: BLE001 (the other requests are answered)
                _log.exception("%s %s failed", request.method, request.url.path)
                return _error(PodiumError("a defect of Podium; its log says more"))

        return guarded

    def _refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that comes from a web page of somebody else's, or without the token."""
        host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
        if self._hosts and host.strip("[]") not in self._hosts:
            return _refused(403, f"the server is not called `{host}`")
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            return _refused(403, f"requests from `{origin}` are not taken")
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._token and not hmac.compare_digest(given.encode("latin-1"), self._token.encode()):
            return _refused(401, "the bearer token is missing or wrong")
        return None

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"running": self._conductor.running, "queued": self._conductor.queued})

    async def _start(self, request: Request) -> Response:
        asked = await _body(request, Start)
        if (asked.document is None) == (asked.path is None):
            raise UsageError("give one of `document` and `path`", hint='{"path": "order.yaml", "inputs": {…}}')
        if asked.path is not None:
            found = plan_workflow(self._file(asked.path), inputs=asked.inputs, expressions=Cel())
        else:
            place = self._folder / "workflow.yaml"
            found = plan_workflow_text(asked.document or "", inputs=asked.inputs, expressions=Cel(), path=place)
        options = {**found.plan.options, "folder": str(self._folder), "cwd": str(self._folder)}
        run = self._conductor.submit(msgspec.structs.replace(found.plan, options=options))
        state = self._conductor.state_of(self._session.store.run(run))
        warnings = [warning.render() for warning in found.warnings]
        return _json({"run": run, "state": state, "warnings": warnings}, 202)

    def _file(self, name: str) -> Path:
        path = (self._folder / name.replace("\0", "\N{REPLACEMENT CHARACTER}")).resolve()
        if not path.is_relative_to(self._folder) or not path.is_file():
            raise UsageError(f"there is no document `{name}`", hint="paths are relative to the server's folder")
        return path

    async def _list(self, request: Request) -> Response:
        asked = request.query_params
        limit = asked.get("limit", "100")
        if not limit.isascii() or not limit.isdigit() or len(limit) > len(str(_MOST_LISTED)):
            raise UsageError(f"`{limit}` is no limit", hint=f"write a number up to {_MOST_LISTED}, such as limit=20")
        rows = self._session.store.runs(int(limit), name=asked.get("name"))
        found = [{**msgspec.to_builtins(row), "state": self._conductor.state_of(row)} for row in rows]
        return _json([row for row in found if asked.get("state") in (None, row["state"])])

    async def _status(self, request: Request) -> Response:
        row = self._session.store.run(request.path_params["run"])
        steps = self._session.store.steps(row.id)
        state = self._conductor.state_of(row)
        return _json({**msgspec.to_builtins(row), "state": state, "results": msgspec.to_builtins(steps)})

    async def _cancel(self, request: Request) -> Response:
        asked = await _body(request, Ending)
        cancel = Cancel(_who(request), asked.why, asked.force, asked.compensate)
        return self._tell(request, cancel)

    async def _signal(self, request: Request) -> Response:
        data = await _data(request)
        payload = msgspec.json.decode(data) if data else None
        return self._tell(request, Signal(request.path_params["name"], payload, _who(request)))

    async def _approve(self, request: Request) -> Response:
        answer = await _body(request, Answer)
        name = APPROVAL + request.path_params["step"]
        return self._tell(request, Signal(name, msgspec.to_builtins(answer), _who(request)))

    def _tell(self, request: Request, content: Cancel | Signal) -> Response:
        run = request.path_params["run"]
        self._conductor.tell(run, content)
        return _json({"run": self._session.store.run(run).id}, 202)

    async def _workers(self, _request: Request) -> Response:
        workers = self._conductor.workers
        return _json({"workers": workers.describe(), "balanced": workers.is_balanced()})

    async def _add_worker(self, request: Request) -> Response:
        asked = await _body(request, Joining)
        self._conductor.add_worker(request.path_params["name"], asked.capacity)
        return await self._workers(request)

    async def _remove_worker(self, request: Request) -> Response:
        moved = await self._conductor.remove_worker(request.path_params["name"])
        return _json({"moved": moved})


async def _data(request: Request) -> bytes:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _LARGEST_BODY:
            raise UsageError(f"the body is larger than {_LARGEST_BODY} bytes")
    return data


async def _body(request: Request, kind: type[_Body]) -> _Body:
    return msgspec.json.decode(await _data(request) or b"{}", type=kind)


def _who(request: Request) -> str:
    user = request.headers.get("x-podium-user")
    return f"{user} over http" if user else f"http from {request.client.host if request.client else 'nowhere'}"


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


async def _no_such_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refused = UsageError(f"there is no {request.method} {request.url.path}", hint="`podium serve --help` has examples")
    return _error(refused, error.status_code)


def _refused(status: int, message: str) -> Response:
    return _json({"errors": [{"code": "U417", "message": message}]}, status)


def _error(error: PodiumError, status: int | None = None) -> Response:
    first = error.diagnostics[0].code
    status = status or _status_of(error, first)
    return _json({"errors": [_finding(error, index) for index in range(len(error.diagnostics))]}, status)


def _status_of(error: PodiumError, first: str) -> int:
    if first in _UNKNOWN:
        return 404
    if first in (_FINISHED, _STOPPING):
        return 409 if first == _FINISHED else 503
    return 422 if isinstance(error, DocumentError) else _STATUS.get(error.exit_code, 500)


def _finding(error: PodiumError, index: int) -> dict[str, Any]:
    finding = error.diagnostics[index]
    span = finding.span
    place = None if span is None else {"path": span.path, "line": span.line, "column": span.column}
    return {"code": finding.code, "message": finding.message, "hint": finding.hint, "place": place}
