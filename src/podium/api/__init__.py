"""Python front doors, one thin module per kind of work."""
