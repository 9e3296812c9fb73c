"""A new server's data: made aside, with the role and the database of the studies, before anybody can connect."""

import re
import secrets
import shutil
from pathlib import Path

from search.errors import InputError
from search.postgres.folder import NAME, ServerFolder
from search.postgres.programs import Programs, last_line, run_program

# Of the same collation wherever it is made, and with checksums: a cluster's disks may be anything.
NEW = ("--encoding=UTF8", "--locale=C", "--data-checksums", "--auth-local=peer", "--auth-host=scram-sha-256")
# A statement that fails must not be logged, with the password in it.
QUIET = ("-c", "log_min_error_statement=panic", "-c", "password_encryption=scram-sha-256")


def make_data(place: ServerFolder, programs: Programs) -> None:
    """Make the data aside and rename it, so that a start that is cut short leaves none that is half made.

    Raises:
        InputError: Postgres fails at it, and with what words.
    """
    part = place.data.with_name("data.part")
    if part.exists():
        shutil.rmtree(part)
    made = run_program([str(programs.folder / "initdb"), "-D", str(part), *NEW], place.path)
    if made.returncode:
        raise InputError(f"--dir {place.path}: initdb fails ({last_line(made.stderr)})")
    # The role is no superuser: whoever has its password can change the studies, and nothing else of the host.
    _run_alone(place, programs, part, [f"CREATE ROLE {NAME} LOGIN", f"CREATE DATABASE {NAME} OWNER {NAME}"])
    part.rename(place.data)


def set_password(place: ServerFolder, programs: Programs) -> None:
    """Draw a password, give it to the role, and write it into its file.

    Raises:
        InputError: Postgres fails at it, and with what words.
    """
    password = secrets.token_urlsafe(24)
    _run_alone(place, programs, place.data, [f"ALTER ROLE {NAME} PASSWORD '{password}'"])
    place.write(place.password_file, f"*:*:{NAME}:{NAME}:{password}\n")


def _run_alone(place: ServerFolder, programs: Programs, data: Path, statements: list[str]) -> None:
    """Run statements, a line each, in a server without any connection: no command line shows a password."""
    single = [str(programs.folder / "postgres"), "--single", "-D", str(data), *QUIET, "postgres"]
    ended = run_program(single, place.path, standard_input="\n".join(statements) + "\n")
    failed = re.search(r"(?:ERROR|FATAL|PANIC): +(.*)", ended.stderr)
    if ended.returncode or failed:
        why = failed[1] if failed else last_line(ended.stderr)
        raise InputError(f"--dir {place.path}: Postgres cannot set up its database ({why})")
