"""What the history says: statistics, comparison, predicted durations."""
