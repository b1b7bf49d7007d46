"""Public helpers for tests: virtual clock, in-memory journal, fakes, conformance suites."""
