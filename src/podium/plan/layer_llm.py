"""Which language model tests use: what they ask for, what was allowed, and what there is."""

from __future__ import annotations

from podium.model import layers as d
from podium.model.findings import Path
from podium.plan.layer_context import Context


def llm_variables(
    context: Context, layer: d.LlmDocument | None, category: d.LlmDocument | None, place: Path, name: str
) -> dict[str, str]:
    """Return the variables that tell tests which language model to use.

    A category that says something says it instead of its layer, key by key. Real models are used if they were asked for
    on the command line, or cannot be replaced; without a key they are replaced by mocks if that is allowed.

    Args:
        context: What the plan is made of.
        layer: What the layer says.
        category: What the category says.
        place: Where findings stand.
        name: What findings call the category.
    """
    if layer is None and category is None:
        if not context.uses_real_llm:
            return {}
        said = d.LlmDocument(mode="real")  # pyright: ignore[reportCallIssue]
    else:
        given: dict[str, object] = {}
        for document in (layer, category):
            if document is not None:
                given |= {key: getattr(document, key) for key in document.model_fields_set}
        said = d.LlmDocument.model_construct(**given)  # pyright: ignore[reportArgumentType]
    mode = _mode(context, said, place, name)
    timeout = {} if said.timeout is None else {"TEST_LLM_TIMEOUT": f"{said.timeout / 1e9:g}"}
    return {"TEST_LLM_MODE": mode, **timeout}


def _mode(context: Context, said: d.LlmDocument, place: Path, name: str) -> str:
    if said.mode == "mock":
        return "mock"
    if said.fallback_to_mock and not context.uses_real_llm:
        return "mock"
    if any(context.environ.get(key) for key in said.keys):
        return said.mode
    keys = ", ".join(said.keys)
    if said.fallback_to_mock:
        text = f"`{name}` uses a mock instead of a language model: none of {keys} is set"
        context.warn("P244", text, "set one of them", *place)
        return "mock"
    text = f"`{name}` needs a real language model, and none of {keys} is set"
    context.fail("P237", text, "set one of them, or allow fallback_to_mock", *place)
    return said.mode
