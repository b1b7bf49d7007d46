"""Functions of `user_registration.yaml`: users, mails and sessions are files in a folder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any


def validate_input(name: str, email: str) -> dict[str, Any]:
    """Return the name in its usual form; what is no name or no address is refused."""
    if not re.fullmatch(r"[A-Za-z][\w-]{0,30}", name):
        raise ValueError(f"{name!r} is no name of a user")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email):
        raise ValueError(f"{email!r} is no address")
    return {"name": name.lower()}


def create_user(folder: str, name: str, email: str) -> dict[str, Any]:
    """Write the user's file; done twice it is still one user."""
    _write(Path(folder) / "users" / f"{name}.json", {"name": name, "email": email})
    return {"name": name}


def delete_user(folder: str, name: str) -> None:
    """Remove the user's file."""
    (Path(folder) / "users" / f"{name}.json").unlink(missing_ok=True)


def send_email(folder: str, name: str, email: str, fail: str = "") -> dict[str, Any]:
    """Put a greeting into the outbox."""
    _fail_if(fail == "send_email", "the mail server is temporarily unavailable")
    path = Path(folder) / "outbox" / f"{name}.eml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"To: {email}\nSubject: Welcome\n\nHello {name}!\n", encoding="utf-8")
    return {"path": str(path)}


def create_session(folder: str, name: str, fail: str = "") -> dict[str, Any]:
    """Log the user in."""
    _fail_if(fail == "create_session", "there is no room for another session")
    session = f"session-{name}"
    _write(Path(folder) / "sessions" / f"{session}.json", {"user": name})
    return {"session": session}


def destroy_session(folder: str, session: str) -> None:
    """Log the user out."""
    (Path(folder) / "sessions" / f"{session}.json").unlink(missing_ok=True)


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def _fail_if(fails: bool, why: str) -> None:  # noqa: FBT001 (private)
    if fails:
        raise RuntimeError(why)
