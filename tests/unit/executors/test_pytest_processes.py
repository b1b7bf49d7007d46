from podium.executors.pytest_host.processes import without_machinery

SITE = "/venv/lib/python3.11/site-packages"
BELOW = [
    f'  File "{SITE}/_pytest/python.py", line 166 in pytest_pyfunc_call',
    f'  File "{SITE}/pluggy/_callers.py", line 121 in _multicall',
    f'  File "{SITE}/_pytest/python.py", line 1720 in runtest',
    f'  File "{SITE}/_pytest/runner.py", line 179 in pytest_runtest_call',
    f'  File "{SITE}/pluggy/_hooks.py", line 512 in __call__',
    '  File "/podium/executors/pytest_host/worker.py", line 135 in _one',
    '  File "<frozen runpy>", line 88 in _run_code',
]
OWN = ['  File "/project/code.py", line 3 in wait', '  File "/project/test_it.py", line 9 in test_it']


def dump(*stacks):
    parts = []
    for number, stack in enumerate(stacks):
        parts.append("\n".join([f"Thread 0x{number} (most recent call first):", *stack]))
    return "\n\n".join(parts) + "\n"


def test_a_stack_ends_where_pytest_called_the_test():
    assert without_machinery(dump([*OWN, *BELOW])) == dump([*OWN, BELOW[0]])


def test_a_fixture_is_shown_with_who_asked_for_it():
    called = f'  File "{SITE}/_pytest/fixtures.py", line 930 in call_fixture_func'
    setup = f'  File "{SITE}/_pytest/runner.py", line 165 in pytest_runtest_setup'
    fixture = '  File "/project/conftest.py", line 5 in database'
    assert without_machinery(dump([fixture, called, BELOW[1], setup, *BELOW[4:]])) == dump([fixture, called])


def test_what_is_of_pytest_above_the_test_stays():
    nested = [OWN[0], *BELOW[:5], OWN[1]]
    assert without_machinery(dump([*nested, *BELOW])) == dump([*nested, BELOW[0]])


def test_stacks_that_are_of_no_test_stay():
    other = ['  File "/usr/lib/python3.11/threading.py", line 320 in wait', '  File "/project/code.py", line 8 in loop']
    assert without_machinery(dump(other, [*OWN, *BELOW], other)) == dump(other, [*OWN, BELOW[0]], other)
    assert without_machinery(dump(BELOW)) == dump(BELOW)
    assert without_machinery(dump([*OWN, "  ..."])) == dump([*OWN, "  ..."])


def test_what_is_no_dump_stays():
    assert without_machinery("") == ""
    assert without_machinery("Fatal Python error: Segmentation fault\n\nno frames") == (
        "Fatal Python error: Segmentation fault\n\nno frames"
    )
