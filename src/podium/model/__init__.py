"""Documents: text to values, with every error placed at file, line and column."""
