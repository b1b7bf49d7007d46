"""Free ports of this machine."""

import socket

import pytest

from podium.errors import EnvironmentProblemError
from podium.runtime.services import ports
from podium.runtime.services.ports import HeldPorts


def can_bind(number):
    with socket.socket() as other:
        try:
            other.bind(("127.0.0.1", number))
        except OSError:
            return False
        return True


def test_a_port_is_held_until_it_is_released():
    held = HeldPorts(["a", "b"])
    assert list(held.numbers) == ["a", "b"]
    assert [can_bind(number) for number in held.numbers.values()] == [False, False]
    held.release()
    held.release()
    assert [can_bind(number) for number in held.numbers.values()] == [True, True]


def test_no_names_no_ports():
    assert HeldPorts([]).numbers == {}


class Sockets:
    """Gives the ports it is told to, in order."""

    def __init__(self, numbers):
        self._numbers = iter(numbers)
        self.open = 0

    def __call__(self, *_):
        self.open += 1
        return self

    def bind(self, _address):
        self._number = next(self._numbers)
        if self._number is None:
            raise OSError(24, "Too many open files")

    def getsockname(self):
        return "0.0.0.0", self._number

    def close(self):
        self.open -= 1


@pytest.fixture
def given(monkeypatch):
    """Makes the system give certain ports."""
    monkeypatch.setattr(ports, "_RECENT", type(ports._RECENT)(maxlen=3))

    def give(*numbers):
        sockets = Sockets(numbers)
        monkeypatch.setattr(ports.socket, "socket", sockets)
        return sockets

    return give


def test_a_port_given_lately_is_not_given_again(given):
    sockets = given(1000, 1000, 1001, 1000, 1001, 1002)
    held = HeldPorts("abc")
    assert held.numbers == {"a": 1000, "b": 1001, "c": 1002}
    assert sockets.open == 3
    held.release()
    assert sockets.open == 0


def test_a_port_given_long_ago_may_be_given_again(given):
    given(1, 2, 3, 4, 1)
    assert HeldPorts("abcde").numbers == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 1}


def test_if_no_other_is_free_a_port_given_lately_has_to_do(given, monkeypatch):
    monkeypatch.setattr(ports, "_MOST_TRIES", 5)
    sockets = given(*[7] * 7)
    assert HeldPorts("ab").numbers == {"a": 7, "b": 7}
    assert sockets.open == 2


def test_without_a_free_port_nothing_stays_held(given):
    sockets = given(1, 2, None)
    with pytest.raises(EnvironmentProblemError, match="no free port for a service: Too many open files") as caught:
        HeldPorts("abc")
    assert caught.value.diagnostics[0].code == "E536"
    assert sockets.open == 0
