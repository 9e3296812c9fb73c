"""A Postgres server of one's own, in a folder, on a Unix socket: for tests and benchmarks that restart and stop it."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from sqlalchemy.engine import make_url

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30


def missing() -> str:
    """Why no server can be started here; empty where one can."""
    if not BINARIES and shutil.which("initdb") is None:
        return "Postgres is not installed (Debian: apt-get install postgresql)"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "Postgres does not run as root, and setpriv is not there"
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
        self._databases = 0

    def __enter__(self) -> "PostgresServer":
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", str(self.folder / "data"), "-A", "trust", "-U", "postgres", "--no-sync")
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
        template = ["-T", str(make_url(like).database)] if like is not None else []
        self._run("createdb", "-h", str(self.folder), "-U", "postgres", *template, name)
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def _control(self, *arguments: str, check: bool = True) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), *arguments, check=check)

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        found = BINARIES[-1] / program if BINARIES else Path(str(shutil.which(program)))
        command = [str(found), *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
        # Its own session: a Ctrl-C at the terminal, or a signal to the tests' group, is not for it.
        ended = subprocess.run(
            command,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        if check and ended.returncode:
            raise RuntimeError(f"{program}: {ended.stderr.decode(errors='replace').strip()}")
