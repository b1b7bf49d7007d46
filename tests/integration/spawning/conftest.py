"""Every test has a folder of its own, with a tool in it."""

import pytest
from tests.integration.spawning.tool_calls import TOOL

from podium.executors.agent import TOOL_VARIABLE


@pytest.fixture(autouse=True)
def tool(tmp_path, monkeypatch):
    """Work in a directory with a tool that does what its prompt says, line by line."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tool"
    path.write_text(TOOL)
    path.chmod(0o755)
    monkeypatch.setenv(TOOL_VARIABLE, str(path))
    return path
