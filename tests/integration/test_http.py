"""HTTP and chat steps against a real server: what is sent, and what the answer comes to."""

import asyncio
import email.utils
import gzip
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from podium.executors.chat import ChatExecutor
from podium.executors.http import LARGEST_BODY, HttpExecutor
from podium.protocols import Attempt, Finished, Work

JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain"}


class Handler(BaseHTTPRequestHandler):
    """Answers what the path asks for."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        url = urlsplit(self.path)
        self.query = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        self.sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name, _, rest = url.path[1:].partition("/")
        with self.server.changed:
            self.server.seen.append(name)
            self.server.changed.notify_all()
        getattr(self, f"on_{name.replace('-', '_')}")(rest)

    do_POST = do_PUT = do_GET  # noqa: N815 (the names the base class looks for)

    def answer(self, body=b"", status=200, headers=TEXT):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def on_echo(self, _rest):
        seen = {
            "method": self.command,
            "path": self.path,
            "headers": {key.lower(): value for key, value in self.headers.items()},
            "body": self.sent.decode(),
        }
        self.answer(json.dumps(seen).encode(), headers=JSON)

    def on_status(self, rest):
        self.answer(self.query.pop("body", "").encode(), int(rest), TEXT | self.query)

    def on_body(self, _rest):
        self.answer(self.query["body"].encode("latin-1"), headers={"Content-Type": self.query["type"]})

    def on_gzip(self, _rest):
        self.answer(gzip.compress(b'{"x": 1}'), headers={**JSON, "Content-Encoding": "gzip"})

    def on_bad_gzip(self, _rest):
        self.answer(b"no gzip at all", headers={**JSON, "Content-Encoding": "gzip"})

    def on_bytes(self, rest):
        """Send as many bytes as are wanted, and note how many were taken."""
        self.answer(headers={"Content-Length": rest})
        left = int(rest)
        try:
            while left:
                left -= self.wfile.write(b"x" * min(left, 1 << 16))
        except OSError:
            self.close_connection = True
        with self.server.changed:
            self.server.unsent = left
            self.server.changed.notify_all()

    def on_deep(self, rest):
        self.answer(b"[" * int(rest) + b"]" * int(rest), headers=JSON)

    def on_slow(self, rest):
        self.server.go_on.wait(float(rest))
        self.answer(b"at last")

    def on_hang_up(self, _rest):
        self.close_connection = True

    def on_redirect(self, _rest):
        self.answer(status=302, headers={"Location": "/echo"})

    def on_loop(self, _rest):
        self.answer(status=302, headers={"Location": "/loop"})

    def on_cookie(self, _rest):
        self.answer(headers={"Set-Cookie": "session=1; Path=/"})

    def on_v1(self, _rest):
        """Be a language model."""
        request = json.loads(self.sent)
        answer = self.server.answers.get(request["model"])
        if answer is None:
            text = json.dumps({"request": request, "authorization": self.headers.get("Authorization"), "at": self.path})
            answer = {"choices": [{"message": {"content": text}}], "usage": {"total_tokens": 3}}
        self.answer(json.dumps(answer).encode(), headers=JSON)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.changed = threading.Condition()
        self.go_on = threading.Event()
        self.seen = []
        self.unsent = None
        self.answers = {}

    def handle_error(self, *_):
        """Say nothing: clients that leave early are part of the tests."""

    def until(self, condition):
        with self.changed:
            return self.changed.wait_for(condition, 20)


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()


class Bench:
    """An executor and what it reported."""

    def __init__(self, executor):
        self.executor = executor
        self.reports = {}
        self.changed = asyncio.Event()
        self.token = 0

    def start(self, key="run:step", **payload):
        self.token += 1
        self.executor.start(Attempt("run", "step", 1, self.token, Work("http", payload), key), self._report)
        return self.token

    def _report(self, token, report):
        assert token not in self.reports
        self.reports[token] = report
        self.changed.set()

    async def end(self, token):
        async with asyncio.timeout(20):
            while token not in self.reports:
                self.changed.clear()
                await self.changed.wait()
        return self.reports[token]

    async def send(self, *args, **payload):
        return await self.end(self.start(*args, **payload))


def with_bench(body, chat=False):
    async def main():
        executor = ChatExecutor(HttpExecutor()) if chat else HttpExecutor()
        try:
            return await body(Bench(executor))
        finally:
            await executor.close()

    return asyncio.run(main())


def send(url, key="run:step", **payload):
    return with_bench(lambda bench: bench.send(key, url=url, **payload))


def kind(finished):
    return finished.outcome, finished.failure and finished.failure.type


def test_an_answer_is_status_headers_and_body(server):
    finished = send(f"{server.url}/echo?a=1")
    assert finished.outcome == "passed"
    assert finished.output["status"] == 200
    assert finished.output["headers"]["content-type"] == "application/json"
    assert finished.output["body"]["method"] == "GET"
    assert finished.output["body"]["path"] == "/echo?a=1"
    assert finished.output["body"]["headers"]["idempotency-key"] == "run:step"


def test_method_headers_query_and_json_are_sent(server):
    query = {"b": "x y", "c": [1, True], "d": None}
    headers = {"idempotency-key": "mine", "X-Name": "Grüße"}
    finished = send(f"{server.url}/echo?a=1", method="post", headers=headers, query=query, json={"x": [None, "ü"]})
    seen = finished.output["body"]
    assert (seen["method"], seen["path"]) == ("POST", "/echo?a=1&b=x+y&c=1&c=true&d=")
    assert (seen["headers"]["idempotency-key"], seen["headers"]["content-type"]) == ("mine", "application/json")
    assert seen["headers"]["x-name"].encode("latin-1").decode() == "Grüße"
    assert json.loads(seen["body"]) == {"x": [None, "ü"]}


def test_text_and_null_are_sent_as_bodies(server):
    text = send(f"{server.url}/echo", method="PUT", body="Grüße").output["body"]
    null = send(f"{server.url}/echo", method="PUT", json=None).output["body"]
    assert (text["body"], null["body"]) == ("Grüße", "null")


def test_a_key_that_fits_no_header_is_escaped(server):
    sent = send(f"{server.url}/echo", key="run:grün\n").output["body"]
    assert sent["headers"]["idempotency-key"] == "run%3Agr%C3%BCn%0A"


@pytest.mark.parametrize(
    ("body", "type_", "output", "expected"),
    [
        ('{"x": 1}', "application/problem+json; charset=utf-8", "auto", {"x": 1}),
        ('{"x": 1}', "text/plain", "auto", '{"x": 1}'),
        ('{"x": 1}', "text/plain", "json", {"x": 1}),
        ('{"x": 1}', "application/json", "text", '{"x": 1}'),
        ('{"x": 1}', "application/json", "none", None),
        ("", "application/json", "auto", None),
        ("gr\xfcn", "text/plain; charset=latin-1", "auto", "grün"),
        ("gr\xfcn", "text/plain; charset=no-such", "auto", "gr\ufffdn"),
        ("gr\xfcn", "text/plain; charset=base64", "auto", "gr\ufffdn"),
    ],
)
def test_a_body_is_read_as_its_content_type_or_the_payload_says(server, body, type_, output, expected):
    finished = send(f"{server.url}/body", query={"body": body, "type": type_}, output=output)
    assert (finished.outcome, finished.output["body"]) == ("passed", expected)


@pytest.mark.parametrize("output", ["auto", "json"])
@pytest.mark.parametrize("body", ["{no json", '"\\ud800"', "NaN"])
def test_a_body_that_is_no_json_is_errored_and_shown(server, body, output):
    finished = send(f"{server.url}/body", query={"body": body, "type": "application/json"}, output=output)
    assert kind(finished) == ("errored", "NoJson")
    assert finished.failure.details == body


@pytest.mark.parametrize("depth", [300, 100_000])
def test_a_body_that_is_nested_too_deep_is_errored(server, depth):
    assert kind(send(f"{server.url}/deep/{depth}")) == ("errored", "NoJson")


def test_a_compressed_body_is_unpacked(server):
    assert send(f"{server.url}/gzip").output["body"] == {"x": 1}
    assert kind(send(f"{server.url}/bad-gzip")) == ("errored", "DecodingError")


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (400, "failed", "Bad Request"),
        (404, "failed", "Not Found"),
        (429, "errored", "Too Many Requests"),
        (500, "errored", "Internal Server Error"),
        (503, "errored", "Service Unavailable"),
    ],
)
def test_an_unexpected_status_is_told_with_the_begin_of_the_body(server, status, outcome, reason):
    url = f"{server.url}/status/{status}"
    finished = send(url, query={"body": "no " * 1000})
    assert kind(finished) == (outcome, "HttpStatus")
    assert finished.failure.message == f"GET {url} answered {status} {reason}"
    assert finished.failure.details == ("no " * 1000)[:2048]
    assert finished.failure.retry_after is None


def test_which_statuses_pass_can_be_said(server):
    assert send(f"{server.url}/status/404", expect=[200, 404]).output["status"] == 404
    unexpected = send(f"{server.url}/status/200", expect=[201])
    assert kind(unexpected) == ("failed", "HttpStatus")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("17", 17), (email.utils.formatdate(time.time() - 60, usegmt=True), 0), ("soon", None), ("9" * 400, None)],
)
def test_how_long_to_wait_is_taken_from_the_answer(server, value, seconds):
    finished = send(f"{server.url}/status/503", query={"Retry-After": value})
    assert finished.failure.retry_after == seconds


def test_when_to_try_again_may_be_a_date(server):
    date = email.utils.formatdate(time.time() + 60, usegmt=True)
    finished = send(f"{server.url}/status/429", query={"Retry-After": date})
    assert 50 < finished.failure.retry_after <= 60


def test_redirects_are_followed_only_if_wanted(server):
    stays = send(f"{server.url}/redirect")
    assert kind(stays) == ("failed", "HttpStatus")
    assert stays.failure.message == f"GET {server.url}/redirect answered 302 Found (/echo)"
    assert send(f"{server.url}/redirect", follow_redirects=True).output["body"]["path"] == "/echo"
    assert kind(send(f"{server.url}/loop", follow_redirects=True)) == ("errored", "TooManyRedirects")


def test_connection_errors_are_errored_with_their_class(server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        refused = send(f"http://127.0.0.1:{free.getsockname()[1]}/x")
    assert kind(refused) == ("errored", "ConnectError")
    assert kind(send(f"{server.url}/hang-up")) == ("errored", "RemoteProtocolError")
    assert kind(send(server.url.replace("http:", "https:"))) == ("errored", "ConnectError")
    assert kind(send("http://no-such-host.invalid/")) == ("errored", "ConnectError")


@pytest.mark.parametrize(
    ("payload", "type_"),
    [
        ({"url": "ftp://127.0.0.1/"}, "UnsupportedProtocol"),
        ({"url": "http://127.0.0.1:port/"}, "InvalidURL"),
        ({"url": "no url"}, "UnsupportedProtocol"),
        ({"url": "http://127.0.0.1:1/", "headers": {"X": "a\nb"}}, "LocalProtocolError"),
        ({"url": "http://127.0.0.1:1/", "json": 1, "body": "x"}, "ValidationError"),
        ({"url": "http://127.0.0.1:1/", "jason": 1}, "ValidationError"),
        ({}, "ValidationError"),
    ],
)
def test_a_request_that_makes_no_sense_is_errored(server, payload, type_):
    if "headers" in payload:
        payload = {**payload, "url": server.url}
    finished = with_bench(lambda bench: bench.send(**payload))
    assert kind(finished) == ("errored", type_)


def test_a_password_in_the_url_is_used_but_not_told(server):
    url = server.url.replace("//", "//user:secret@")
    assert send(f"{url}/echo").output["body"]["headers"]["authorization"].startswith("Basic ")
    finished = send(f"{url}/status/404?token=secret")
    assert finished.failure.message == f"GET {server.url}/status/404 answered 404 Not Found"


def test_a_body_of_the_largest_size_is_taken(server):
    assert len(send(f"{server.url}/bytes/{LARGEST_BODY}").output["body"]) == LARGEST_BODY


def test_a_larger_body_is_errored_and_not_read_to_its_end(server):
    finished = send(f"{server.url}/bytes/{LARGEST_BODY * 8}")
    assert kind(finished) == ("errored", "OutputTooLarge")
    assert "16 MiB" in finished.failure.message
    assert server.until(lambda: server.unsent is not None)
    assert server.unsent > LARGEST_BODY


def test_a_body_nobody_wants_may_be_of_any_size(server):
    finished = send(f"{server.url}/bytes/{LARGEST_BODY * 2}", output="none")
    assert (finished.outcome, finished.output["body"]) == ("passed", None)
    assert server.until(lambda: server.unsent == 0)


def test_a_slow_answer_is_waited_for_without_a_limit(server):
    async def body(bench):
        assert bench.executor._opened().timeout.as_dict() == dict.fromkeys(("connect", "read", "write", "pool"))
        return await bench.send(url=f"{server.url}/slow/0.3")

    assert with_bench(body).output["body"] == "at last"


@pytest.mark.parametrize("force", [False, True])
def test_a_request_that_is_stopped_is_cancelled_and_others_go_on(server, force):
    async def body(bench):
        token = bench.start(url=f"{server.url}/slow/20")
        other = bench.start(url=f"{server.url}/slow/20")
        assert await asyncio.to_thread(server.until, lambda: server.seen.count("slow") == 2)
        bench.executor.stop(token, force=force)
        stopped = await bench.end(token)
        server.go_on.set()
        return stopped, await bench.end(other)

    stopped, other = with_bench(body)
    assert kind(stopped) == ("cancelled", "Cancelled")
    assert other.outcome == "passed"


def test_a_request_can_be_stopped_before_it_has_begun(server):
    async def body(bench):
        token = bench.start(url=f"{server.url}/echo")
        bench.executor.stop(token, force=False)
        bench.executor.stop(99, force=False)
        return await bench.end(token)

    assert with_bench(body).outcome == "cancelled"
    assert server.seen == []


def test_closing_ends_requests_without_a_report_and_twice_is_harmless(server):
    async def body(bench):
        bench.start(url=f"{server.url}/slow/20")
        assert await asyncio.to_thread(server.until, lambda: "slow" in server.seen)
        await bench.executor.close()
        await bench.executor.close()
        assert bench.reports == {}

    with_bench(body)


def test_many_requests_go_at_once_through_one_client(server):
    async def body(bench):
        tokens = [bench.start(url=f"{server.url}/slow/20") for _ in range(150)]
        assert await asyncio.to_thread(server.until, lambda: server.seen.count("slow") == 150)
        server.go_on.set()
        return {(await bench.end(token)).outcome for token in tokens}

    assert with_bench(body) == {"passed"}


def test_cookies_of_one_step_are_not_sent_by_another(server):
    async def body(bench):
        await bench.send(url=f"{server.url}/cookie")
        return await bench.send(url=f"{server.url}/echo")

    assert "cookie" not in with_bench(body).output["body"]["headers"]


def ask(server, **payload):
    return with_bench(lambda bench: bench.send(**{"endpoint": f"{server.url}/v1/", "model": "m"} | payload), chat=True)


def test_a_prompt_is_answered_with_text_and_usage(server, monkeypatch):
    monkeypatch.setenv("MODEL_KEY", "secret")
    options = {"temperature": 0, "model": "another"}
    finished = ask(server, prompt="Why?", system="Be brief.", api_key_env="MODEL_KEY", options=options)
    seen = json.loads(finished.output["text"])
    assert finished.output["usage"] == {"total_tokens": 3}
    assert (seen["at"], seen["authorization"]) == ("/v1/chat/completions", "Bearer secret")
    assert seen["request"] == {
        "temperature": 0,
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
    }


def test_a_prompt_needs_neither_key_nor_system(server):
    seen = json.loads(ask(server, prompt="Why?").output["text"])
    assert seen["authorization"] is None
    assert seen["request"] == {"model": "m", "messages": [{"role": "user", "content": "Why?"}]}


def test_a_key_that_is_not_set_is_errored_before_anything_is_sent(server, monkeypatch):
    monkeypatch.delenv("MODEL_KEY", raising=False)
    finished = ask(server, prompt="Why?", api_key_env="MODEL_KEY")
    assert finished == Finished("errored", failure=finished.failure)
    assert (finished.failure.type, finished.failure.message) == ("NoApiKey", "MODEL_KEY is not set")
    assert server.seen == []


@pytest.mark.parametrize("answer", [{}, [], {"choices": []}, {"choices": [{"message": {"content": None}}]}, "text", 5])
def test_an_answer_without_text_is_errored(server, answer):
    server.answers["m"] = answer
    finished = ask(server, prompt="Why?")
    assert kind(finished) == ("errored", "NoText")
    assert json.loads(finished.failure.details) == answer


def test_errors_of_a_chat_are_those_of_its_request(server):
    failed = ask(server, endpoint=f"{server.url}/status/404?body=", prompt="Why?")
    assert (kind(failed), failed.failure.details) == (("failed", "HttpStatus"), "/chat/completions")
    assert kind(ask(server, prompt=5)) == ("errored", "ValidationError")


def test_a_chat_can_be_stopped(server):
    async def body(bench):
        token = bench.start(endpoint=f"{server.url}/slow/20?", model="m", prompt="Why?")
        assert await asyncio.to_thread(server.until, lambda: "slow" in server.seen)
        bench.executor.stop(token, force=False)
        return await bench.end(token)

    assert with_bench(body, chat=True).outcome == "cancelled"
