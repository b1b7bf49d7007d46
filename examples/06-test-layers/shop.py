"""A shop with three articles."""

PRICES = {"tea": 4.50, "cup": 9.00, "pot": 21.00}
"""Article to price."""


def total(order: dict[str, int]) -> float:
    """Return what an order costs; ten of a kind and more are a tenth cheaper.

    Raises:
        KeyError: There is no such article.
        ValueError: An amount is below 1.
    """
    if min(order.values(), default=1) < 1:
        raise ValueError("amounts are at least 1")
    return round(sum(PRICES[name] * amount * (0.9 if amount >= 10 else 1.0) for name, amount in order.items()), 2)
