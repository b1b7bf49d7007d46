"""What a person asks for when layers are run: which, where, and how."""

from __future__ import annotations

import msgspec

MODES = ("fast_feedback", "nightly", "background", "hybrid", "commit", "ci", "weekend", "development")
"""Modes that documents with the documented layers have without saying so."""
FAIL_FAST = (
    *("immediate", "category", "critical", "layer", "disabled"),
    *("first_failure", "category_failure", "critical_failure", "threshold_based", "smart_adaptive"),
    "dependency_aware",
)
"""What may be asked for when a failure ends more than itself: native words and documented ones."""


class LayerSelection(msgspec.Struct, frozen=True):
    """Which layers are run, and how; what is not given is as the document says.

    Attributes:
        mode: Name of a selection of layers: one of the document's `modes`, or of `MODES`.
        layers: These layers and those they need; with a mode, those of it.
        categories: These categories and those they need; layers are then not completed by those they need, and with
            `layers` only those of these layers.
        tags: Only categories with one of these tags.
        start_at: Begin with this layer or category: what comes before is left out.
        environment: Its name; `dev` is `development`, `prod` is `production`; empty: none.
        excluded_environments: Environments in which nothing may run.
        allow_production: Whether anything may run in production.
        real_services: Start services though they have mocks.
        real_llm: Use real language models.
        background_apart: Background layers become a plan of their own.
        with_background: Whether background layers are run; None: as the document says.
        fail_fast: One of `FAIL_FAST`; empty: as the document says.
        parallel: So many worker processes at once in all layers together.
        workers: Worker processes of a category that does not say how many.
        layers_at_once: So many layers at once.
        pattern: Only tests it fits: an expression of pytest's `-k`, or a pattern of paths if it has `/`, `*` or `.py`.
        test_timeout: Longest duration of one test [s].
        retries: How often a test that did not pass is tried again.
        max_failures: A category ends after so many tests that did not pass.
        budget: Only the most telling tests that fit in so much time, shared among the categories [s].
        deadline: Longest duration of the run [s].
        changed: Only tests that what changed may affect.
        since: What `changed` compares with, a revision of git.
        only: Only tests of these ids.
        repeat: How often each test is run.
        until_fail: Repeat until one fails.
        python: Interpreter for pytest.
        fork: Whether workers of pytest may be forked.
        pytest_args: More arguments of pytest.
        env: Variables added to the environment of all suites, as (name, value).
    """

    mode: str = ""
    layers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    start_at: str = ""
    environment: str = ""
    excluded_environments: tuple[str, ...] = ()
    allow_production: bool = False
    real_services: bool = False
    real_llm: bool = False
    background_apart: bool = False
    with_background: bool | None = None
    fail_fast: str = ""
    parallel: int | None = None
    workers: int | None = None
    layers_at_once: int | None = None
    pattern: str = ""
    test_timeout: float | None = None
    retries: int | None = None
    max_failures: int | None = None
    budget: float | None = None
    deadline: float | None = None
    changed: bool = False
    since: str = ""
    only: tuple[str, ...] = ()
    repeat: int = 1
    until_fail: bool = False
    python: str = ""
    fork: bool = True
    pytest_args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
