"""Which language model tests use: what they ask for, what was allowed, and what there is."""

from __future__ import annotations

from podium.errors import Diagnostic
from podium.model import layers as d
from podium.model.findings import Path
from podium.plan.layer_choice import Choice, Place
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
    said = _said(context, layer, category)
    if said is None:
        return {}
    is_declared = layer is not None or category is not None
    mode = _mode(context, said, place if is_declared else (), f"`{name}` uses" if is_declared else _UNDECLARED)
    timeout = {} if said.timeout is None else {"TEST_LLM_TIMEOUT": f"{said.timeout / 1e9:g}"}
    return {"TEST_LLM_MODE": mode, **timeout}


def without_model(context: Context, choice: Choice) -> dict[Place, Diagnostic]:
    """Return the chosen categories that need a real language model and cannot have one, and why.

    Args:
        context: What the plan is made of.
        choice: What is run.
    """
    found: dict[Place, Diagnostic] = {}
    for layer, categories in choice.categories.items():
        document = context.document.layers[layer].llm
        for category in categories:
            said = _said(context, document, category.llm)
            if said is None or said.mode == "mock" or said.fallback_to_mock or _has_key(context, said):
                continue
            at: Path = ("layers", layer, "llm")
            if category.llm is not None:
                at = ("layers", layer, "categories", context.position(layer, category.name), "llm")
            keys = ", ".join(said.keys)
            text = f"`{layer}/{category.name}` needs a real language model, and none of {keys} is set"
            hint = "set one of them, or allow fallback_to_mock"
            found[layer, category.name] = Diagnostic("P237", text, hint, context.placed.span(*at))
    return found


def _said(context: Context, layer: d.LlmDocument | None, category: d.LlmDocument | None) -> d.LlmDocument | None:
    if layer is None and category is None:
        return d.LlmDocument(mode="real") if context.uses_real_llm else None  # pyright: ignore[reportCallIssue]
    given: dict[str, object] = {}
    for document in (layer, category):
        if document is not None:
            given |= {key: getattr(document, key) for key in document.model_fields_set}
    return d.LlmDocument.model_construct(**given)  # pyright: ignore[reportArgumentType]


def _has_key(context: Context, said: d.LlmDocument) -> bool:
    return any(context.environ.get(key) for key in said.keys)


_UNDECLARED = "tests that do not say which they need use"


def _mode(context: Context, said: d.LlmDocument, place: Path, who: str) -> str:
    if said.mode == "mock":
        return "mock"
    if said.fallback_to_mock and not context.uses_real_llm:
        return "mock"
    if not said.fallback_to_mock or _has_key(context, said):
        return said.mode  # without a key such a category is not run, see `without_model`
    text = f"{who} a mock instead of a language model: none of {', '.join(said.keys)} is set"
    context.warn("P244", text, "set one of them", *place)
    return "mock"
