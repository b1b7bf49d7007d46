"""Lets the tests import the shop."""
