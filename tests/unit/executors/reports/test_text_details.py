"""What Jest and Vitest print about a test that failed is kept with it."""

from podium.executors.reports.text import read_jest_text

JEST = """\
FAIL ./sum.test.js
  ● group \u203a breaks

    expect(received).toBe(expected)

    Expected: 2
    > 2 | test('breaks', () => {});
        |                ^

  ● other

    thrown: "late"

FAIL ./broken.test.js
  ● Test suite failed to run

    Jest encountered an unexpected token

PASS ./fine.test.js
    this is of nobody
Test Suites: 2 failed, 1 passed, 3 total
Tests:       2 failed, 3 passed, 5 total
    nor is this
"""
VITEST = """\
⎯⎯⎯⎯⎯⎯⎯ Failed Tests 2 ⎯⎯⎯⎯⎯⎯⎯

 FAIL  a.test.ts > group > out
AssertionError: expected 1 to be 2

- Expected
+ Received
 \u276f a.test.ts:3:13
⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[1/2]⎯
 FAIL  a.test.ts > late
Error: timed out
⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[2/2]⎯
of nobody

 Test Files  1 failed (1)
      Tests  2 failed | 1 passed (3)
"""


def results(text):
    return {result.id: result for result in read_jest_text(text.encode()).results}


def test_what_jest_says_of_a_test_ends_where_the_next_begins():
    found = results(JEST)
    assert list(found) == ["group \u203a breaks", "other", "broken.test.js"]
    breaks = found["group \u203a breaks"]
    assert (breaks.file, breaks.message) == ("sum.test.js", "expect(received).toBe(expected)")
    assert breaks.details.splitlines()[2:] == [
        "Expected: 2",
        "> 2 | test('breaks', () => {});",
        "    |                ^",
    ]
    assert (found["other"].message, found["other"].details) == ('thrown: "late"', 'thrown: "late"')


def test_a_file_that_could_not_be_run_says_why():
    broken = results(JEST)["broken.test.js"]
    assert (broken.outcome, broken.message) == ("errored", "the file could not be run")
    assert broken.details == "Jest encountered an unexpected token"


def test_what_vitest_says_of_a_test_ends_at_the_rule():
    found = results(VITEST)
    out = found["a.test.ts > group > out"]
    assert (out.outcome, out.message) == ("failed", "AssertionError: expected 1 to be 2")
    assert out.details.splitlines()[-1] == " \u276f a.test.ts:3:13"
    assert found["a.test.ts > late"].details == "Error: timed out"


def test_a_test_of_which_much_is_said_keeps_the_beginning():
    lines = "".join(f"    line {number}\n" for number in range(100_000))
    (found,) = results(f"  ● breaks\n\n{lines}Tests:       1 failed, 1 total\n").values()
    assert found.message == "line 0"
    assert len(found.details) < 1 << 15


def test_what_is_said_again_in_a_summary_of_all_counts_once():
    again = 'Summary of all failing tests\nFAIL ./sum.test.js\n  ● other\n\n    thrown: "late"\n\nTest Suites: 2 failed'
    found = results(JEST.replace("Test Suites: 2 failed", again))
    assert list(found) == ["group \u203a breaks", "other", "broken.test.js"]
    assert found["other"].details == 'thrown: "late"'
