"""Documents to plans: immutable graphs of steps."""
