"""What orders cost."""

import pytest

from shop import PRICES, total


@pytest.mark.parametrize("name", PRICES)
def test_one_of_a_kind_costs_its_price(name):
    assert total({name: 1}) == PRICES[name]


def test_ten_of_a_kind_are_cheaper():
    assert total({"cup": 10}) == 81.0
    assert total({"cup": 9}) == 81.0


def test_an_empty_order_costs_nothing():
    assert total({}) == 0


def test_amounts_below_one_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        total({"tea": 0})
