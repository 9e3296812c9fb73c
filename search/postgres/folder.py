"""The folder of one server: where its files lie, who may use it, and how it is reached."""

import json
import os
import pwd
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from search.errors import InputError
from search.postgres.address import Address
from search.postgres.programs import run_program, server_account
from storage.atomic import atomic_write
from storage.process_identity import hostname

# The role that studies are searched as, and their database.
NAME = "search"
# The path of a socket has room for 107 bytes, its file's name included.
LONGEST_PATH = 107 - len("/.s.PGSQL.65535")
# They mean something else in Postgres's settings, or in a URL's list of hosts.
FORBIDDEN = set(",'\"\\\n\r")
# What new data and the log of its changes take before anything is searched; and what a start of old data may need.
NEW_BYTES, OLD_BYTES = 256 * 2**20, 32 * 2**20
# What a first start that was cut short leaves.
BEFORE_DATA = {"lock", "log", "data.part"}


@dataclass(frozen=True)
class ServerFolder:
    """The paths of one server's files.

    Attributes:
        path: The folder, absolute; the server's Unix socket lies in it.
    """

    path: Path

    @property
    def data(self) -> Path:
        """Postgres's own data."""
        return self.path / "data"

    @property
    def password_file(self) -> Path:
        """What PGPASSFILE is to name: one line with the password of the role that studies are searched as."""
        return self.path / "password"

    @property
    def certificate(self) -> Path:
        """The server's own certificate, by which clients know it (``sslrootcert``)."""
        return self.path / "root.crt"

    @property
    def key(self) -> Path:
        """The certificate's secret key."""
        return self.path / "server.key"

    @property
    def log(self) -> Path:
        """What the server logs."""
        return self.path / "log"

    @property
    def lock(self) -> Path:
        """Locked by the command that starts or stops the server."""
        return self.path / "lock"

    @property
    def process_file(self) -> Path:
        """Postgres's own note of the process that runs; it stays behind where that was killed."""
        return self.data / "postmaster.pid"

    @property
    def version(self) -> str | None:
        """Major version of Postgres that the data is bound to; None where there is no data."""
        try:
            return (self.data / "PG_VERSION").read_text("utf-8").strip()
        except FileNotFoundError:
            return None

    @property
    def address(self) -> Address:
        """Where the server listens, as it was started last."""
        try:
            return Address(**json.loads((self.path / "address.json").read_text("utf-8")))
        except FileNotFoundError:
            return Address()

    def write_address(self, address: Address) -> None:
        """Record where the server listens."""
        self.write(self.path / "address.json", json.dumps(asdict(address)))

    def write(self, path: Path, text: str) -> None:
        """Replace a file by one that the server's account alone may read."""
        with atomic_write(path) as aside:
            aside.touch(mode=0o600)
            aside.write_text(text, encoding="utf-8")
            if (account := server_account()) is not None:
                os.chown(aside, account.pw_uid, account.pw_gid)

    def url(self, address: Address) -> str:
        """The URL for ``--storage``, without the password; of the Unix socket where there is no other address."""
        if not address.listen:
            return f"postgresql://{NAME}@/{NAME}?host={quote(str(self.path))}"
        known = f"sslmode=verify-ca&sslrootcert={quote(str(self.certificate))}"
        return f"postgresql://{NAME}@{address.place}/{NAME}?{known}"


def existing_folder(path: Path) -> ServerFolder:
    """The folder of a server that has been made, by whoever may use it.

    Raises:
        InputError: There is none, it is another user's, or another host's server may be running in it.
    """
    place = ServerFolder(_absolute(path))
    try:
        version = place.version
    except OSError as error:
        raise InputError(
            f"--dir {path}: cannot be read ({error.strerror}); expected a folder of search.database, of your own"
        ) from None
    if version is None:
        raise InputError(f"--dir {path}: no database is there; search.database start makes one")
    _check_owner(place)
    _check_host(place)
    return place


def prepared_folder(path: Path) -> ServerFolder:
    """The folder of a server that is to be started; it is made where there is none.

    Raises:
        InputError: It cannot be used, and why.
    """
    place = ServerFolder(_absolute(path))
    if len(os.fsencode(place.path)) > LONGEST_PATH or FORBIDDEN & set(str(place.path)):
        raise InputError(
            f"--dir {path}: the server's Unix socket lies in it, so that its path may have {LONGEST_PATH} bytes at "
            "most, and no comma, quote or backslash: name another"
        )
    try:
        _make_folder(place.path)
        _check_owner(place)
        if place.version is None and {file.name for file in place.path.iterdir()} - BEFORE_DATA:
            raise InputError(
                f"--dir {path}: holds other files; expected a new or empty folder, or one of search.database"
            )
    except OSError as error:
        raise InputError(
            f"--dir {path}: cannot be used ({error.strerror}); expected a folder that you may write to"
        ) from None
    _check_host(place)
    _check_room(place)
    return place


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 (absolute() would keep "..", resolve() a link's long target.)


def _make_folder(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not any(path.iterdir()) and path.stat().st_uid == os.geteuid():
        path.chmod(0o700)
        if (account := server_account()) is not None:
            os.chown(path, account.pw_uid, account.pw_gid)


def _check_owner(place: ServerFolder) -> None:
    account, owner = server_account(), place.path.stat().st_uid
    own = os.geteuid() if account is None else account.pw_uid
    if own != owner:
        raise InputError(
            f"--dir {place.path}: belongs to user {_user_name(owner)}, and the server would be user "
            f"{_user_name(own)}'s: name another folder, or do this as {_user_name(owner)}"
        )


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # As in a container that runs under a number.
        return str(number)


def _check_host(place: ServerFolder) -> None:
    """Two servers on the same data would spoil it, and Postgres knows only those of its own host."""
    host = place.address.host
    if host not in ("", hostname()) and place.process_file.exists():
        raise InputError(
            f"--dir {place.path}: host {host} has started it, and not stopped it: do this there; if that host is gone "
            f"for good, remove {place.process_file} first"
        )


def _check_room(place: ServerFolder) -> None:
    if run_program(["test", "-w", str(place.path)], Path("/")).returncode:
        whose = (
            "you" if (account := server_account()) is None else f"user {account.pw_name}, whose server it is,"
        )
        raise InputError(f"--dir {place.path}: {whose} may not write there; name another, as under /var/tmp")
    free, needed = shutil.disk_usage(place.path).free, NEW_BYTES if place.version is None else OLD_BYTES
    if free < needed:
        raise InputError(
            f"--dir {place.path}: its disk has {free / 1e6:,.0f} MB free, and Postgres needs {needed / 1e6:,.0f} MB to "
            "start: free some, or name a folder on another disk"
        )
