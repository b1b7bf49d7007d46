import importlib.util
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def generated():
    spec = importlib.util.spec_from_file_location("generate", PROJECT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.files()


@pytest.mark.parametrize(("path", "text"), generated().items(), ids=lambda value: getattr(value, "name", ""))
def test_the_committed_file_is_what_the_code_generates(path, text):
    assert path.read_text(encoding="utf-8") == text, "run: python docs/generate.py"
