"""The documented Python interface of workflows: what is undone when a step fails."""
# ruff: noqa: A002 (actions take `input`)

from tests.integration.workflow_api.engine_runs import TARGETS, outcome_of


def order_actions(log, *, ship_fails=True, release_fails=False):
    def reserve_inventory():
        log.append("reserve")
        return {"reserved": 2}

    def charge_payment():
        log.append("charge")
        return {"charged": 20}

    def ship_order():
        log.append("ship")
        if ship_fails:
            raise RuntimeError("no van")

    async def refund_payment(results, input):
        log.append(("refund", results, input))
        if release_fails:
            raise OSError("bank is closed")

    def release_inventory(results):
        log.append(("release", results))

    def cancel_shipment():
        log.append("cancel")

    return [reserve_inventory, charge_payment, ship_order, refund_payment, release_inventory, cancel_shipment]


SAGA = [
    {"name": "reserve_inventory", "compensation": "release_inventory"},
    {"name": "charge_payment", "compensation": "refund_payment"},
    {"name": "ship_order", "compensation": "cancel_shipment"},
]


def test_a_saga_is_undone_in_reverse_order(store):
    log = []
    status = outcome_of(store, SAGA, {"sku": "A1"}, order_actions(log))
    assert (status["status"], status["compensation"]) == ("failed", "compensated")
    assert status["error"] == "Step ship_order failed: RuntimeError: no van"
    reserved, charged = {"reserve_inventory": {"reserved": 2}}, {"charge_payment": {"charged": 20}}
    undone = [("refund", reserved | charged, {"sku": "A1"}), ("release", reserved)]
    assert log == ["reserve", "charge", "ship", *undone]


def test_all_is_undone_even_if_something_cannot_be(store):
    log = []
    status = outcome_of(store, SAGA, {}, order_actions(log, release_fails=True))
    assert (status["status"], status["compensation"]) == ("failed", "compensation_failed")
    assert [entry[0] for entry in log[3:]] == ["refund", "release"]


def test_nothing_is_undone_if_all_passes_or_it_is_not_wanted(store):
    log = []
    status = outcome_of(store, SAGA, {}, order_actions(log, ship_fails=False))
    assert (status["status"], status["compensation"], len(log)) == ("completed", None, 3)
    log.clear()
    status = outcome_of(store, SAGA, {}, order_actions(log), enable_compensation=False)
    assert (status["status"], status["compensation"], len(log)) == ("failed", None, 3)


def test_functions_of_other_processes_are_undone_too(store, tmp_path):
    log = tmp_path / "log"
    steps = [
        {"name": "a", "action": f"{TARGETS}:note", "compensation": f"{TARGETS}:undo"},
        {"name": "b", "action": f"{TARGETS}:fail"},
    ]
    status = outcome_of(store, steps, {"log": str(log)})
    assert status["compensation"] == "compensated"
    assert status["error"] == "Step b failed: RuntimeError: after ['a']"
    assert log.read_text() == "a\nundo ['a']\n"
