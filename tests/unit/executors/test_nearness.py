"""Which test files are nearest to a change."""

from podium.executors.found import FoundTest
from podium.executors.nearness import nearness
from podium.executors.pytest_order import arrange
from podium.plan.impact import Impact
from podium.protocols import TestRecord

FILES = ("tests/test_recipes.py", "tests/test_more.py", "tests/test_apart.py")
IMPACT = Impact(
    ("pkg/recipes.py",),
    {"pkg/recipes.py": 0, "pkg/__init__.py": 1, "tests/test_recipes.py": 2, "tests/test_more.py": 2},
    frozenset({*FILES, "pkg/recipes.py", "pkg/__init__.py"}),
)


def ordered(impact, files=FILES):
    near = nearness(impact, files)
    return sorted(near, key=lambda file: -near[file])


def test_the_file_named_after_the_change_is_nearest_and_what_cannot_be_affected_is_last():
    assert ordered(IMPACT) == ["tests/test_recipes.py", "tests/test_more.py", "tests/test_apart.py"]


def test_among_names_that_say_nothing_fewer_imports_are_nearer():
    impact = Impact(("a/zzz.py",), {"tests/test_b.py": 3, "tests/test_c.py": 1}, frozenset({"tests/test_b.py"}))
    assert ordered(impact, ["tests/test_b.py", "tests/test_c.py"]) == ["tests/test_c.py", "tests/test_b.py"]


def test_a_package_goes_by_the_name_of_its_folder():
    impact = Impact(("app/mail/__init__.py",), {"tests/test_mail.py": 1, "tests/test_init.py": 1}, frozenset())
    assert ordered(impact, ["tests/test_init.py", "tests/test_mail.py"])[0] == "tests/test_mail.py"


def test_nothing_is_near_if_nothing_or_everything_changed_or_nothing_is_known():
    for impact in (None, Impact(()), Impact(("data.txt",), everything="data.txt is neither")):
        assert nearness(impact, FILES) == {}


def test_failures_of_last_time_still_come_before_what_is_near():
    tests = [FoundTest("long", "a.py"), FoundTest("near", "b.py"), FoundTest("bad", "c.py"), FoundTest("x", "d.py")]
    records = {
        name: TestRecord(duration, outcome)
        for name, duration, outcome in (
            ("long", 9.0, "passed"),
            ("near", 0.1, "passed"),
            ("bad", 0.1, "failed"),
            ("x", 0.5, "passed"),
        )
    }
    chunks = arrange(tests, records, 2, {"b.py": 0.9, "a.py": 0.2, "d.py": 0.2}).chunks
    assert [tests[start].id for start, _ in chunks] == ["bad", "near", "long", "x"]
