"""What runs inside a project's own Python: pytest, one collection, forked workers.

Nothing here imports anything but the standard library and pytest, and all of it works with Python 3.8 and pytest 7.
"""
