import socket

import pytest

from search.errors import InputError
from search.postgres.address import Address, parse_listen
from storage.process_identity import hostname

BEFORE = Address("127.0.0.1", 5555, "here")


@pytest.mark.parametrize(
    ("text", "listen", "port", "place"),
    [
        ("127.0.0.1:5433", "127.0.0.1", 5433, "127.0.0.1:5433"),
        ("localhost:5433", "localhost", 5433, "localhost:5433"),
        ("127.0.0.1", "127.0.0.1", 5555, "127.0.0.1:5555"),
        ("[::1]:5433", "::1", 5433, "[::1]:5433"),
        ("::1", "::1", 5555, "[::1]:5555"),
        ("0.0.0.0", "0.0.0.0", 5555, f"{hostname()}:5555"),
    ],
)
def test_address_is_read(text: str, listen: str, port: int, place: str) -> None:
    if ":" in listen and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    found = parse_listen(text, BEFORE)
    assert (found, found.place) == (Address(listen, port, "here"), place)


def test_no_address_is_the_socket_alone() -> None:
    assert str(parse_listen("none", BEFORE)) == ""


@pytest.mark.parametrize(
    "text", ["", ":5432", "a:b", "127.0.0.1:0", "127.0.0.1:70000", "192.0.2.1", "[::1", "a b"]
)
def test_address_that_is_none_of_this_host_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match=rf"^--listen {text.replace('[', '.')}: .*expected") as error:
        parse_listen(text, BEFORE)
    assert "\n" not in str(error.value)


def test_first_port_is_one_that_is_free() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 5432))
        except OSError:
            pass  # Another Postgres has it.
        else:
            taken.listen()
        assert parse_listen("127.0.0.1", Address()).port not in (0, 5432)
