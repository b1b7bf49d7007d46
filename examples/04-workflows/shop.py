"""Functions of `order_saga.yaml`: reservations, payments and shipments are files in a folder.

Each may be called again with the same order and does no more than once; those that undo may be called even if there is
nothing to undo.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_STOCK = {"lamp": 5, "chair": 1}


def reserve_inventory(folder: str, order: str, sku: str, amount: int, fail: str = "") -> dict[str, Any]:
    """Take goods off the stock."""
    _fail_if(fail == "reserve_inventory", "the warehouse does not answer")
    reserved = [_read(path) for path in _all(folder, "reservations") if path.stem != order]
    left = _STOCK.get(sku, 0) - sum(other["amount"] for other in reserved if other["sku"] == sku)
    if amount > left:
        raise ValueError(f"there are {left} of {sku}, not {amount}")
    _write(folder, "reservations", order, {"sku": sku, "amount": amount})
    return {"left": left - amount}


def release_inventory(folder: str, order: str) -> None:
    """Put the goods back."""
    _remove(folder, "reservations", order)


def charge_payment(folder: str, order: str, amount: int, fail: str = "") -> dict[str, Any]:
    """Take the money."""
    _fail_if(fail == "charge_payment", "the card was declined")
    _write(folder, "payments", f"pay-{order}", {"order": order, "amount": 100 * amount})
    return {"payment": f"pay-{order}"}


def refund_payment(folder: str, payment: str) -> None:
    """Give the money back."""
    _remove(folder, "payments", payment)


def ship_order(folder: str, order: str, fail: str = "") -> dict[str, Any]:
    """Send the goods; when it is to fail, it does so half-way."""
    _write(folder, "shipments", order, {"sent": fail != "ship_order"})
    _fail_if(fail == "ship_order", "the parcel fell off the lorry")
    return {"shipment": order}


def cancel_shipment(folder: str, order: str) -> None:
    """Call the goods back."""
    _remove(folder, "shipments", order)


def _all(folder: str, kind: str) -> list[Path]:
    return sorted((Path(folder) / kind).glob("*.json"))


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(folder: str, kind: str, name: str, value: dict[str, Any]) -> None:
    path = Path(folder) / kind / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def _remove(folder: str, kind: str, name: str) -> None:
    (Path(folder) / kind / f"{name}.json").unlink(missing_ok=True)


def _fail_if(fails: bool, why: str) -> None:  # noqa: FBT001 (private)
    if fails:
        raise RuntimeError(why)
