"""Where a server listens: its Unix socket, and an address of its host where other hosts are to reach it."""

import contextlib
import re
import socket
from dataclasses import dataclass, replace

from search.errors import InputError
from storage.process_identity import hostname

PORT = 5432
NONE = "none"
# An IPv6 address has colons of its own: [::1]:5433, or ::1 without a port.
LISTEN = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>\d{1,5}))?|(?P<bare>[^\[\]]+)")
EVERYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True)
class Address:
    """Where a server listens, as its folder records it.

    Attributes:
        listen: The address beside the Unix socket; empty for none.
        port: Of the address, and in the name of the socket's file.
        host: Name of the host that started the server last.
    """

    listen: str = ""
    port: int = PORT
    host: str = ""

    def __str__(self) -> str:
        """``10.0.0.5:5432``; empty where there is the socket alone."""
        listen = f"[{self.listen}]" if ":" in self.listen else self.listen
        return f"{listen}:{self.port}" if listen else ""

    @property
    def place(self) -> str:
        """Host and port by which a client finds the address."""
        return f"{hostname()}:{self.port}" if self.listen in EVERYWHERE else str(self)


def parse_listen(text: str, before: Address) -> Address:
    """The address that a user asks for.

    Args:
        text: ``ADDRESS``, ``ADDRESS:PORT``, or ``none``.
        before: Where the server listened; its port is kept, since searches know it.

    Raises:
        InputError: It is no address of this host.
    """
    if text == NONE:
        return replace(before, listen="", port=PORT)
    found = LISTEN.fullmatch(text)
    if found is None or not 0 < int(found["port"] or PORT) < 65_536:
        raise InputError(
            f"--listen {text}: expected an address of this host, such as {hostname()} or 10.0.0.5:5433"
        )
    listen = found["six"] or found["name"] or found["bare"]
    try:
        family, *_, where = socket.getaddrinfo(listen, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.bind(where)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "no name of a host"
        raise InputError(
            f"--listen {text}: no address of this host ({why}); expected one such as {hostname()}"
        ) from None
    port = (
        int(found["port"]) if found["port"] else before.port if before.listen else _free_port(family, where)
    )
    return replace(before, listen=listen, port=port)


def _free_port(family: int, where: tuple[object, ...]) -> int:
    """Postgres's usual port, or any other where that is taken."""
    for port in (PORT, 0):
        with socket.socket(family, socket.SOCK_STREAM) as tried, contextlib.suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((where[0], port, *where[2:]))
            return int(tried.getsockname()[1])
    return PORT
