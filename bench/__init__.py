"""What Podium costs, beside what else could be used, measured in one run: `python -m bench`."""
