"""JSON Schemas of the documents, for editors and other tools; the committed files in `schemas/` are their output."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from podium.model.dialects.campaign_scenario import CampaignScenarioDocument
from podium.model.documents import ScenarioDocument
from podium.model.layers import LayersDocument
from podium.model.workflow import WorkflowDocument

_MODELS: dict[str, type[BaseModel]] = {
    "scenario": ScenarioDocument,
    "campaign-scenario": CampaignScenarioDocument,
    "workflow": WorkflowDocument,
    "layers": LayersDocument,
}

NAMES = tuple(_MODELS)
"""Documents that have a schema."""


def document_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a document.

    Args:
        name: One of `NAMES`.
    """
    schema = _MODELS[name].model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text(name: str) -> str:
    """Return the schema as it stands in `schemas/NAME.json`."""
    return json.dumps(document_schema(name), indent=2, ensure_ascii=False) + "\n"
