"""Services that tests need: processes, containers, Compose files, and what is running already."""
