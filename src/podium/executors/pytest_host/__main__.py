"""Start pytest as `python -m pytest` would, in the interpreter of the project.

Called with the number of a descriptor: the socket on which the job comes and results go.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType

_PACKAGE = "_podium_pytest_host"


def _package(folder: str) -> ModuleType:
    """Load this package under a name that no project has."""
    spec = importlib.util.spec_from_file_location(
        _PACKAGE, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    if spec is None or spec.loader is None:
        raise ImportError(folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = module
    spec.loader.exec_module(module)
    return importlib.import_module(f"{_PACKAGE}.boot")


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.abspath(sys.path[0]) == here:
        sys.path[0] = os.getcwd()
    sys.argv[0] = "pytest"
    _package(here).main(int(sys.argv.pop(1)))
