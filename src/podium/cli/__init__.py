"""The command line, one file per command."""


def main() -> None:
    """Run the command line."""
    from podium.cli.root import root  # noqa: PLC0415  (keeps `import podium.cli` cheap)

    root()
