"""optuna-dashboard over a study's database, served behind a guard."""

import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bottle import HTTPError
from optuna_dashboard import wsgi
from waitress import create_server

from search.config.option import check_number
from search.errors import InputError
from search.study.study import LoadedStudy, load_study
from search.web.guard import MOST_BYTES, Application, Guard, Rules
from search.web.pictures import Pictures
from search.web.storage import ShownStorage
from storage.occupancy import occupants
from storage.retry import is_outage, reason

LEAST_LETTERS = 8


# Each may hold a connection to the database, of which a process has five.
THREADS = 4


def serve_dashboard(
    study: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    allow_changes: bool = False,
    password_file: Path | None = None,
    storage: str | None = None,
    root: Path = Path("studies"),
    say: Callable[[str], None] = print,
) -> None:
    """Serve the dashboard until Ctrl-C or SIGTERM.

    Args:
        study: The study whose address is printed; the others of its database can be reached from there.
        host: The address to listen on.
        port: The port; 0 for any that is free.
        allow_changes: Whether to write, too: notes, attributes, ends of trials, deletions of studies.
        password_file: A file whose first line a browser must give; needed for any address but this host's own.
        storage: Database URL; by default the environment's ``SEARCH_STORAGE``, or SQLite under ``root``.
        root: The folder of all studies.
        say: Gets lines for a person.

    Raises:
        InputError: There is no such study, the address cannot be listened on, or a password is needed and missing.
    """
    check_number("--port", port, 0, 65_535)
    alone = is_loopback(host)
    if password_file is None and not alone:
        raise InputError(
            f"--host {host}: whoever reaches this address could read the study; pass --password-file, or leave it out"
        )
    password = None if password_file is None else read_password(password_file)
    loaded = load_study(study, storage, root)
    application = make_application(loaded, names_of(host), password, allow_changes)
    try:
        server: Any = create_server(
            application,
            host=host,
            port=port,
            threads=THREADS,
            ident=None,
            max_request_body_size=MOST_BYTES,
            max_request_header_size=16_384,
            connection_limit=100,
            channel_timeout=60,
        )
    except (OSError, OverflowError) as error:
        what = getattr(error, "strerror", None) or error
        raise InputError(
            f"--host {host} --port {port}: cannot be listened on ({what}); choose another"
        ) from None
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    say(f"http://{shown}:{port_of(server)}/dashboard/studies/{loaded.study_id}")
    if not alone:
        say(
            "passwords and pages can be read on their way here: put TLS before it, or use ssh -L and leave --host out"
        )
    try:
        server.run()  # It returns on Ctrl-C.
    finally:
        server.close()


def make_application(
    loaded: LoadedStudy, names: frozenset[str], password: str | None = None, allow_changes: bool = False
) -> Application:
    """optuna-dashboard over the study's database and pictures, behind a guard; see ``serve_dashboard``."""
    storage: Any = ShownStorage(loaded.storage, allow_changes)  # type: ignore[abstract]
    with suppress(HTTPError):  # Ended trials stay in memory: the first page need not wait for them.
        storage.get_all_trials(loaded.study_id, deepcopy=False)

    def trouble() -> str:
        try:
            storage.get_study_user_attrs(loaded.study_id)  # The name would come from memory.
        except HTTPError as error:
            return str(error.body)
        except KeyError:  # It has been deleted; the page of all studies is still there.
            return ""
        return ""

    def busy(study_id: int) -> str:
        database = loaded.storage
        try:
            found = occupants(database, study_id, database.timeouts.grace + database.timeouts.outage)
        except KeyError:  # There is no such study, as the application will say.
            return ""
        except Exception as error:
            if not is_outage(error):
                raise
            return f"the database does not answer ({reason(error)})"
        return f"worked on by {', '.join(map(str, found))}; stop them first" if found else ""

    application: Any = wsgi(storage, artifact_store=Pictures(storage, loaded.paths.root, allow_changes))
    return Guard(application, Rules(names, password, allow_changes), trouble, busy=busy)


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
