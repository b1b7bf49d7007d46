"""Reads tasks from a Markdown checklist, remembers where they stand, and ticks them off.

    - [ ] 1. Build it
    - [x] 2.1 Test it
      <!-- agent: tester -->
      <!-- depends: 1 -->

A task is an item with a box and a number. The comments up to the next task say more about it. What stands in a code
fence or in a comment is no task. Every pattern takes linear time, however the file was made.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from podium.errors import Diagnostic, DocumentError, EnvironmentProblemError, NothingSelectedError, Span
from podium.model.findings import did_you_mean, in_order
from podium.model.yaml_loader import MAX_BYTES

_BREAK = re.compile("\r\n|[\n\r]")
_BOM = "\ufeff"
_FENCE = re.compile(r"\s*(?:(?:[-*+]|\d+[.)])\s+)*(`{3,}+(?!.*`)|~{3,}+)")
_ITEM = re.compile(r"\s*[-*]\s*\[(?P<box>\s*+(?:[xX]\s*+)?+)\]")
_NUMBERED = re.compile(r"\s*+(?P<id>\d++(?:\.\d+)?+)\.?+\s*+(?P<description>.*)")
_COMMENT = re.compile("`[^`]*`|<!--")
_KEY = re.compile(r"\s*([A-Za-z_][\w-]*)\s*:(?!//)\s*")
_ID = re.compile(r"[^\s,]+")
_MORE_IDS = re.compile(r"[\d.,\s]*")
_KEYS = ("agent", "model", "depends")
_NUMBER_THEM = "write `- [ ] 1. description`"


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a checklist.

    Attributes:
        id: Its number as written, such as `1` or `2.1`.
        description: What is to be done.
        done: Whether its box is ticked.
        agent: Who does it; None: nobody in particular, as written by `self`.
        model: Which model the agent uses; None: its default.
        depends: Ids of the tasks that come first, in the order written, each once.
        span: Where its number stands.
    """

    id: str
    description: str
    done: bool = False
    agent: str | None = None
    model: str | None = None
    depends: tuple[str, ...] = ()
    span: Span = field(default=Span("", 1, 1), compare=False)


@dataclass(frozen=True, slots=True)
class Checklist:
    """The tasks of a file.

    Attributes:
        tasks: In the order written.
        warnings: What a person should know about the file.
    """

    tasks: tuple[Task, ...]
    warnings: tuple[Diagnostic, ...] = ()


def load_tasks(path: Path) -> Checklist:
    """Read the tasks in a file.

    Args:
        path: A UTF-8 file of at most 1 MiB. A byte order mark is skipped, lines end as they like.

    Raises:
        DocumentError: D105 too large, D109 not UTF-8, D110 missing or unreadable, and all of `parse_tasks`.
        NothingSelectedError: It has no tasks (U404).
    """
    return parse_tasks(_read(path), str(path))


def parse_tasks(text: str, path: str) -> Checklist:
    """Read the tasks in a text.

    Args:
        text: Markdown.
        path: The name that stands in spans.

    Raises:
        DocumentError: With every error found: D102 key twice, D150 id twice, D151 dependency on an unknown id, D152
            on itself, D153 on one another in a circle, D154 no description.
        NothingSelectedError: There are no tasks (U404).
    """
    reader = _Reader(text, path)
    reader.read()
    errors = [*reader.errors, *_wrong_ids(reader.drafts), *_wrong_dependencies(reader.drafts)]
    if errors:
        raise DocumentError(in_order(errors))
    if not reader.drafts:
        about = [f"{warning.message}; {warning.hint}" for warning in reader.warnings]
        raise NothingSelectedError(f"there are no tasks in `{path}`", hint=about[0] if about else _NUMBER_THEM)
    return Checklist(tuple(draft.task() for draft in reader.drafts), tuple(in_order(reader.warnings)))


def tick(path: Path, tasks: Mapping[str, str]) -> None:
    """Tick the boxes of some tasks and change nothing else; all of them, or none if one is refused.

    The file is replaced as a whole, so that nobody sees half of it. It is not touched if all boxes are ticked already.

    Args:
        path: The file, as it is by now.
        tasks: Id to the description the task has to have.

    Raises:
        DocumentError: A task is gone, has another description or stands there twice (D157), or the file cannot be read
            (D105, D109, D110).
        EnvironmentProblemError: The file cannot be written (E502).
    """
    text = _read(path)
    reader = _Reader(text, str(path))
    reader.read()
    refused = [reason for id_, description in tasks.items() if (reason := _changed(reader, id_, description))]
    if refused:
        raise DocumentError(refused)
    ticked = text
    for draft in reader.drafts:
        if not draft.done and tasks.get(draft.id) == draft.description:
            ticked = f"{ticked[: draft.box]}x{ticked[draft.box + 1 :]}"
    if ticked != text:
        _replace(path, ticked.encode("utf-8"))


@dataclass(slots=True)
class _Draft:
    """A task of which not everything is read yet. `box` is the place of the box's mark in the text."""

    id: str
    description: str
    done: bool
    span: Span
    box: int
    said: dict[str, str] = field(default_factory=dict[str, str])
    depends: dict[str, Span] = field(default_factory=dict[str, Span])

    def task(self) -> Task:
        agent = self.said.get("agent") or None
        agent = None if agent == "self" else agent
        model = self.said.get("model") or None
        return Task(self.id, self.description, self.done, agent, model, tuple(self.depends), self.span)


class _Reader:
    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path
        self.drafts: list[_Draft] = []
        self.errors: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self.unnumbered: list[Span] = []
        self.number = 0
        self.line = ""
        self.fence = ""
        self.in_comment = False
        self.opened = Span(path, 1, 1)
        self.key = ""

    def read(self) -> None:
        for offset, line in _lines(self.text):
            self.number += 1
            self.line = line
            self.on_line(offset)
        if self.fence or self.in_comment:
            what = "code fence" if self.fence else "comment"
            message = f"{what} is not closed, so the rest of the file is part of it"
            hint = f"close it with a line `{self.fence}`" if self.fence else "close it with `-->`"
            self.warnings.append(Diagnostic("D155", message, hint, self.opened, "warning"))
        if self.unnumbered:
            count = len(self.unnumbered)
            message = f"{count} checklist lines have a box but no number, so they are no tasks"
            if count == 1:
                message = "1 checklist line has a box but no number, so it is no task"
            self.warnings.append(Diagnostic("D156", message, _NUMBER_THEM, self.unnumbered[0], "warning"))

    def on_line(self, offset: int) -> None:
        if self.fence:
            mark = self.line.strip()
            if len(mark) >= len(self.fence) and set(mark) == {self.fence[0]}:
                self.fence = ""
        elif self.in_comment:
            self.on_rest(self.on_comment(0))
        elif fence := _FENCE.match(self.line):
            self.fence = fence[1]
            self.opened = self.place(*fence.span(1))
        elif item := _ITEM.match(self.line):
            self.on_item(item, offset)
        else:
            self.on_rest(0)

    def on_item(self, item: re.Match[str], offset: int) -> None:
        box = item["box"]
        done = bool(box.strip())
        mark = box.lower().find("x") if done else box.rfind(" ")
        numbered = _NUMBERED.match(self.line, item.end())
        if mark < 0:
            return
        if numbered:
            place = self.place(*numbered.span("id"))
            start = numbered.start("description")
            found = (match.start() for match in _COMMENT.finditer(self.line, start) if match[0] == "<!--")
            end = next(found, len(self.line))
            description = self.line[start:end].strip()
            self.drafts.append(_Draft(numbered["id"], description, done, place, offset + item.start("box") + mark))
            self.on_rest(end)
        elif not self.line[item.end() :][:1].strip():  # a link `[x](…)` is no box
            self.unnumbered.append(self.place(item.start("box") - 1, item.end()))

    def on_rest(self, at: int) -> None:
        """Read the comments that begin in a line from a column on."""
        while match := _COMMENT.search(self.line, at):
            at = match.end()
            if match[0] == "<!--":
                self.opened = self.place(*match.span())
                self.key = ""
                at = self.on_comment(at)

    def on_comment(self, start: int) -> int:
        """Read a line of a comment from a column on, and return the column behind it."""
        end = self.line.find("-->", start)
        self.in_comment = end < 0
        stop = len(self.line) if self.in_comment else end
        if self.drafts:
            self.on_words(self.drafts[-1], start, stop)
        return stop + 3

    def on_words(self, draft: _Draft, start: int, stop: int) -> None:
        match = _KEY.match(self.line, start, stop)
        if match:
            self.key = match[1].lower()
            start = match.end()
        elif not _MORE_IDS.fullmatch(self.line, start, stop):
            self.key = ""
        if self.key == "depends":
            for word in _ID.finditer(self.line, start, stop):
                draft.depends.setdefault(word[0], self.place(*word.span()))
        elif match and self.key not in _KEYS:
            hint = did_you_mean(self.key, _KEYS, what="keys")
            message = f"unknown key `{match[1]}` in a comment on task {draft.id}"
            self.warnings.append(Diagnostic("D158", message, hint, self.place(*match.span(1)), "warning"))
        elif match and self.key in draft.said:
            message = f"key `{self.key}` stands twice for task {draft.id}"
            self.errors.append(Diagnostic("D102", message, "remove one of them", self.place(*match.span(1))))
        elif match:
            draft.said[self.key] = self.line[start:stop].strip()

    def place(self, start: int, stop: int) -> Span:
        return Span(self.path, self.number, start + 1, self.line, stop - start)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines with their places in the text, which may begin with a byte order mark."""
    at = len(_BOM) if text.startswith(_BOM) else 0
    for match in _BREAK.finditer(text):
        yield at, text[at : match.start()]
        at = match.end()
    yield at, text[at:]


def _wrong_ids(drafts: list[_Draft]) -> Iterator[Diagnostic]:
    first: dict[str, int] = {}
    for draft in drafts:
        if draft.id in first:
            hint = f"it stands first in line {first[draft.id]}; give one of them another number"
            yield Diagnostic("D150", f"two tasks have the number {draft.id}", hint, draft.span)
        first.setdefault(draft.id, draft.span.line)
        if not draft.description:
            yield Diagnostic("D154", f"task {draft.id} has no description", "say what is to be done", draft.span)


def _wrong_dependencies(drafts: list[_Draft]) -> Iterator[Diagnostic]:
    known = {draft.id: draft for draft in reversed(drafts)}
    ids = [draft.id for draft in drafts if known[draft.id] is draft]
    for draft in drafts:
        for id_, span in draft.depends.items():
            if id_ == draft.id:
                yield Diagnostic("D152", f"task {id_} depends on itself", f"remove {id_} here", span)
            elif id_ not in known:
                hint = did_you_mean(id_, ids, what="tasks") or "name a task of this file by its number"
                yield Diagnostic("D151", f"task {draft.id} depends on unknown task `{id_}`", hint, span)
    graph = {id_: [need for need in known[id_].depends if need in known and need != id_] for id_ in ids}
    for cycle in _cycles(graph):
        message = f"the tasks depend on each other in a circle: {' -> '.join(cycle)}"
        yield Diagnostic("D153", message, "remove one of these dependencies", known[cycle[0]].depends[cycle[1]])


def _cycles(graph: dict[str, list[str]]) -> Iterator[list[str]]:
    """Yield cycles that have no task in common, each from its first task to the same; no cycle is without one."""
    missing = {id_: len(needs) for id_, needs in graph.items()}
    dependents: dict[str, list[str]] = {id_: [] for id_ in graph}
    for id_, needs in graph.items():
        for need in needs:
            dependents[need].append(id_)
    order = {id_: index for index, id_ in enumerate(graph)}
    left = dict(graph)
    free = [id_ for id_ in graph if not graph[id_]]
    while left:
        for id_ in free:
            if left.pop(id_, None) is not None:
                for dependent in dependents[id_]:
                    missing[dependent] -= 1
                free.extend(dependent for dependent in dependents[id_] if not missing[dependent])
        if left:
            free = _cycle(left)
            start = free.index(min(free, key=order.__getitem__))
            yield [*free[start:], *free[: start + 1]]


def _cycle(left: dict[str, list[str]]) -> list[str]:
    """Return a cycle among tasks each of which needs another of them."""
    path: dict[str, None] = {}
    at = next(iter(left))
    while at not in path:
        path[at] = None
        at = next(need for need in left[at] if need in left)
    walked = list(path)
    return walked[walked.index(at) :]


def _changed(reader: _Reader, id_: str, description: str) -> Diagnostic | None:
    """Return why a task must not be ticked."""
    drafts = [draft for draft in reader.drafts if draft.id == id_]
    same = [draft for draft in drafts if draft.description == description]
    if len(same) == 1:
        return None
    if same:
        message, span = f"task {id_} stands there {len(same)} times", same[1].span
    elif drafts:
        message, span = f"task {id_} has another description than when it was read", drafts[0].span
    else:
        message, span = f"task {id_} is no longer in `{reader.path}`", None
    return Diagnostic("D157", message, "nothing was ticked; tick the box by hand if the task is done", span)


def _read(path: Path) -> str:
    """Return the text of a file, with its byte order mark if it has one."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(MAX_BYTES + 1) if size <= MAX_BYTES else b""
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        message = f"file `{path}` cannot be read: {reason.lower()}"
        raise DocumentError(message, code="D110", hint="check the name and the permissions") from error
    size = max(size, len(data))
    if size > MAX_BYTES:
        message = f"file `{path}` has {size} bytes, at most {MAX_BYTES} are read"
        raise DocumentError(message, code="D105", hint="split it into several files", span=Span(str(path), 1, 1))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"byte 0x{data[error.start]:02x} at offset {error.start} is not utf-8"
        span = _byte_place(data, error.start, str(path))
        raise DocumentError(message, code="D109", hint="save the file as UTF-8", span=span) from error


def _byte_place(data: bytes, offset: int, path: str) -> Span:
    *_, (number, before) = enumerate((line for _, line in _lines(data[:offset].decode("utf-8"))), 1)
    lines = [line for _, line in _lines(data.decode("utf-8", "replace"))]
    return Span(path, number, len(before) + 1, lines[number - 1])


def _replace(path: Path, data: bytes) -> None:
    """Put other content in the place of a file, all at once, with the same owner and permissions.

    Raises:
        EnvironmentProblemError: It cannot be written (E502).
    """
    try:
        path = path.resolve(strict=True)  # through a link, to the file it names
        status = path.stat()
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:_LONGEST]}.", suffix=".tmp", dir=path.parent)
        temporary = Path(name)
        try:
            with open(handle, "wb") as file:  # noqa: PTH123  (a descriptor)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            with suppress(PermissionError):  # only root may give a file away
                os.chown(temporary, status.st_uid, status.st_gid)
            temporary.chmod(stat.S_IMODE(status.st_mode))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        message = f"the tasks in {path} cannot be ticked: {error.strerror or error}"
        hint = "check the permissions of the file and of its folder"
        raise EnvironmentProblemError(message, code="E502", hint=hint) from error


_LONGEST = 40
"""Characters of a file's name that go into that of its temporary file, so that it is not too long."""
