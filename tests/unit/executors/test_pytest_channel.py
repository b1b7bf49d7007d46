import socket

import msgspec
import pytest

from podium.executors.pytest_host.channel import Channel


@pytest.fixture
def sent():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(theirs.fileno())

        def sent(message):
            channel.send(message)
            return msgspec.json.decode(ours.recv(1 << 16))

        yield sent


@pytest.mark.parametrize("text", ["plain", "two\nlines", "Grüße", "\N{GRINNING FACE}", "\u2028", '"\\'])
def test_text_arrives_as_it_is(sent, text):
    assert sent({"text": [text]}) == {"text": [text]}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("\ud800", r"\ud800"),
        ("a \udcff\udc00 b", r"a \udcff\udc00 b"),
        ("\ud83d alone, \N{GRINNING FACE}", "\\ud83d alone, \N{GRINNING FACE}"),
    ],
)
def test_surrogates_that_stand_alone_are_written_out(sent, text, read):
    assert sent({"text": text}) == {"text": read}


def test_keys_and_things_that_are_no_text_are_sent_too(sent):
    class Odd:
        def __repr__(self):
            return "<\ud801>"

    assert sent({"\ud802": Odd()}) == {r"\ud802": r"<\ud801>"}
