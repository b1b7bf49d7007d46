"""The shop over HTTP: `GET /health`, and `GET /total?tea=2&cup=1`."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from shop import total


class Shop(BaseHTTPRequestHandler):
    """Answers requests."""

    def do_GET(self) -> None:
        """Answer with JSON."""
        url = urlsplit(self.path)
        if url.path == "/health":
            self._answer(200, {"status": "up"})
        elif url.path == "/total":
            try:
                order = {name: int(amount) for name, amount in parse_qsl(url.query)}
                self._answer(200, {"total": total(order)})
            except (KeyError, ValueError) as error:
                self._answer(400, {"error": str(error)})
        else:
            self._answer(404, {"error": "there is nothing here"})

    def _answer(self, status: int, value: dict[str, object]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
