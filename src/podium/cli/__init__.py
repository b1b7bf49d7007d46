"""The command line, one file per command. stdout is data, stderr is talk."""

import os
import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from podium.cli.root import run  # noqa: PLC0415  (keeps `import podium.cli` cheap)

    if os.name != "posix":
        sys.exit(run(sys.argv[1:]))
    from podium.cli.streams import Streams  # noqa: PLC0415

    streams = Streams()
    sys.exit(streams.finish(run(sys.argv[1:])))
