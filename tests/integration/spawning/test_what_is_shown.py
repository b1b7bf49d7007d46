"""Agents from Python: the example and the code in the documentation run."""

import runpy
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")

PROJECT = Path(__file__).parents[3]


def test_the_example_runs(capsys):
    runpy.run_path(str(PROJECT / "examples" / "05-agents" / "agents.py"), run_name="__main__")
    assert "3 of 3 passed" in capsys.readouterr().out


def test_the_code_on_the_page_runs(capsys):
    page = (PROJECT / "docs" / "reference" / "python.md").read_text()
    section = page.partition("\n## Agents\n")[2].partition("\n## ")[0]
    blocks = [block.partition("```")[0] for block in section.split("```python\n")[1:]]
    assert len(blocks) >= 3
    for block in blocks:
        exec(compile(block, "python.md", "exec"), {})
    assert capsys.readouterr().out
