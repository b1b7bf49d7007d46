"""A project whose tests are to be found."""


class ProjectFolder:
    """Files in a folder."""

    def __init__(self, folder):
        self.folder = folder

    def put(self, *paths, text="def test_it(): pass\n"):
        """Write the same text to files; without a text, one test."""
        for path in paths:
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return self
