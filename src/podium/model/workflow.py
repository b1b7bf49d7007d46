"""The workflow document (`kind: workflow`) as pydantic checks it; `podium.plan.workflow` makes a plan of it.

Durations are in ns, as in `podium.model.documents`. What depends on several keys or on other steps is not checked
here, so that one reading finds all of it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from podium.model.documents import Document, Duration, PositiveDuration

STEP_NAME = r"^[A-Za-z0-9_.-]+$"
"""What a step may be called."""
LONGEST_NAME = 200
"""Characters of a step's name."""

StepName = Annotated[str, WithJsonSchema({"type": "string", "pattern": STEP_NAME, "maxLength": LONGEST_NAME})]
"""Name of a step; `podium.plan.workflow` checks it, to say more than that a pattern does not fit."""
InputType = Literal["string", "integer", "number", "boolean", "list", "mapping", "any"]
Ending = Literal["failed", "errored", "timed_out"]
"""Outcome of an attempt that may be tried again."""
Resources = dict[str, Annotated[float, Field(gt=0)]]


def _form(value: object) -> str:
    """Tell the forms of a key apart: a mapping, a list, a switch, a whole number, or something short."""
    if isinstance(value, dict | Document):
        return "long"
    kinds: dict[type, str] = {bool: "switch", int: "count", list: "list"}
    return kinds.get(type(value), "short")


def _short_or_long(value: object) -> str:
    return "long" if _form(value) == "long" else "short"


def _one_or_more(value: object) -> str:
    return "list" if _form(value) == "list" else "short"


_Short = TypeVar("_Short")
_Long = TypeVar("_Long")
_Two = Annotated[Annotated[_Short, Tag("short")] | Annotated[_Long, Tag("long")], Discriminator(_short_or_long)]
"""A key that has a short form, a text, and a long one, a mapping."""
_Some = Annotated[Annotated[_Short, Tag("short")] | Annotated[list[_Short], Tag("list")], Discriminator(_one_or_more)]
"""One, or a list of them."""
OneOrMoreTexts: TypeAlias = _Some[str]
OneOrMoreEndings: TypeAlias = _Some[Ending]
OneOrMoreNumbers: TypeAlias = _Some[int]


def _described(description: str, *examples: Any) -> dict[str, Any]:
    return {"description": description, "examples": list(examples)}


def _switch(description: str) -> dict[str, Any]:
    return _described(description, *_TRUE)


_TRUE = (True,)
_STEPS: list[Any] = [{"name": "test", "shell": "make test"}]


class InputDocument(Document):
    """What a run of the workflow is given."""

    type: InputType = Field("any", **_described("What it has to be.", "number"))
    default: Any = Field(None, **_described("Its value if none is given; without it, it must be given.", 10))
    description: str = Field("", **_described("What a person should know about it.", "Amount in cents."))


class GroupDocument(Document):
    """Pace of steps that must not start all at once."""

    stagger: Duration = Field(0, **_described("Least time from one start to the next.", "2 s"))
    starts: int = Field(0, ge=0, **_described("So many starts at most within `per`; 0: no limit.", 10))
    per: PositiveDuration = Field(1_000_000_000, **_described("Window of `starts`.", "1 min"))


class _BackoffDocument(Document):
    """How long to wait before another attempt."""

    initial: Duration | None = Field(None, **_described("First wait; without it that of the policy.", "1 s"))
    maximum: Duration | None = Field(None, **_described("Longest wait; without it that of the policy.", "1 min"))
    exponent: Annotated[float, Field(ge=1, le=100)] | None = Field(
        None, **_described("Growth from one wait to the next; without it that of the policy.", 2)
    )
    jitter: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, **_described("Part of a wait that is drawn: 0 none, 1 all of it.", 0.1)
    )


class RetryRuleDocument(_BackoffDocument):
    """What to do about failures of one kind; everything that is given has to fit."""

    attempts: int = Field(1, ge=1, **_described("So many attempts may end this way; 1: it is final at once.", 5))
    errors: OneOrMoreTexts = Field(
        [], **_described("Classes of errors, such as `rate_limit`, or types.", "rate_limit", ["timeout", "OSError"])
    )
    outcomes: OneOrMoreEndings = Field([], **_described("How the attempt ended.", "timed_out"))
    exit_codes: OneOrMoreNumbers = Field([], **_described("Exit codes of the command.", [75]))
    pattern: str = Field("", **_described("Regular expression found in the message or the details.", "try again"))
    when: str = Field("", **_described("Expression over `error`.", 'error.message.contains("busy")'))


class RetryDocument(_BackoffDocument):
    """When and how a step is tried again."""

    attempts: Annotated[int, Field(ge=1)] | None = Field(
        None, **_described("Attempts in all; without it those of the policy, or 3 if it has only one.", 3)
    )
    outcomes: OneOrMoreEndings | None = Field(
        None, **_described("What is tried again if no rule fits; without it all of them.", ["errored", "timed_out"])
    )
    budget: PositiveDuration | None = Field(
        None, **_described("How long after the first attempt began another one may begin.", "10 min")
    )
    rules: list[RetryRuleDocument] = Field(
        [],
        **_described(
            "The first that fits decides; they come before those of the preset.",
            [{"errors": "rate_limit", "attempts": 3}],
        ),
    )


RetryField: TypeAlias = Annotated[
    Annotated[Annotated[int, Field(ge=1)], Tag("count")]
    | Annotated[bool, Tag("switch")]
    | Annotated[RetryDocument, Tag("long")],
    Discriminator(lambda value: "count" if _form(value) in {"short", "list"} else _form(value)),
]


class TimeoutDocument(Document):
    """Limits of a step."""

    attempt: PositiveDuration | None = Field(None, **_described("Longest duration of one attempt.", "60 s"))
    extend_to: PositiveDuration | None = Field(
        None, **_described("An attempt may go on up to this while it shows signs of life.", "5 min")
    )
    active_within: PositiveDuration | None = Field(
        None, **_described("How recent a sign of life is for `extend_to`.", "10 s")
    )
    silence: PositiveDuration | None = Field(None, **_described("Longest time without a sign of life.", "30 s"))
    queue: PositiveDuration | None = Field(
        None, **_described("Longest time from being ready to the first attempt.", "1 min")
    )
    total: PositiveDuration | None = Field(
        None, **_described("Longest time from being ready to the outcome, with all attempts.", "10 min")
    )


TimeoutField: TypeAlias = _Two[PositiveDuration, TimeoutDocument]


class PolicyDocument(Document):
    """Limits and retries, beginning with a preset."""

    preset: str | None = Field(None, **_described("Preset to begin with; without it the workflow's policy.", "patient"))
    timeout: TimeoutField | None = Field(None, **_described("Limit of one attempt, or several limits.", "5 s"))
    grace: Duration | None = Field(None, **_described("From being asked to stop to being killed.", "5 s"))
    retry: RetryField | None = Field(None, **_described("How often it is tried: attempts, `true` for 3, or more.", 3))
    losses: Annotated[int, Field(ge=1)] | None = Field(
        None, **_described("So many lost workers make the step errored.", 3)
    )
    cache: bool | None = Field(None, **_switch("Take the result of an identical step that passed before."))


PolicyField: TypeAlias = _Two[str, PolicyDocument]


class BreakerDocument(Document):
    """When a target that keeps failing is left alone for a while."""

    target: str = Field(min_length=1, **_described("What is protected.", "shop"))
    failures: int = Field(2, ge=1, **_described("So many failures within the window open the circuit.", 5))
    window: PositiveDuration = Field(300_000_000_000, **_described("How long a failure counts.", "5 min"))
    reset: PositiveDuration = Field(120_000_000_000, **_described("How long it is left alone.", "2 min"))


BreakerField: TypeAlias = _Two[Annotated[str, Field(min_length=1)], BreakerDocument]


class HttpDocument(Document):
    """A request over HTTP."""

    url: str = Field(min_length=1, **_described("Where it goes.", "https://shop.example/orders/${inputs.id}"))
    method: str = Field("GET", min_length=1, **_described("Method.", "POST"))
    headers: dict[str, str] = Field({}, **_described("Name to value.", {"Accept": "application/json"}))
    json_: Any = Field(None, alias="json", **_described("JSON value sent as body.", {"sku": "${inputs.sku}"}))
    body: str | None = Field(None, **_described("Text sent as body.", "${steps.page.output}"))
    query: dict[str, Any] = Field({}, **_described("Added to the query of the URL.", {"limit": 10}))
    expect: OneOrMoreNumbers = Field([], **_described("Status codes that pass; without them 200 to 299.", [200, 404]))
    output: Literal["auto", "json", "text", "none"] = Field("auto", **_described("What is read of the answer.", "json"))
    follow_redirects: bool = Field(default=False, **_switch("Go where an answer points."))


HttpField: TypeAlias = _Two[Annotated[str, Field(min_length=1)], HttpDocument]


class AgentDocument(Document):
    """A prompt for an agent, a program, or with `endpoint` for a language model."""

    prompt: str = Field(min_length=1, **_described("What is asked.", "Summarise ${steps.fetch.output}"))
    agent: str | None = Field(None, **_described("Which of the tool's agents; without it the usual one.", "reviewer"))
    tool: str | None = Field(None, **_described("Program; without it the configured one.", "claude"))
    args: list[str] = Field([], **_described("More arguments of the tool.", ["--verbose"]))
    model: str | None = Field(None, **_described("Name of the model, with `endpoint`.", "small"))
    endpoint: str | None = Field(
        None, **_described("URL up to and without `/chat/completions`.", "http://localhost:8000/v1")
    )
    system: str | None = Field(None, **_described("What the model is told beforehand, with `endpoint`.", "Be brief."))
    api_key_env: str | None = Field(
        None, **_described("Environment variable with the key, with `endpoint`.", "LLM_API_KEY")
    )
    options: dict[str, Any] = Field({}, **_described("More of the request, with `endpoint`.", {"temperature": 0}))


class WaitDocument(Document):
    """What a step waits for: exactly one of these."""

    for_: PositiveDuration | None = Field(None, alias="for", **_described("So long.", "5 s"))
    signal: Annotated[str, Field(min_length=1)] | None = Field(None, **_described("A signal of this name.", "paid"))
    approval: Annotated[str, Field(min_length=1)] | None = Field(
        None, **_described("Somebody's answer to this question.", "Ship it?")
    )


WaitField: TypeAlias = _Two[PositiveDuration, WaitDocument]


class SimpleWork(Document):
    """Work that is done by one executor: exactly one of `python`, `command`, `shell`, `http`, `agent`, `value`."""

    python: str | None = Field(None, **_described("Function `module:name`, called with `with`.", "shop:reserve"))
    command: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, **_described("Program and arguments.", ["ship", "${inputs.sku}"])
    )
    shell: Annotated[str, Field(min_length=1)] | None = Field(
        None, **_described("Line for `/bin/sh`; `$${` stands for `${`.", "make all")
    )
    http: HttpField | None = Field(None, **_described("A request, or its URL.", "https://shop.example/health"))
    agent: AgentDocument | None = Field(
        None, **_described("A prompt for an agent or a language model.", {"prompt": "Summarise ${inputs.text}"})
    )
    value: Any = Field(None, **_described("A JSON value, which becomes the output.", {"sku": "${inputs.sku}"}))
    with_: dict[str, Any] | None = Field(
        None, alias="with", **_described("Keyword arguments of `python`, inputs of `workflow`.", {"sku": "A1"})
    )
    env: dict[str, str] | None = Field(
        None, **_described("Variables added to the environment of a command.", {"LANG": "C"})
    )
    cwd: str | None = Field(None, **_described("Working directory of a command.", "/srv/shop"))
    stdin: str | None = Field(None, **_described("Text for the standard input of a command.", "${steps.list.output}"))
    output: Literal["text", "json", "lines", "none"] | None = Field(
        None, **_described("What becomes of a command's standard output; without it text.", "json")
    )
    exit_codes: OneOrMoreNumbers | None = Field(
        None, **_described("Exit codes of a command that pass; without it 0.", [0, 1])
    )
    stop_on: list[str] | None = Field(
        None, **_described("Regular expressions; a line of standard error that has one ends a command.", ["fatal"])
    )


class FallbackDocument(SimpleWork):
    """What is done instead when the step's policy has given up."""

    name: str | None = Field(None, min_length=1, **_described("What a person calls it.", "by hand"))
    retry: RetryField | None = Field(None, **_described("How often it is tried; without it once.", 2))
    breaker: BreakerField | None = Field(None, **_described("Protects its target.", "backup"))


class CompensateDocument(SimpleWork):
    """What undoes a step."""

    timeout: TimeoutField | None = Field(None, **_described("Limit of one attempt, or several limits.", "30 s"))
    retry: RetryField | None = Field(None, **_described("How often it is tried; without it as the policy says.", 5))
    on: Literal["passed", "attempted"] = Field(
        "passed", **_described("`passed`: if the step passed; `attempted`: if it may have had an effect.", "attempted")
    )


CompensateField: TypeAlias = _Two[str, CompensateDocument]


class NeedDocument(Document):
    """A step that comes first."""

    step: str = Field(**_described("Its name.", "reserve"))
    until: Literal["passed", "done"] = Field(
        "passed", **_described("`done`: whatever it came to; `passed`: skip this step unless it passed.", "done")
    )


NeedField: TypeAlias = _Two[str, NeedDocument]
KINDS = ("python", "command", "shell", "http", "agent", "wait", "value", "parallel", "if", "workflow")
"""Keys that say what a step does, one of which every step has."""


class StepDocument(SimpleWork):
    """One step: a name, exactly one kind of work, and how to go about it."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [kind]} for kind in KINDS]})

    name: StepName = Field(**_described("Unique: letters, digits, `_`, `-` and `.`.", "reserve"))
    wait: WaitField | None = Field(None, **_described("A duration, a signal or an approval.", "5 s"))
    parallel: list[StepDocument] | None = Field(None, **_described("Steps that run side by side.", _STEPS))
    if_: str | None = Field(None, alias="if", **_described("Expression that is true or false.", "inputs.amount > 100"))
    then: list[StepDocument] | None = Field(None, **_described("Steps in sequence if it is true.", _STEPS))
    else_: list[StepDocument] | None = Field(
        None, alias="else", **_described("Steps in sequence if it is false.", _STEPS)
    )
    workflow: Annotated[str, Field(min_length=1)] | None = Field(
        None, **_described("Another workflow, relative to this file; `with` are its inputs.", "child.yaml")
    )
    needs: list[NeedField] | None = Field(
        None, **_described("Steps that come first.", ["reserve", {"step": "log", "until": "done"}])
    )
    trigger: Literal["passed", "done", "one_passed", "one_failed", "all_failed", "none_failed"] | None = Field(
        None, **_described("What the needs must have come to; without it `passed`.", "one_failed")
    )
    when: str | None = Field(None, **_described("Expression; if it is false the step is left out.", "inputs.gift"))
    timeout: TimeoutField | None = Field(None, **_described("Limit of one attempt, or several limits.", "5 s"))
    grace: Duration | None = Field(None, **_described("From being asked to stop to being killed.", "5 s"))
    retry: RetryField | None = Field(None, **_described("How often it is tried: attempts, `true` for 3, or more.", 3))
    policy: PolicyField | None = Field(None, **_described("Name of a preset, or limits and retries.", "patient"))
    breaker: BreakerField | None = Field(None, **_described("Protects the target of the work.", "shop"))
    fallback: list[FallbackDocument] | None = Field(
        None, **_described("What is done, in order, when the policy has given up.", [{"value": None}])
    )
    compensate: CompensateField | None = Field(
        None,
        **_described(
            "What undoes it if the run does not pass; a function's name alone: called with the step's `with`.",
            "shop:release",
        ),
    )
    for_each: Any = Field(
        None, **_described("A list, or its expression: once for each `item`, at `index`.", "${steps.list.output}")
    )
    at_once: Annotated[int, Field(ge=1)] | None = Field(
        None, **_described("So many items at once; without it no limit but the slots.", 4)
    )
    group: str | None = Field(None, **_described("Group whose pace it keeps.", "llm"))
    resources: Resources | None = Field(None, **_described("Name to amount taken while it runs.", {"gpu": 1}))
    allow_failure: bool = Field(default=False, **_switch("A failure is shown and changes nothing else."))
    cache: bool | None = Field(None, **_switch("Take the result of an identical step that passed before."))
    expected: PositiveDuration | None = Field(
        None, **_described("Expected duration, for ordering; without it 1 s.", "3 s")
    )
    labels: dict[str, str] = Field({}, **_described("What a person may select or group by.", {"team": "a"}))


StepDocument.model_rebuild()
InputField: TypeAlias = _Two[InputType, InputDocument]


class WorkflowDocument(Document):
    """A workflow: inputs, steps and what undoes them."""

    model_config = ConfigDict(title="Podium workflow", extra="forbid", frozen=True, strict=True)

    kind: Literal["workflow"] = Field(**_described("What the document is.", "workflow"))
    name: str = Field(min_length=1, max_length=LONGEST_NAME, **_described("What a person calls it.", "order"))
    description: str = Field("", **_described("One paragraph.", "Takes an order."))
    inputs: dict[str, InputField] = Field({}, **_described("Name to type or more.", {"sku": "string"}))
    outputs: dict[str, str] = Field({}, **_described("Name to one `${…}`.", {"id": "${steps.charge.output.id}"}))
    slots: int = Field(4, ge=1, **_described("How many steps run at once.", 8))
    deadline: PositiveDuration | None = Field(None, **_described("Longest duration of a run.", "10 min"))
    order: Literal["graph", "sequence"] = Field(
        "graph", **_described("`sequence`: a step without `needs` needs the step written before it.", "sequence")
    )
    strict_waves: bool = Field(default=False, **_switch("Start a wave of steps only when the one before is done."))
    capacities: Resources = Field({}, **_described("Name of a resource to how much of it there is.", {"gpu": 2}))
    groups: dict[str, GroupDocument] = Field({}, **_described("Name to pace.", {"llm": {"stagger": "2 s"}}))
    policy: PolicyField | None = Field(
        None, **_described("Default for all steps: name of a preset, or limits and retries.", "patient")
    )
    setup: list[StepDocument] = Field([], **_described("Steps in sequence, before all others.", _STEPS))
    teardown: list[StepDocument] = Field(
        [], **_described("Steps in sequence, after all others, whatever happened.", _STEPS)
    )
    steps: list[StepDocument] = Field(**_described("What is to be done.", _STEPS))
