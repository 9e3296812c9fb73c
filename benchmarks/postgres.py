"""A Postgres server of one's own, in a folder, on a Unix socket: for tests and benchmarks that restart and stop it."""

import os
import shutil
import tempfile
import time
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from search.errors import InputError
from search.postgres.programs import programs_for, run_program, server_account

# Whatever the environment says of languages.
NEW = ("-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")
# From this version on Postgres copies a database by its log, block by block, unless told to copy the files.
COPIES_THROUGH_LOG = 150000
MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30


def missing() -> str:
    """Why no server can be started here; empty where one can."""
    try:
        programs_for(None)
        server_account()
    except InputError as error:
        return str(error)
    return ""


class PostgresServer:
    """Started with the ``with`` block, stopped and deleted at its end.

    Args:
        connections: The server's ``max_connections``.
        durable: Write to the disk as a user's server does; else what is tested is the loss of processes, not of power,
            and all is kept in memory where there is room: there a database is made in a tenth of the time.

    Attributes:
        folder: Its data and its socket.
    """

    def __init__(self, connections: int = 200, durable: bool = False) -> None:
        in_memory = not durable and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
        # A socket's path must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="pg", dir=MEMORY if in_memory else "/tmp"))
        self._options = f"-c max_connections={connections}"
        if not durable:
            self._options += " -F -c full_page_writes=off -c synchronous_commit=off -c max_wal_size=64MB"
            # It would look at each of hundreds of databases once a minute.
            self._options += " -c autovacuum=off"
        self._databases = 0

    def __enter__(self) -> "PostgresServer":
        if (account := server_account()) is not None:
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", str(self.folder / "data"), "-A", "trust", *NEW)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-k {self.folder} -h '' {self._options}"
        self._control("-w", "-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; ``immediate`` is a crash."""
        self._control("-m", mode, "-w", "stop", check=False)

    def restart(self, seconds: float = 0.0) -> None:
        """Stop it, leave it down for a while, start it."""
        self.stop()
        time.sleep(seconds)
        self.start()

    def database(self, like: str | None = None) -> str:
        """The URL of a new database: empty, or a copy of the one at ``like``, which nobody may be connected to."""
        self._databases += 1
        name = f"search{self._databases}"
        command = f"CREATE DATABASE {name}"
        if like is not None:
            command += f" TEMPLATE {make_url(like).database}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            if connection.info.server_version >= COPIES_THROUGH_LOG:
                command += " STRATEGY FILE_COPY"
            connection.execute(command)
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def _control(self, *arguments: str, check: bool = True) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), *arguments, check=check)

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        ended = run_program([str(programs_for(None).folder / program), *arguments], self.folder)
        if check and ended.returncode:
            raise RuntimeError(f"{program}: {ended.stderr.strip()}")
