import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import podium
from podium.cli.explanations import explanations
from podium.cli.root import root, run
from podium.errors import ExitCode

SOURCES = Path(podium.__file__).parent
DOCUMENT = SOURCES / "cli" / "explanations.md"


def codes(pattern):
    """Return the codes in the sources, each with a file that has it."""
    return {
        code: path.relative_to(SOURCES)
        for path in sorted(SOURCES.rglob("*.py"))
        for code in re.findall(pattern, path.read_text(encoding="utf-8"))
    }


def test_every_code_in_the_sources_has_a_section():
    used = codes(r'"([A-Z]\d{3})"') | codes(r"\(([A-Z]\d{3})\)")
    assert len(used) > 50
    assert {code: path for code, path in used.items() if code not in explanations()} == {}


def test_every_section_is_a_code_that_is_raised():
    """A code that only a docstring mentions is not raised."""
    assert explanations().keys() - codes(r'"([A-Z]\d{3})"').keys() == set()


def test_every_heading_is_one_section_and_they_are_in_order():
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    headings = [line for line in lines if line.startswith("#")]
    assert headings[0] == lines[0] == "# Error codes"
    assert headings[1:] == [f"## {code} {title}" for code, (title, _) in explanations().items()]
    order = [re.match(r"## ([DPUESX])(\d{3}) ", heading).groups() for heading in headings[1:]]
    assert order == sorted(set(order), key=lambda code: ("DPUESX".index(code[0]), code[1]))


@pytest.mark.parametrize("code", explanations())
def test_a_section_has_a_short_title_and_a_paragraph(code):
    title, text = explanations()[code]
    assert title == title.strip()
    assert 0 < len(title) < 70
    assert not title.endswith(".")
    paragraph = text.partition("\n\n")[0]
    assert paragraph.endswith((".", ":"))
    assert not paragraph.startswith(" ")
    assert max(map(len, text.splitlines())) <= 80


def test_explain_prints_title_and_paragraph():
    title, text = explanations()["D101"]
    result = CliRunner().invoke(root, ["explain", "D101"], standalone_mode=False)
    assert (result.exception, result.return_value) == (None, 0)
    assert result.output == f"D101: {title}\n\n{text}\n"


def test_explain_takes_small_letters(capsys):
    assert run(["explain", "d101"]) == 0
    assert capsys.readouterr().out.startswith("D101: ")


def test_explain_without_a_code_lists_all(capsys):
    assert run(["explain"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(explanations())


def test_explain_says_that_a_code_does_not_exist(capsys):
    assert run(["explain", "D999"]) == ExitCode.USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error[U432]: there is no code `D999`")
