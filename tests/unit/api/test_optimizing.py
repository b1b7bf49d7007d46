import pytest

from podium.api.workflows import PerformanceOptimizer
from podium.errors import UsageError

PARALLEL = "Consider parallel execution of independent steps"
REVIEW = "Review step implementations for optimization"
CACHE = "Consider caching intermediate results"


def test_the_mean_of_what_was_recorded():
    optimizer = PerformanceOptimizer()
    assert optimizer.get_avg_execution_time("w") == 0
    for duration in (100, 200, 300):
        optimizer.record_execution("w", duration_ms=duration)
    assert optimizer.get_avg_execution_time("w") == 200
    assert optimizer.get_avg_execution_time("other") == 0


def test_the_bottleneck_is_the_longest_step():
    optimizer = PerformanceOptimizer()
    assert optimizer.identify_bottleneck("w", {"validate": 10.0, "llm_call": 500.0, "store": 15.0}) == "llm_call"
    assert optimizer.identify_bottleneck("w", {}) is None


@pytest.mark.parametrize(
    ("mean", "records", "expected"),
    [
        (500, 0, []),
        (501, 0, [REVIEW]),
        (1000, 10, [REVIEW]),
        (1001, 0, [PARALLEL, REVIEW]),
        (100, 11, [CACHE]),
        (1001, 11, [PARALLEL, REVIEW, CACHE]),
    ],
)
def test_suggestions(mean, records, expected):
    optimizer = PerformanceOptimizer()
    for _ in range(records):
        optimizer.record_execution("w", mean)
    assert optimizer.suggest_optimization("w", mean) == expected


@pytest.mark.parametrize("duration", [-1, float("nan"), float("inf")])
def test_a_duration_must_be_one(duration):
    with pytest.raises(UsageError, match="duration"):
        PerformanceOptimizer().record_execution("w", duration)
