"""Podium conducts tests, simulations and workflows: one engine, one journal."""

__version__ = "0.1.0"
