"""From files to a checked document of layers: recognise the format, translate, check; all errors at once.

Nothing is ever written to the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
from pydantic import ValidationError

from podium.errors import Diagnostic, DocumentError
from podium.model.findings import diagnostics_of, did_you_mean
from podium.model.layers import LayersDocument
from podium.model.layers_checks import check_layers
from podium.model.layers_merging import environment_name, environments_of, in_environment
from podium.model.layers_places import Placed, hinted
from podium.model.yaml_loader import Mapped, load_yaml, load_yaml_file

Format = Literal["layers", "test_layers", "categories", "execution"]
DOCUMENTED_NAMES = ("test_layers.yaml", "categories.yaml", "execution.yaml")
"""Names of the documented files, which belong together when they are in one folder."""
_HINT = "start with: kind: layers"


class LoadedLayers(msgspec.Struct, frozen=True):
    """A document of layers that was read.

    Attributes:
        document: What it says.
        placed: Its values as they were written, in the native form, with their places.
        documented: Whether it is of the documented formats, which are read leniently.
        environments: Environments it says something about.
        paths: The files.
        warnings: What a person should know about them.
    """

    document: LayersDocument
    placed: Mapped
    documented: bool
    environments: tuple[str, ...]
    paths: tuple[str, ...]
    warnings: tuple[Diagnostic, ...] = ()

    def in_environment(self, environment: str) -> tuple[LayersDocument, Placed]:
        """Return what it says in an environment, with places; the document itself stays as it is.

        Args:
            environment: Its name; `dev` is `development`, `prod` is `production`.
        """
        placed = in_environment(self.placed, environment_name(environment))
        return LayersDocument.model_validate(placed.value), placed


def load_layers(*paths: str | Path) -> LoadedLayers:
    """Read layers from a native file, or from documented files that belong together.

    Args:
        paths: The files, in any order; a folder stands for the documented files in it.

    Raises:
        DocumentError: They are no layers, or are wrong; carries every error that was found.
    """
    files = [file for path in paths for file in _files(Path(path))]
    return load_layers_mapped([(str(file), load_yaml_file(file)) for file in files])


def load_layers_text(text: str, path: str = "layers.yaml") -> LoadedLayers:
    """Do what `load_layers` does with the text of one file.

    Args:
        text: The document.
        path: What findings call it.

    Raises:
        DocumentError: As `load_layers`.
    """
    return load_layers_mapped([(path, load_yaml(text, path))])


def load_layers_mapped(files: Sequence[tuple[str, Mapped]]) -> LoadedLayers:
    """Do what `load_layers` does with documents that are read already.

    Args:
        files: What findings call them, and what they hold.

    Raises:
        DocumentError: As `load_layers`.
    """
    by_format: dict[Format, Mapped] = {}
    for path, mapped in files:
        kind = format_of(mapped)
        if kind in by_format:
            raise _not_one(f"`{path}` is a second file of {_WORDS[kind]}", mapped)
        by_format[kind] = mapped
    if "layers" in by_format and len(by_format) > 1:
        other = next(mapped for kind, mapped in by_format.items() if kind != "layers")
        raise _not_one("a document with `kind: layers` says everything itself", other)
    if not by_format.keys() - {"execution"}:
        if by_format:
            raise _not_one("these are settings for layers, and there are no layers", by_format["execution"])
        raise DocumentError("there is no file of layers", code="D178", hint="name a file with kind: layers")
    placed, findings = _native(by_format)
    if _has_errors(findings):
        raise DocumentError(_in_order(findings))
    documented = "layers" not in by_format
    document = _validated(placed, findings)
    findings += check_layers(document, placed, documented=documented)
    environments = environments_of(placed.value)
    for environment in environments:
        view = in_environment(placed, environment)
        findings += check_layers(_validated(view, findings), view, documented=documented)
    findings = _in_order(findings)
    if _has_errors(findings):
        raise DocumentError(findings)
    return LoadedLayers(document, placed, documented, environments, tuple(path for path, _ in files), tuple(findings))


def format_of(mapped: Mapped) -> Format:
    """Return the format of a document.

    Raises:
        DocumentError: It is none of layers (D120).
    """
    value = mapped.value
    if not isinstance(value, dict):
        raise DocumentError("the document is not a mapping", code="D120", hint=_HINT, span=mapped.span())
    kind = value.get("kind")
    if kind == "layers":
        return "layers"
    if kind is not None:
        hint = did_you_mean(str(kind), ["layers"], what="kinds here")
        raise DocumentError(f"the kind `{kind}` is no layers", code="D120", hint=hint, span=mapped.span("kind"))
    given = cast("dict[str, Any]", value)
    from podium.model.layers_documented import documented_format  # noqa: PLC0415 (native layers do not wait for it)

    found = documented_format(given)
    if found is not None:
        return found
    raise DocumentError("key `kind` is missing", code="D120", hint=_HINT, span=mapped.span())


_WORDS: dict[Format, str] = {
    "layers": "layers",
    "test_layers": "layers",
    "categories": "categories",
    "execution": "settings",
}


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [path / name for name in DOCUMENTED_NAMES if (path / name).is_file()]
    if not found:
        hint = f"name a file with kind: layers, or a folder with {', '.join(DOCUMENTED_NAMES)}"
        raise DocumentError(f"folder `{path}` has no files of layers", code="D178", hint=hint)
    return found


def _native(by_format: dict[Format, Mapped]) -> tuple[Mapped, list[Diagnostic]]:
    """Return the document in the native form, and what was found on the way."""
    if "layers" in by_format:
        return by_format["layers"], []
    from podium.model.layers_documented import translated  # noqa: PLC0415 (native layers do not wait for it)

    return translated(by_format)


def _validated(placed: Mapped, findings: list[Diagnostic]) -> LayersDocument:
    try:
        return LayersDocument.model_validate(placed.value)
    except ValidationError as error:
        found = hinted(diagnostics_of(error, placed, LayersDocument), "`podium schema layers` says what is possible")
        raise DocumentError(_in_order([*found, *findings])) from error


def _not_one(text: str, mapped: Mapped) -> DocumentError:
    hint = "name one file with kind: layers, or one documented file of each sort"
    return DocumentError(text, code="D178", hint=hint, span=mapped.span())


def _has_errors(findings: Sequence[Diagnostic]) -> bool:
    return any(finding.severity == "error" for finding in findings)


def _in_order(findings: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Return findings once each, as they stand in the files."""

    def place(finding: Diagnostic) -> tuple[str, int, int]:
        span = finding.span
        return ("", 0, 0) if span is None else (span.path, span.line, span.column)

    return sorted(dict.fromkeys(findings), key=place)
