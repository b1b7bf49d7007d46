"""The shop over HTTP, at the address the service told."""

import json
import os
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

URL = os.environ.get("SHOP_URL", "")


def get(path):
    with urlopen(URL + path, timeout=10) as answer:
        return json.load(answer)


def test_it_adds_up():
    assert get("/total?tea=2&cup=1") == {"total": 18.0}


def test_unknown_articles_are_refused():
    with pytest.raises(HTTPError) as error:
        get("/total?car=1")
    with error.value as answer:
        assert answer.code == 400
