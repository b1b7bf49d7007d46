"""Readers of the results that test tools write: bytes in, results out; no files, no processes."""
