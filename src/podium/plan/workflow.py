"""From a workflow document to a plan: groups, branches and nested workflows become plain steps.

`podium.plan.workflow_lowering` makes the steps, `podium.plan.workflow_references` checks that they fit together. What
is wrong is reported all at once, each with its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from podium.errors import Diagnostic, DocumentError, PlanError
from podium.model.workflow_loading import workflow_document
from podium.model.yaml_loader import Mapped, load_yaml, load_yaml_file
from podium.plan.graph import Plan
from podium.plan.workflow_drafts import Drafts, Place, Written
from podium.plan.workflow_inputs import checked_inputs
from podium.plan.workflow_lowering import Lowering, output_expressions
from podium.plan.workflow_policies import seconds
from podium.plan.workflow_references import check_graph, check_written
from podium.protocols import Expressions
from podium.storable import file_name


class Workflow(msgspec.Struct, frozen=True):
    """A plan, and what was found while it was made.

    Attributes:
        plan: Its steps.
        warnings: About files that are valid.
    """

    plan: Plan
    warnings: tuple[Diagnostic, ...] = ()


def plan_workflow(
    path: str | Path, *, inputs: Mapping[str, Any], expressions: Expressions, slots: int | None = None
) -> Workflow:
    """Return the plan of the workflow in a file.

    Args:
        path: The file.
        inputs: Name to JSON value.
        expressions: The language of its expressions.
        slots: How many steps run at once, instead of what the document says.

    Raises:
        DocumentError: The file is no workflow, or is wrong; carries every error that was found.
        PlanError: `slots` is below 1 (P204).
    """
    file = Path(path)
    return plan_workflow_mapped(load_yaml_file(file), file, inputs=inputs, expressions=expressions, slots=slots)


def plan_workflow_text(
    text: str,
    *,
    inputs: Mapping[str, Any],
    expressions: Expressions,
    slots: int | None = None,
    path: str | Path = "workflow.yaml",
) -> Workflow:
    """Do what `plan_workflow` does with the text of a document.

    Args:
        text: The document.
        inputs: Name to JSON value.
        expressions: The language of its expressions.
        slots: How many steps run at once, instead of what the document says.
        path: What findings call it, and what nested workflows are relative to.

    Raises:
        DocumentError: As `plan_workflow`.
        PlanError: As `plan_workflow`.
    """
    mapped = load_yaml(text, str(path))
    return plan_workflow_mapped(mapped, Path(path), inputs=inputs, expressions=expressions, slots=slots)


def plan_workflow_mapped(
    mapped: Mapped, file: Path, *, inputs: Mapping[str, Any], expressions: Expressions, slots: int | None = None
) -> Workflow:
    """Do what `plan_workflow` does with a document that is read already.

    Args:
        mapped: The document with its positions.
        file: Where it is from, for nested workflows.
        inputs: Name to JSON value.
        expressions: The language of its expressions.
        slots: How many steps run at once, instead of what the document says.

    Raises:
        DocumentError: As `plan_workflow`.
        PlanError: As `plan_workflow`.
    """
    document = workflow_document(mapped)
    drafts, place = Drafts(expressions), Place(mapped)
    values = checked_inputs(document, place, inputs, drafts)
    Lowering(drafts, document, place, file).lower()
    outputs = output_expressions(document, place, drafts)
    known = frozenset(document.inputs)
    drafts.written += [Written(place.at("outputs", name), "", known, None) for name in document.outputs]
    check_graph(drafts)
    check_written(drafts)
    errors = drafts.findings("error")
    if errors:
        raise DocumentError(errors)
    if slots is not None and slots < 1:
        text = f"slots must be at least 1, not {slots}"
        raise PlanError([Diagnostic("P204", text, "give the number of steps that run at once")])
    plan = Plan.of(
        document.name,
        drafts.steps.values(),
        work="workflow",
        slots=document.slots if slots is None else slots,
        capacities=drafts.capacities,
        deadline=None if document.deadline is None else seconds(document.deadline),
        strict_waves=document.strict_waves,
        groups=drafts.groups,
        inputs=values,
        outputs=outputs,
        options={"paths": [file_name(str(file))], "folder": file_name(str(file.resolve().parent))},
    )
    return Workflow(plan, tuple(drafts.findings("warning")))
