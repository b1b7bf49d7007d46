"""A place for the store of each test."""

import pytest


@pytest.fixture
def store(tmp_path):
    return tmp_path / "podium.db"
