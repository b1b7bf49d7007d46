"""From files and folders to the plan of a campaign: one step per case, a case per file, swept value and seed."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from podium.errors import Diagnostic, DocumentError, NothingSelectedError, UsageError
from podium.events import Outcome
from podium.model.loading import Loaded, load_scenario
from podium.model.scenario import Scenario
from podium.plan.graph import Plan, Step
from podium.plan.policy import Policy, Retry
from podium.protocols import Work
from podium.storable import file_name

_SUFFIXES = (".yaml", ".yml")
_SECONDS_PER_NODE_STEP = 4e-6


class CampaignOptions(msgspec.Struct, frozen=True):
    """What the caller asks for.

    Attributes:
        parallel: How many cases run at once, at least 1.
        speed: Simulated seconds per wall second; None: as fast as possible.
        seed: Each case draws its seed from this one and its own index.
        seeds: Every case runs once with each of these.
        assignments: Path in the document to value, for all cases.
        sweeps: Path in the document to values; every combination is a case.
        timeout: Longest duration of one case [s].
        deadline: Longest duration of the whole campaign [s].
        attempts: How often a case that errors or times out is tried.
        memory_bytes: Memory one case may use [byte].
    """

    parallel: int = 1
    speed: float | None = None
    seed: int | None = None
    seeds: tuple[int, ...] = ()
    assignments: dict[str, str] = {}
    sweeps: dict[str, tuple[str, ...]] = {}
    timeout: float | None = None
    deadline: float | None = None
    attempts: int = 1
    memory_bytes: int | None = None


class Campaign(msgspec.Struct, frozen=True):
    """A plan, and what was found while it was made.

    Attributes:
        plan: One step per case.
        invalid: File to its errors; each such file is one errored case of the plan.
        warnings: About files that are valid.
    """

    plan: Plan
    invalid: dict[str, DocumentError]
    warnings: tuple[Diagnostic, ...]


def discover(paths: Sequence[str | Path]) -> list[Path]:
    """Return the scenario files among and below some paths: folders recursively in order of name, hidden ones left out.

    Args:
        paths: Files, taken whatever their name, and folders, searched for `.yaml` and `.yml`.

    Raises:
        UsageError: A path does not exist (U430).
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        if path.is_dir():
            for file in _below(path):
                found.setdefault(file.resolve(), file)
        elif path.exists():
            found.setdefault(path.resolve(), path)
        else:
            raise UsageError(f"there is no file or folder `{path}`", code="U430", hint="check the path")
    return list(found.values())


def plan_campaign(paths: Sequence[str | Path], options: CampaignOptions) -> Campaign:
    """Return the plan of a campaign.

    A case is named by its file's path below the folder all files share, with what was swept in brackets, so two files
    of one name stay apart. A file that is no valid scenario becomes a step that errors with its diagnostics.

    Raises:
        NothingSelectedError: There are no files (U404).
        UsageError: A path does not exist (U430), or an assignment leads nowhere (U421).
        PlanError: `parallel` is below 1 (P204).
    """
    files = discover(paths)
    if not files:
        places = ", ".join(f"`{path}`" for path in paths)
        hint = "`podium init` writes a first one"
        raise NothingSelectedError(f"there are no scenario files (.yaml, .yml) in {places}", hint=hint)
    base = _base(paths, files)
    steps: list[Step] = []
    invalid: dict[str, DocumentError] = {}
    warnings: list[Diagnostic] = []
    for file in files:
        name = file_name(Path(os.path.relpath(file, base)).as_posix())
        try:
            variants = _variants(file, options)
        except DocumentError as error:
            invalid[str(file)] = error
            steps.append(_refused(name, file, error))
            continue
        warnings.extend(finding for _, loaded in variants[:1] for finding in loaded.warnings)
        for swept, loaded in variants:
            for label, scenario in _seeded(loaded, swept, options, len(steps)):
                steps.append(_case(name + label, file, scenario, swept, options))
    plan = Plan.of(
        _title(paths, base),
        steps,
        work="campaign",
        slots=options.parallel,
        deadline=options.deadline,
        options=_recorded(paths, options),
    )
    return Campaign(plan, invalid, tuple(warnings))


def parse_sweep(text: str) -> tuple[str, tuple[str, ...]]:
    """Split `key=a,b,c`.

    Raises:
        UsageError: It is not of this form, or a value stands twice (U422).
    """
    key, equals, values = text.partition("=")
    parts = tuple(value.strip() for value in values.split(","))
    if not equals or not key.strip() or "" in parts or len(set(parts)) != len(parts):
        raise UsageError(
            f"`{text}` is no sweep",
            code="U422",
            hint="write key=a,b,c with different values, such as recovery=none,safe_mode",
        )
    return key.strip(), parts


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of `A..B`, both included, or of a list `1,5,9`.

    Raises:
        UsageError: It is not of this form, a seed is negative, or there are more than 100,000 (U423).
    """
    first, dots, last = text.partition("..")
    try:
        if dots:
            seeds = range(max(int(first), -1), min(int(last), _LARGEST_SEED // 2) + 1)  # len() counts no further
        else:
            seeds = tuple(dict.fromkeys(map(int, text.split(","))))
    except ValueError:
        seeds = ()
    if not seeds:
        raise UsageError(f"`{text}` gives no seeds", code="U423", hint="write A..B, such as 1..20, or a list 1,5,9")
    if len(seeds) > _MOST_SEEDS:
        raise UsageError(f"`{text}` is more than {_MOST_SEEDS:,} seeds", code="U423", hint="run it in parts")
    if not 0 <= min(seeds) <= max(seeds) < _LARGEST_SEED:
        raise UsageError(f"seeds are 0 or more and below 2^63, not `{text}`", code="U423")
    return tuple(seeds)


_LARGEST_SEED = 2**63
_MOST_SEEDS = 100_000


def case_seed(seed: int, index: int) -> int:
    """Return the seed of a case: drawn from the campaign's by the case's index, whoever runs it and when."""
    return int.from_bytes(blake2b(f"{seed}\x1f{index}".encode(), digest_size=7).digest(), "big")


def _below(folder: Path) -> list[Path]:
    files: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files.extend(Path(place) / name for name in names if name.endswith(_SUFFIXES) and not name.startswith("."))
    return sorted(files)


def _unreadable(error: OSError) -> NoReturn:
    text = f"the folder `{error.filename}` cannot be read: {error.strerror}"
    raise UsageError(text, code="U430", hint="check its permissions, or name other folders") from error


def _base(paths: Sequence[str | Path], files: Sequence[Path]) -> Path:
    folders = [Path(path) if Path(path).is_dir() else Path(path).parent for path in paths]
    places = [str(path.absolute()) for path in (*folders, *(file.parent for file in files))]
    return Path(os.path.commonpath(places))


def _title(paths: Sequence[str | Path], base: Path) -> str:
    if len(paths) == 1:
        return Path(paths[0]).stem if Path(paths[0]).is_file() else Path(paths[0]).absolute().name or "campaign"
    return base.name or "campaign"


def _variants(file: Path, options: CampaignOptions) -> list[tuple[dict[str, str], Loaded]]:
    keys = list(options.sweeps)
    variants: list[tuple[dict[str, str], Loaded]] = []
    for values in itertools.product(*options.sweeps.values()):
        swept = dict(zip(keys, values, strict=True))
        variants.append((swept, load_scenario(file, {**options.assignments, **swept})))
    return variants


def _seeded(
    loaded: Loaded, swept: Mapping[str, str], options: CampaignOptions, index: int
) -> list[tuple[str, Scenario]]:
    """Return the scenario with each of its seeds, and what to add to the name of the case."""
    scenario = loaded.scenario
    values = [f"{key}={value}" for key, value in swept.items()]

    def label(*more: str) -> str:
        parts = [*values, *more]
        return f"[{','.join(parts)}]" if parts else ""

    if options.seeds:
        return [(label(f"seed={seed}"), msgspec.structs.replace(scenario, seed=seed)) for seed in options.seeds]
    if options.seed is not None:
        return [(label(), msgspec.structs.replace(scenario, seed=case_seed(options.seed, index)))]
    return [(label(), scenario)]


def _case(name: str, file: Path, scenario: Scenario, swept: Mapping[str, str], options: CampaignOptions) -> Step:
    payload: dict[str, Any] = {"scenario": msgspec.to_builtins(scenario), "path": file_name(str(file))}
    expected = len(scenario.nodes) * (scenario.duration_ns / scenario.step_ns) * _SECONDS_PER_NODE_STEP
    if options.speed is not None:
        payload["speed"] = options.speed
        expected = max(expected, scenario.duration_ns / 1e9 / options.speed)
    outcomes: tuple[Outcome, ...] = ("errored", "timed_out")
    retry = Retry(attempts=options.attempts, outcomes=outcomes)
    return Step(
        name=name,
        work=Work("simulation", payload),
        policy=Policy(timeout=options.timeout, retry=retry),
        expected=expected,
        labels={"file": file_name(str(file)), "scenario": scenario.name, **swept},
    )


def _refused(name: str, file: Path, error: DocumentError) -> Step:
    payload = {"diagnostics": [diagnostic.render() for diagnostic in error.diagnostics]}
    return Step(name=name, work=Work("invalid", payload), expected=0.0, labels={"file": file_name(str(file))})


def _recorded(paths: Sequence[str | Path], options: CampaignOptions) -> dict[str, Any]:
    values = msgspec.to_builtins(options)
    given = {key: value for key, value in values.items() if value not in (None, {}, (), [])}
    return {
        **given,
        "paths": [file_name(str(path)) for path in paths],
        "speed": options.speed if options.speed is not None else "max",
    }
