"""Consumers of events: the live board, plain lines, JSON lines, JUnit."""
