"""A store in a file of its own."""

from contextlib import closing

import pytest

from podium.store import Store


@pytest.fixture
def path(tmp_path):
    return tmp_path / "podium.db"


@pytest.fixture
def store(path):
    with closing(Store.open(path)) as store:
        yield store
