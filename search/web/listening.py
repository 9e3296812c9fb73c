"""Where a page of ours is served: the address, the names that it may be called by, its password, the server."""

import ipaddress
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from waitress import create_server

from search.config.option import check_number
from search.errors import InputError
from search.web.guard import EVERYWHERE, Application

LEAST_LETTERS = 8


def check_address(host: str, port: int, password_file: Path | None, read: str) -> str | None:
    """Check an address to listen on, and read the password.

    Args:
        host: The address; any but this host's own wants a password.
        port: The port; 0 for any that is free.
        password_file: A file whose first line is the password; None for none.
        read: What whoever reaches the address could do, as messages say it: ``read the study``.

    Returns:
        The password; None for none.

    Raises:
        InputError: The port is none, the address is not this host's, or a password is needed and missing.
    """
    check_number("--port", port, 0, 65_535)
    if password_file is None and not is_loopback(host):
        raise InputError(
            f"--host {host}: whoever reaches this address could {read}; pass --password-file, or leave it out"
        )
    return None if password_file is None else read_password(password_file)


def listen(application: Application, host: str, port: int, threads: int, most_bytes: int) -> Any:
    """Bind a server to an address; ``run`` makes it answer, until Ctrl-C.

    Args:
        application: What it serves.
        host: The address.
        port: The port; 0 for any that is free.
        threads: Requests that are answered at a time.
        most_bytes: Of a request's body; ``application`` refuses a larger one.

    Raises:
        InputError: The address cannot be listened on.
    """
    try:
        return create_server(
            application,
            host=host,
            port=port,
            threads=threads,
            ident=None,
            # A larger one is refused by ``application``, which says why; this bounds what is read until then.
            max_request_body_size=2 * most_bytes,
            max_request_header_size=16_384,
            connection_limit=100,
            channel_timeout=60,
            asyncore_use_poll=True,  # select() takes no descriptor above 1023.
        )
    except (OSError, OverflowError) as error:
        what = getattr(error, "strerror", None) or error
        raise InputError(
            f"--host {host} --port {port}: cannot be listened on ({what}); choose another"
        ) from None


def serve(server: Any, host: str, path: str, say: Callable[[str], None]) -> None:
    """Say where the server is to be found, and let it answer until Ctrl-C.

    Args:
        server: See ``listen``.
        host: The address that it listens on.
        path: Of the page, ``/`` and what follows.
        say: Gets lines for a person.
    """
    # A browser asks for more at once than there are threads: they wait, and nobody need read of that.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    shown = socket.gethostname() if host in EVERYWHERE else f"[{host}]" if ":" in host else host
    say(f"http://{shown}:{port_of(server)}{path}")
    if not is_loopback(host):
        say(
            "passwords and pages can be read on their way here: put TLS before it, or use ssh -L and leave --host out"
        )
    try:
        server.run()  # It returns on Ctrl-C.
    finally:
        # A thread that is still at work wakes the server by a byte written to a descriptor. Were that closed, the byte
        # could end in a file that has its number by then; so it stays open, and goes with the process.
        if not server.task_dispatcher.threads:
            server.close()


def is_loopback(host: str) -> bool:
    """Whether an address is this host's own, which no other host reaches.

    Raises:
        InputError: It is no address.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(
            f"--host {host}: no address of this host ({error.strerror}); expected one such as 127.0.0.1"
        ) from None
    return all(ipaddress.ip_address(one[4][0]).is_loopback for one in found)


def names_of(host: str) -> frozenset[str]:
    """The names by which a browser may call this host, in lower case."""
    names = {"localhost", "127.0.0.1", "::1", host}
    if not is_loopback(host):
        names |= {socket.gethostname(), socket.getfqdn()}
    return frozenset(name.lower().rstrip(".") for name in names)


def read_password(path: Path) -> str:
    """The first line of a file that only its owner reads.

    Raises:
        InputError: There is none, it is short, or others may read it.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "no text"
        raise InputError(
            f"--password-file {path}: cannot be read ({what}); expected a file with a password"
        ) from None
    if mode & 0o077:
        raise InputError(f"--password-file {path}: others may read or write it; chmod 600 {path}")
    password = (text.splitlines() or [""])[0].strip()
    if len(password) < LEAST_LETTERS:
        raise InputError(
            f"--password-file {path}: its first line has {len(password)} characters; "
            f"expected a password of {LEAST_LETTERS} or more"
        )
    return password


def port_of(server: Any) -> int:
    """The port that the server listens on; where a name has several addresses, that of the first."""
    found = getattr(server, "effective_listen", None)
    return int(found[0][1] if found else server.effective_port)
