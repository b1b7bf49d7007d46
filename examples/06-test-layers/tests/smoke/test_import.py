"""Whether there is a shop at all."""

import shop


def test_it_has_articles():
    assert shop.PRICES
