"""The layers document (`kind: layers`) as pydantic checks it; `podium.plan.layers` makes a plan of it.

Durations are in ns and sizes in bytes, as in `podium.model.documents`. What depends on several keys is checked by
`podium.model.layers_checks`, so that one reading finds all of it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from podium.model.documents import DataSize, Document, Duration, PositiveDuration, Ratio

NAME = r"^[A-Za-z0-9_.-]+$"
"""What a layer, a category or a service may be called."""
LONGEST_NAME = 100
"""Characters of such a name."""
PRIORITIES = {"critical": 1, "high": 2, "medium": 3, "low": 4, "optional": 5}
"""Priorities in words."""

Name = Annotated[str, WithJsonSchema({"type": "string", "pattern": NAME, "maxLength": LONGEST_NAME})]
"""Such a name; `podium.model.layers_checks` checks it, to say more than that a pattern does not fit."""
Names = list[str]
_Word = Literal["critical", "high", "medium", "low", "optional"]
FailFast = Literal["immediate", "category", "critical", "layer", "disabled"]
"""What a failure ends: `immediate`: the first test that does not pass ends its layer, `category`: a category that does
not pass keeps the others of its layer from beginning, `critical`: a category does in which a critical test did not
pass, `layer`: a layer that does not pass holds up those after it, `disabled`: nothing but what needs it."""
LlmMode = Literal["real", "mock", "hybrid"]
ReportFormat = Literal["auto", "junit", "tap", "ctrf", "go", "pytest", "jest", "exit_code"]
Mode = Literal["sequential", "parallel", "hybrid"]
ExecutionMode = Literal["sequential", "waterfall", "waterfall_with_background", "parallel"]


def _form(value: object) -> str:
    if isinstance(value, dict | BaseModel):
        return "long"
    kinds: dict[type, str] = {bool: "switch", int: "count", list: "list"}
    return kinds.get(type(value), "short")


_A = TypeVar("_A")
_B = TypeVar("_B")


def _word_or(form: str) -> Discriminator:
    return Discriminator(lambda value: form if _form(value) == form else "short")


_TextOrMapping = Annotated[Annotated[_A, Tag("short")] | Annotated[_B, Tag("long")], _word_or("long")]
_TextOrSwitch = Annotated[Annotated[_A, Tag("short")] | Annotated[bool, Tag("switch")], _word_or("switch")]
_WordOrCount = Annotated[Annotated[_A, Tag("short")] | Annotated[_B, Tag("count")], _word_or("count")]
_ListOrMapping = Annotated[
    Annotated[_A, Tag("list")] | Annotated[_B, Tag("long")],
    Discriminator(lambda value: "long" if _form(value) == "long" else "list"),
]

Priority: TypeAlias = _WordOrCount[_Word, Annotated[int, Field(ge=1, le=100)]]
Parallel: TypeAlias = _WordOrCount[Literal["auto"], Annotated[int, Field(ge=1, le=1000)]]
FailFastField: TypeAlias = _TextOrSwitch[FailFast]


def _described(description: str, *examples: Any) -> dict[str, Any]:
    return {"description": description, "examples": list(examples)}


def _switch(description: str) -> dict[str, Any]:
    return _described(description, *_TRUE)


_TRUE = (True,)
_ENV: dict[str, Any] = {"LANG": "C"}


class LimitsDocument(Document):
    """What a suite may use, all of its processes together; for a layer, all of its suites that run at one time."""

    memory: DataSize | None = Field(
        None, **_described("More than this ends it; of several suites, the one that uses most.", "2 GB")
    )
    cpu: Ratio | None = Field(None, **_described("Share of all processors; more than this slows it down.", "50 %"))
    processes: Annotated[int, Field(ge=1)] | None = Field(None, **_described("So many processes at once.", 64))


class SuccessDocument(Document):
    """When tests count as passed though some did not; in a category without it every test has to pass."""

    min_pass_rate: Ratio | None = Field(
        None, **_described("Least share of tests that pass; without it any, if `max_failures` is given.", 0.95)
    )
    max_failures: Annotated[int, Field(ge=0)] | None = Field(
        None, **_described("So many may fail; without it any number, if `min_pass_rate` is given.", 5)
    )
    critical: Names = Field(
        [],
        **_described(
            "Markers, or parts of ids, of tests that all have to pass. A word that fits no test is told, and demands "
            "nothing.",
            ["critical", "test_login"],
        ),
    )
    allow_partial: bool = Field(default=False, **_switch("A suite that ended early counts by what it came to."))


class LlmDocument(Document):
    """Which language model the tests use: `TEST_LLM_MODE` and `TEST_LLM_TIMEOUT` tell them."""

    mode: LlmMode = Field("mock", **_described("Without `--real-llm`, a mock is used where it may be.", "real"))
    timeout: PositiveDuration | None = Field(None, **_described("Longest time of one answer.", "60 s"))
    fallback_to_mock: bool = Field(
        default=True, **_switch("Without a key, or without `--real-llm`, a mock will do; else a key is needed.")
    )
    keys: Names = Field(
        [
            "TEST_LLM_API_KEY",
            "TEST_LLM_ENDPOINT",
            "OPENAI_API_KEY",
            "ANTHROPIC_API_KEY",
            "GEMINI_API_KEY",
            "GOOGLE_API_KEY",
        ],
        **_described("Variables one of which has to be set for a real model.", ["OPENAI_API_KEY"]),
    )


class PytestDocument(Document):
    """Tests that pytest runs."""

    paths: Names = Field([], **_described("Files, folders or node ids; without them those of the project.", ["tests"]))
    markers: str = Field("", **_described("Expression of `-m`.", "smoke and not slow"))
    keyword: str = Field("", **_described("Expression of `-k`.", "login"))
    include: Names = Field([], **_described("Patterns of paths of test files; without them all.", ["**/test_*.py"]))
    exclude: Names = Field([], **_described("Patterns of paths of test files left out.", ["**/slow/*"]))
    args: Names = Field([], **_described("More arguments.", ["-p", "no:randomly"]))
    python: str = Field("", **_described("Interpreter; without it the project's.", ".venv/bin/python"))
    workers: Annotated[int, Field(ge=1)] | None = Field(
        None, **_described("Worker processes; without it as many as `parallel` says.", 4)
    )
    fork: bool = Field(default=True, **_switch("Workers may be forked after one collection."))
    cwd: str = Field("", **_described("Working directory, relative to the project.", "backend"))


class ReportDocument(Document):
    """Where a command leaves its results."""

    format: ReportFormat = Field("auto", **_described("Format of the results.", "junit"))
    path: str = Field("", **_described("Files, as a pattern; without it standard output.", "reports/*.xml"))


class FiltersDocument(Document):
    """Which files of a runner that was found are run."""

    include: Names = Field([], **_described("Patterns of paths of test files; without them all.", ["**/test_*.py"]))
    exclude: Names = Field([], **_described("Patterns of paths of test files left out.", ["**/slow/*"]))


class CategoryDocument(Document):
    """Tests of one kind: a name, at most one runner (`pytest`, `command`, `shell`, `run`), and how to go about it."""

    name: Name = Field(**_described("Unique in its layer: letters, digits, `_`, `-` and `.`.", "unit"))
    description: str = Field("", **_described("One line.", "Functions on their own."))
    pytest: PytestDocument | None = Field(None, **_described("Tests that pytest runs.", {"paths": ["tests/unit"]}))
    command: Annotated[Names, Field(min_length=1)] | None = Field(
        None, **_described("Program and arguments; `${shard}` and `${shards}` stand for numbers.", ["npx", "jest"])
    )
    shell: Annotated[str, Field(min_length=1)] | None = Field(
        None, **_described("Line for `/bin/sh`, likewise.", "make check")
    )
    run: Annotated[str, Field(min_length=1)] | None = Field(
        None, **_described("File or folder of Podium scenarios or a workflow.", "scenarios")
    )
    report: ReportDocument | None = Field(
        None, **_described("Results of `command` or `shell`.", {"format": "junit", "path": "report.xml"})
    )
    cwd: str = Field("", **_described("Working directory of a command, relative to the project.", "frontend"))
    exit_codes: list[int] = Field([0], **_described("Exit codes with which results are complete.", [0, 5]))
    shards: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, **_described("Run it in so many parts; `PODIUM_SHARD` and `PODIUM_SHARDS` tell which.", 4)
    )
    filters: FiltersDocument | None = Field(
        None, **_described("Which files are run, if a runner is found.", {"exclude": ["**/slow/*"]})
    )
    priority: Priority = Field(5, **_described("A number, 1 first, or critical, high, medium, low, optional.", 1))
    timeout: PositiveDuration | None = Field(None, **_described("Longest duration.", "60 s"))
    expected: PositiveDuration | None = Field(None, **_described("Usual duration, for estimates.", "20 s"))
    test_timeout: PositiveDuration | None = Field(None, **_described("Longest duration of one test.", "10 s"))
    parallel: Parallel | None = Field(None, **_described("Worker processes, or `auto`; without it 1.", 4))
    exclusive: bool = Field(default=False, **_switch("Nothing else runs beside it."))
    retries: Annotated[int, Field(ge=0, le=100)] | None = Field(
        None, **_described("How often a test that did not pass is tried again.", 2)
    )
    needs: Names = Field([], **_described("Categories that come first; it is left out if they do not pass.", ["unit"]))
    conflicts: Names = Field([], **_described("Categories that never run beside it.", ["performance"]))
    tags: Names = Field([], **_described("What a person may select by.", ["db"]))
    services: Names = Field([], **_described("Services it requires.", ["postgresql"]))
    programs: Names = Field([], **_described("Programs that have to be there.", ["node"]))
    min_memory: DataSize | None = Field(None, **_described("Memory that has to be free for it.", "512 MB"))
    limits: LimitsDocument | None = Field(None, **_described("What it may use.", {"memory": "1 GB"}))
    success: SuccessDocument | None = Field(
        None, **_described("When it, or each of its shards, counts as passed.", {"max_failures": 2})
    )
    llm: LlmDocument | None = Field(None, **_described("Which language model its tests use.", {"mode": "real"}))
    real_services: bool | None = Field(None, **_switch("Its services are never replaced by mocks."))
    env: dict[str, str] = Field({}, **_described("Variables added to its environment.", _ENV))


class LayerSettings(Document):
    """What a layer may say, apart from its categories."""

    title: str = Field("", **_described("What a person calls it.", "Fast feedback"))
    description: str = Field("", **_described("One line.", "What a developer waits for."))
    budget: PositiveDuration | None = Field(None, **_described("Longest duration of all of it.", "2 min"))
    mode: Mode = Field(
        "parallel",
        **_described("How categories follow: by priority one by one, at once, or by priority in groups.", "sequential"),
    )
    parallel: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, **_described("So many worker processes at once; without it as many as `execution.parallel`.", 4)
    )
    needs: Names = Field([], **_described("Layers that have to pass first.", ["fast_feedback"]))
    conflicts: Names = Field([], **_described("Layers or categories that never run beside it.", ["load"]))
    priority: Priority = Field(3, **_described("Among layers that may start: 1 first.", 1))
    order: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, **_described("Place in the order of layers; it counts before `priority`.", 1)
    )
    fail_fast: FailFastField | None = Field(
        None,
        **_described(
            "`immediate`, `category`, `critical`, `layer` (the default) or `disabled`; `true`: category, "
            "`false`: disabled.",
            "category",
        ),
    )
    background: bool = Field(default=False, **_switch("It runs beside the others and nobody waits for it."))
    services: Names = Field([], **_described("Services that all its categories require.", ["postgresql"]))
    limits: LimitsDocument | None = Field(None, **_described("What its suites may use together.", {"memory": "2 GB"}))
    success: SuccessDocument | None = Field(
        None,
        **_described(
            "When it counts as passed, all its tests together; without it, when its categories do.",
            {"min_pass_rate": 0.95},
        ),
    )
    llm: LlmDocument | None = Field(None, **_described("Which language model its tests use.", {"mode": "mock"}))
    env: dict[str, str] = Field({}, **_described("Variables added to the environment.", _ENV))


_CATEGORIES: list[Any] = [{"name": "unit", "pytest": {"paths": ["tests/unit"]}}]


class LayerOverrides(LayerSettings):
    """What is different in one environment; mappings are merged, lists are replaced."""

    categories: Annotated[list[CategoryDocument], Field(min_length=1)] | None = Field(
        None, **_described("Instead of those of the layer.", _CATEGORIES)
    )


class LayerDocument(LayerSettings):
    """A layer: categories of tests with a budget and rules of their own."""

    categories: list[CategoryDocument] = Field(
        min_length=1, **_described("What is run; each by its runner, or by the one that is found.", _CATEGORIES)
    )
    on_request: bool = Field(default=False, **_switch("It runs only if it, or a category of it, is asked for by name."))
    environments: dict[str, LayerOverrides] = Field(
        {}, **_described("Environment to what is different there.", {"staging": {"budget": "3 min"}})
    )


class HealthDocument(Document):
    """How to find out whether a service is up: one of `tcp`, `http`, `command`, `container`."""

    tcp: str | None = Field(None, **_described("`host:port` that accepts a connection.", "localhost:${port}"))
    http: str | None = Field(None, **_described("URL that answers.", "http://localhost:${port}/health"))
    command: Annotated[Names, Field(min_length=1)] | None = Field(
        None, **_described("Program that exits with 0.", ["pg_isready", "-p", "${port}"])
    )
    container: bool = Field(default=False, **_switch("The container's own health check."))
    interval: PositiveDuration = Field(200_000_000, **_described("Between two looks.", "1 s"))


class ComposeDocument(Document):
    """A compose file."""

    file: str = Field(min_length=1, **_described("The file.", "compose.yaml"))
    service: str = Field("", **_described("Which service of it; without it all.", "db"))


HealthField: TypeAlias = _TextOrMapping[Annotated[str, Field(min_length=1)], HealthDocument]
ComposeField: TypeAlias = _TextOrMapping[Annotated[str, Field(min_length=1)], ComposeDocument]


class ServiceDocument(Document):
    """Something tests rely on: exactly one of `command`, `image`, `compose`, `running`.

    In texts, `${port}` stands for the first port, `${port.NAME}` for a named one, `${folder}` for a folder of its own.
    """

    command: Annotated[Names, Field(min_length=1)] | None = Field(
        None, **_described("Program and arguments.", ["redis-server", "--port", "${port}"])
    )
    image: Annotated[str, Field(min_length=1)] | None = Field(None, **_described("Image of a container.", "redis:7"))
    compose: ComposeField | None = Field(None, **_described("Compose file, or file and service.", "compose.yaml"))
    running: bool | None = Field(None, **_switch("It is running already; only its health is looked at."))
    args: Names = Field([], **_described("Arguments after the image.", ["--save", ""]))
    ports: dict[str, Annotated[int, Field(ge=0, le=65535)]] = Field(
        {},
        **_described(
            "Name to the port inside the container, or that it has already; for a process 0.", {"redis": 6379}
        ),
    )
    env: dict[str, str] = Field({}, **_described("Variables of the service.", {"POSTGRES_PASSWORD": "test"}))
    exports: dict[str, str] = Field(
        {}, **_described("Variables for what requires it.", {"REDIS_URL": "redis://localhost:${port}"})
    )
    mounts: dict[str, str] = Field({}, **_described("Host path to path in the container.", {"./init": "/init"}))
    health: HealthField | None = Field(
        None, **_described("How to find out whether it is up: `host:port`, a URL, or more.", "localhost:${port}")
    )
    startup_timeout: PositiveDuration | None = Field(
        None, **_described("Longest time until it is up; without it that of `defaults`.", "30 s")
    )
    needs: Names = Field([], **_described("Services that are up first.", ["postgresql"]))
    mocks: dict[str, str] | None = Field(
        None, **_described("Variables instead of the service, without `--real-services`.", {"REDIS_URL": "fake://"})
    )
    stop_signal: str = Field("SIGTERM", **_described("What asks it to end.", "SIGINT"))
    cwd: str = Field("", **_described("Working directory of a process.", "backend"))
    memory: DataSize | None = Field(None, **_described("What it may use.", "1 GB"))


class EnvironmentDocument(Document):
    """What is different in one environment, for all layers."""

    description: str = Field("", **_described("One line.", "Shared servers."))
    env: dict[str, str] = Field({}, **_described("Variables added to the environment of all suites.", _ENV))
    real_services: bool | None = Field(None, **_switch("As `--real-services`."))
    real_llm: bool | None = Field(None, **_switch("As `--real-llm`."))
    services: dict[str, ServiceDocument] = Field(
        {}, **_described("Service to what is different.", {"postgresql": {"running": True}})
    )


class ModeDocument(Document):
    """A selection of layers with a name."""

    layers: Annotated[Names, Field(min_length=1)] = Field(**_described("Layers, in order.", ["fast_feedback"]))
    budget: PositiveDuration | None = Field(None, **_described("Longest duration of all of it.", "5 min"))
    with_needs: bool = Field(default=True, **_switch("What the layers need is run, too."))


ModeField: TypeAlias = _ListOrMapping[Annotated[Names, Field(min_length=1)], ModeDocument]


class EarlyEndDocument(Document):
    """When a category has come to so little that the rest of its tests would say nothing more."""

    consecutive: Annotated[int, Field(ge=0)] = Field(
        0, **_described("So many tests in a row did not pass; 0: no limit.", 5)
    )
    rate: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, **_described("More than this share did not pass; without it no limit.", 0.3)
    )
    sample: Annotated[int, Field(ge=1)] = Field(
        10, **_described("How many tests must have run before `rate` counts.", 20)
    )
    critical: Names = Field(
        [], **_described("Markers, or parts of ids, of tests one of which did not pass.", ["critical"])
    )


class DefaultsDocument(Document):
    """What categories, layers and services have that do not say it."""

    retries: Annotated[int, Field(ge=0, le=100)] = Field(
        0, **_described("How often a test that did not pass is tried again.", 1)
    )
    timeout: PositiveDuration | None = Field(None, **_described("Longest duration of a category.", "10 min"))
    test_timeout: PositiveDuration | None = Field(None, **_described("Longest duration of one test.", "60 s"))
    flaky: Literal["passed", "failed"] = Field("passed", **_described("What flaky tests count as.", "failed"))
    fail_fast: FailFastField | None = Field(None, **_described("Of layers that do not say it.", "category"))
    max_failures: Annotated[int, Field(ge=0)] = Field(
        0, **_described("A category ends after so many tests that did not pass; 0: no limit.", 5)
    )
    early_end: EarlyEndDocument | None = Field(
        None, **_described("When else a category ends early.", {"consecutive": 5})
    )
    startup_timeout: PositiveDuration = Field(
        30_000_000_000, **_described("Longest time until a service is up.", "1 min")
    )
    real_services: bool = Field(default=False, **_switch("As `--real-services`."))
    real_llm: bool = Field(default=False, **_switch("As `--real-llm`."))


class ExecutionDocument(Document):
    """How layers follow each other, and what all of them share."""

    mode: ExecutionMode = Field(
        "parallel",
        **_described("`parallel`: as soon as their needs have passed; else one after another.", "waterfall"),
    )
    budget: PositiveDuration | None = Field(None, **_described("Longest duration of a run.", "90 min"))
    parallel: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, **_described("So many worker processes at once; without it one for each processor.", 8)
    )
    memory: DataSize | None = Field(None, **_described("What `min_memory` of suites may come to together.", "6 GB"))
    cpu: Ratio | None = Field(None, **_described("Most of all processors that a suite may use.", "90 %"))
    delay: Duration = Field(0, **_described("Pause before a layer that follows another.", "5 s"))
    background: bool = Field(default=True, **_switch("Background layers are run at all."))
    max_background: Annotated[int, Field(ge=1)] | None = Field(
        None, **_described("So many background layers at once.", 1)
    )


class QuarantineDocument(Document):
    """Tests that are known not to pass; they are run and shown, and do not count until the day is over."""

    test: str = Field(min_length=1, **_described("Pattern of ids.", "tests/test_mail.py::*"))
    until: str = Field(**_described("Last day.", "2030-12-31"))
    reason: str = Field("", **_described("Why.", "mail server moves"))


class LayersDocument(Document):
    """Layers of tests, the services they rely on, and how they are run."""

    model_config = ConfigDict(title="Podium layers", extra="forbid", frozen=True, strict=True)

    kind: Literal["layers"] = Field(**_described("What the document is.", "layers"))
    name: str = Field("layers", min_length=1, max_length=200, **_described("What a person calls it.", "shop"))
    description: str = Field("", **_described("One paragraph.", "Tests of the shop."))
    layers: dict[str, LayerDocument] = Field(
        min_length=1, **_described("Name to layer.", {"fast": {"categories": _CATEGORIES}})
    )
    services: dict[str, ServiceDocument] = Field(
        {}, **_described("Name to service.", {"redis": {"image": "redis:7", "ports": {"redis": 6379}}})
    )
    environments: dict[str, EnvironmentDocument] = Field(
        {}, **_described("Environment to what is different there.", {"staging": {"real_services": True}})
    )
    modes: dict[str, ModeField] = Field({}, **_described("Name to layers.", {"commit": ["fast"]}))
    defaults: DefaultsDocument = Field(DefaultsDocument(), **_described("What is not said elsewhere.", {"retries": 1}))  # pyright: ignore[reportCallIssue]
    execution: ExecutionDocument = Field(
        ExecutionDocument(),  # pyright: ignore[reportCallIssue]
        **_described("How layers follow each other.", {"mode": "waterfall"}),
    )
    quarantine: list[QuarantineDocument] = Field(
        [], **_described("Tests that do not count for a while.", [{"test": "*::test_mail", "until": "2030-12-31"}])
    )
