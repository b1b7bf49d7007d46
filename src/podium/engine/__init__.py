"""One loop that runs plans and writes down everything that happens."""
