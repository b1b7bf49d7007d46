"""Services that are known by name: where they usually are when they are running already."""

from __future__ import annotations

ENDPOINTS = {
    "postgresql": "localhost:5432",
    "postgres": "localhost:5432",
    "redis": "localhost:6379",
    "clickhouse": "localhost:8123/ping",
    "mysql": "localhost:3306",
    "mongodb": "localhost:27017",
    "rabbitmq": "localhost:5672",
    "backend_service": "localhost:8000/health",
    "backend": "localhost:8000/health",
    "auth_service": "localhost:8081/health",
    "frontend_service": "localhost:3000",
    "frontend": "localhost:3000",
    "websocket_server": "localhost:8000",
}
"""Name to `host:port`, with a path if it speaks HTTP."""


def health_of(endpoint: str) -> tuple[str, str]:
    """Return how to find out whether what is at an endpoint is up: (`tcp`, `host:port`) or (`http`, URL).

    Args:
        endpoint: `host:port`, `host:port/path` or a URL.

    Raises:
        ValueError: It is none of these.
    """
    if endpoint.startswith(("http://", "https://")):
        return "http", endpoint
    address, slash, path = endpoint.partition("/")
    host, _colon, port = address.rpartition(":")
    if not host or not (port.startswith("${") or (port.isdigit() and 0 < int(port) <= _HIGHEST_PORT)):
        raise ValueError(f"`{endpoint}` is no `host:port`, no `host:port/path` and no URL")
    return ("http", f"http://{address}/{path}") if slash else ("tcp", address)


_HIGHEST_PORT = 65535


def exports_of(name: str, endpoint: str) -> dict[str, str]:
    """Return the variables that tell where a service is: host, port, and the URL of one that speaks HTTP.

    Args:
        name: Name of the service.
        endpoint: `host:port`, `host:port/path` or a URL.
    """
    address = endpoint.removeprefix("http://").removeprefix("https://").partition("/")[0]
    host, colon, port = address.rpartition(":")
    if not colon:
        return {}
    stem = name.upper().replace("-", "_").replace(".", "_")
    url = {f"{stem}_URL": f"http://{address}"} if "/" in endpoint else {}
    return {f"{stem}_HOST": host, f"{stem}_PORT": port, **url}
