"""What modes of failing fast mean in words of native layers; the command line and `execution.yaml` share them."""

from __future__ import annotations

from typing import Any

FAIL_FAST: dict[str, str] = {
    "disabled": "disabled",
    "first_failure": "immediate",
    "category_failure": "category",
    "critical_failure": "critical",
    "threshold_based": "layer",
    "smart_adaptive": "layer",
    "dependency_aware": "layer",
}
"""Mode to the `fail_fast` of a layer."""
EARLY_END: dict[str, dict[str, Any]] = {
    "critical_failure": {"critical": ["critical"]},
    "threshold_based": {"consecutive": 5, "rate": 0.3, "sample": 10},
    "smart_adaptive": {"consecutive": 5, "rate": 0.3, "sample": 10, "critical": ["critical"]},
}
"""Mode to the `early_end` of a category, unless something else is said."""
