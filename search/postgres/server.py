"""The life of a private Postgres server: started, stopped, and started again after whatever came."""

import contextlib
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from filelock import FileLock, Timeout

from search.errors import InputError
from search.postgres.address import Address, parse_listen
from search.postgres.creation import make_data, set_password
from search.postgres.folder import NAME, ServerFolder, existing_folder, prepared_folder
from search.postgres.programs import Programs, last_line, programs_for, run_program
from search.postgres.settings import write_settings
from storage.process_identity import hostname, process_exists
from storage.url import network_file_system

logger = logging.getLogger(__name__)

# How long one command waits for another that starts or stops the same server.
LOCK_SECONDS = 120
# Recovery takes as long as replaying what was written since the last checkpoint, of five minutes at most.
START_SECONDS, STOP_SECONDS, CONNECT_SECONDS = 300, 60, 5
# A server that was killed is there for a moment more, and so are its processes, which hold its memory and its port.
REMAINS_SECONDS = 15.0
REMAINS = ("already exists", "still in use", "Address already in use")
FACTS = (
    "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()), "
    "pg_database_size(current_database())"
)


@dataclass(frozen=True)
class ServerStatus:
    """How a server stands.

    Attributes:
        folder: Its folder.
        running: Whether it answers.
        version: Postgres's major version.
        host: The host that it runs on, or ran on last.
        pid: The server's process; None where there is none.
        listen: Where it listens beside its Unix socket, ``ADDRESS:PORT``; empty for nowhere.
        url: For ``--storage``, without the password.
        password_file: For ``PGPASSFILE``.
        certificate: The file that the URL names; empty where it names none.
        tunnel: What reaches the server over SSH from another host; empty where it listens at an address.
        connections: Those open to the studies' database; None where the server does not answer.
        size: Bytes of that database; None where the server does not answer.
        log: The server's log.
    """

    folder: str
    running: bool
    version: str
    host: str
    pid: int | None
    listen: str
    url: str
    password_file: str
    certificate: str
    tunnel: str
    connections: int | None
    size: int | None
    log: str


def start_server(folder: Path, listen: str | None = None) -> tuple[ServerStatus, bool]:
    """Start the server of a folder; folder and database are made where there are none.

    Args:
        folder: The folder.
        listen: ``ADDRESS`` or ``ADDRESS:PORT``, to listen there too, encrypted; ``none`` for the Unix socket alone;
            None for what it was before.

    Returns:
        How the server stands, and whether it ran already.

    Raises:
        InputError: It cannot be started as asked, and why.
    """
    place = prepared_folder(folder)
    with _locked(place):
        before = place.address
        address = before if listen is None else parse_listen(listen, before)
        if place.version is not None and (status := status_of(place)).running:
            if str(address) != str(before):
                raise InputError(
                    f"--listen {listen}: the server runs already, and listens at {str(before) or 'no address'}; stop "
                    "it first"
                )
            return status, True
        if kind := network_file_system(place.path):
            logger.warning(
                f"{place.path} is on a network file system ({kind}): Postgres needs it mounted hard, and is faster and "
                "safer on a disk of its host"
            )
        programs = programs_for(place.version)
        if place.version is None:
            make_data(place, programs)
        if not place.password_file.exists():  # It may have been removed, to have another.
            set_password(place, programs)
        write_settings(place, address)
        place.write_address(replace(address, host=hostname()))
        _start(place, programs)
        return status_of(place), False


def stop_server(folder: Path) -> bool:
    """Stop the server of a folder in good order; searches wait for it as for any outage.

    Returns:
        Whether it ran.

    Raises:
        InputError: There is none, or it does not stop.
    """
    place = existing_folder(folder)
    with _locked(place):
        if _process(place) is None:
            return False
        control = [str(programs_for(place.version).folder / "pg_ctl"), "-D", str(place.data)]
        stop = ["-m", "fast", "-w", "-t", str(STOP_SECONDS), "stop"]
        stopped = run_program([*control, *stop], place.path)
        if stopped.returncode and _process(place) is not None:
            raise InputError(
                f"--dir {place.path}: the server does not stop ({last_line(stopped.stderr)}); its log is {place.log}"
            )
        return True


def server_status(folder: Path) -> ServerStatus:
    """How the server of a folder stands.

    Raises:
        InputError: There is none.
    """
    return status_of(existing_folder(folder))


def status_of(place: ServerFolder) -> ServerStatus:
    """How a server stands whose folder has been checked.

    Raises:
        InputError: It refuses the password of its folder.
    """
    address, pid = place.address, _process(place)
    facts = None if pid is None else _ask(place, address)
    socket = place.path / f".s.PGSQL.{address.port}"
    return ServerStatus(
        folder=str(place.path),
        running=facts is not None,
        version=place.version or "",
        host=address.host,
        pid=pid,
        listen=str(address),
        url=place.url(address),
        password_file=str(place.password_file),
        certificate=str(place.certificate) if address.listen else "",
        tunnel="" if address.listen else f"ssh -N -L {address.port}:{socket} {address.host}",
        connections=facts[0] if facts else None,
        size=facts[1] if facts else None,
        log=str(place.log),
    )


@contextlib.contextmanager
def _locked(place: ServerFolder) -> Iterator[None]:
    try:
        with FileLock(place.lock, timeout=LOCK_SECONDS):
            yield
    except Timeout:
        raise InputError(
            f"--dir {place.path}: another command has been starting or stopping its server for {LOCK_SECONDS} s; try "
            "again"
        ) from None


def _start(place: ServerFolder, programs: Programs) -> None:
    control = [str(programs.folder / "pg_ctl"), "-D", str(place.data), "-l", str(place.log)]
    over = time.monotonic() + REMAINS_SECONDS
    while True:
        logged = place.log.stat().st_size if place.log.exists() else 0
        started = run_program([*control, "-w", "-t", str(START_SECONDS), "start"], place.path)
        if not started.returncode:
            return
        why = _logged_reason(place.log, logged) or last_line(started.stderr)
        if time.monotonic() > over or not any(words in why for words in REMAINS):
            raise InputError(f"--dir {place.path}: Postgres does not start ({why}); its log is {place.log}")
        time.sleep(0.2)


def _logged_reason(log: Path, start: int) -> str:
    """Why a server did not start, by what it has logged from byte ``start`` on, in one line."""
    try:
        with log.open("rb") as file:
            file.seek(start)
            said = re.findall(
                r"(?:LOG:  (?=could not)|FATAL:  |PANIC:  )(.*)", file.read().decode(errors="replace")
            )
    except FileNotFoundError:
        return ""
    return "; ".join(dict.fromkeys(said[-2:]))


def _process(place: ServerFolder) -> int | None:
    """The server's process, by Postgres's own note; None where it has ended, however it did."""
    try:
        pid = int(place.process_file.read_text("utf-8").split()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    return pid if process_exists(pid) else None


def _ask(place: ServerFolder, address: Address) -> tuple[int, int] | None:
    """Connections and bytes of the studies' database; None where the server does not answer."""
    try:
        with psycopg.connect(
            host=str(place.path),
            port=address.port,
            user=NAME,
            dbname=NAME,
            passfile=str(place.password_file),
            connect_timeout=CONNECT_SECONDS,
        ) as connection:
            return connection.execute(FACTS).fetchone()
    except psycopg.OperationalError as error:
        if "password" not in str(error):
            return None
        raise InputError(
            f"--dir {place.path}: its server refuses the password in {place.password_file}; stop the server, remove "
            "that file, and start it again: it gets another password"
        ) from None
