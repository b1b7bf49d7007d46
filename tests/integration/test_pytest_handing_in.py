"""Suites of pytest: what workers hand in, and what becomes of it when they cannot, or die right after."""

import sys

import pytest
from tests.integration.pytest_bench import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")

DIES = """
    import os
    import sys
    Worker = sys.modules["_podium_pytest_host.worker"].Worker
    hand_in = Worker._hand_in

    def dying(self, item, position):
        hand_in(self, item, position)
        if item.name == "test_dies": os.kill(self.pid, 9)

    Worker._hand_in = dying
    """
PROPERTIES = """
    class Bad:
        def __repr__(self): raise RuntimeError("no words")

    def test_before(): pass
    def test_key(record_property):
        record_property("x", {(1, 2): 3})
        assert 1 == 2, "the assertion"
    def test_circle(record_property):
        circle = []
        circle.append(circle)
        record_property("x", circle)
        assert 0, "round"
    def test_words(record_property):
        record_property("x", Bad())
        assert 0, "wordless"
    def test_after(): pass
    """


def test_a_test_whose_properties_cannot_be_sent_keeps_its_result(tmp_path):
    ran = run(tmp_path, {"test_it.py": PROPERTIES}, workers=1)
    assert ran.counts == {"passed": 2, "failed": 3}
    assert ran.one("test_key").message.startswith("AssertionError: the assertion")
    assert "assert 1 == 2" in ran.one("test_key").details
    assert "plugins were told only what `test_it.py::test_key` came to, not its reports: TypeError: keys" in ran.notes
    assert "test_it.py::test_circle` came to, not its reports: ValueError" in ran.notes
    assert "3 failed, 2 passed" in ran.stdout


def test_tests_that_passed_keep_their_result_though_their_reports_cannot_be_sent(tmp_path):
    text = """
        import pytest
        def test_it(record_property): record_property("x", {(1, 2): 3})
        def test_skips(record_property):
            record_property("x", {(1, 2): 3})
            pytest.skip("why not")
        @pytest.mark.xfail(reason="known")
        def test_known(record_property):
            record_property("x", {(1, 2): 3})
            assert 0
        """
    ran = run(tmp_path, {"pytest.ini": "[pytest]\naddopts = --durations=3 -ra\n", "test_it.py": text})
    assert ran.kind == ("passed", None)
    assert ran.counts == {"passed": 1, "skipped": 1, "xfailed": 1}
    assert "1 passed, 1 skipped, 1 xfailed" in ran.stdout


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_a_worker_that_dies_after_it_has_handed_in_a_result_adds_no_other(tmp_path, outcome):
    text = f"""
        def test_before(): pass
        def test_dies(): assert {outcome == "passed"}
        def test_after(): pass
        """
    ran = run(tmp_path, {"conftest.py": DIES, "test_it.py": text}, workers=1)
    assert sorted(result.id.partition("::")[2] for result in ran.all) == ["test_after", "test_before", "test_dies"]
    assert ran.one("test_dies").outcome == outcome
