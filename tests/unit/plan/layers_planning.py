"""Makes plans of layers for tests: a project in which every category is found, and a machine of four processors."""

from pathlib import Path
from typing import NamedTuple

from podium.model.layers_loading import load_layers, load_layers_text
from podium.plan.layer_selection import LayerSelection
from podium.plan.layers import plan_layers
from podium.plan.suites import PytestSuite, Suite

DOCUMENTED = Path(__file__).parents[1] / "model" / "documented"
KEY = {"OPENAI_API_KEY": "secret", "PATH": ""}


class Found(NamedTuple):
    kind: str
    suite: Suite
    why: str


def found_everywhere(name, project):
    return Found("pytest", PytestSuite(paths=(f"tests/{name}",)), "its folder")


def found_nowhere(name, project):
    return None


def planned(source, find=found_everywhere, environ=KEY, processors=4, **selection):
    """Return the plan of a text, of files or of a document that was read."""
    if isinstance(source, str):
        source = load_layers_text(source)
    elif isinstance(source, Path):
        source = load_layers(source)
    chosen = LayerSelection(**selection)
    return plan_layers(
        source,
        project=Path("/project"),
        selection=chosen,
        find=find,
        environ=environ,
        processors=processors,
        program=("podium",),
    )


def native(layers, more=""):
    return f"kind: layers\nlayers:\n{layers}{more}"


def step(made, name):
    return next(step for step in made.plan.steps if step.name == name)


def needs(made, name):
    return {need.step: need.until for need in step(made, name).needs}


def new(made, source):
    """Return what planning told beyond what reading had told."""
    return [f"{warning.code} {warning.message}" for warning in made.warnings if warning not in source.warnings]
