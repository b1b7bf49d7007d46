"""From a file to a checked workflow document; what needs several keys or other steps is checked by the plan."""

from __future__ import annotations

from pydantic import ValidationError

from podium.errors import DocumentError
from podium.model.findings import diagnostics_of, did_you_mean, in_order
from podium.model.workflow import WorkflowDocument
from podium.model.yaml_loader import Mapped

_HINT = "start with: kind: workflow"


def workflow_document(mapped: Mapped) -> WorkflowDocument:
    """Return the document in a file.

    Args:
        mapped: The file with its positions.

    Raises:
        DocumentError: It is no workflow (D120), or has keys and values that no workflow has; all that were found.
    """
    value = mapped.value
    if not isinstance(value, dict):
        raise DocumentError("the document is not a mapping", code="D120", hint=_HINT, span=mapped.span())
    kind = value.get("kind")
    if kind is None:
        raise DocumentError("key `kind` is missing", code="D120", hint=_HINT, span=mapped.span())
    if kind != "workflow":
        hint = did_you_mean(str(kind), ["workflow"], what="kinds here")
        raise DocumentError(f"the kind `{kind}` is no workflow", code="D120", hint=hint, span=mapped.span("kind"))
    try:
        return WorkflowDocument.model_validate(value)
    except ValidationError as error:
        raise DocumentError(in_order(diagnostics_of(error, mapped, WorkflowDocument))) from error
