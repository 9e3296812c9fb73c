"""A backup of a running server's studies, in one file from which any Postgres of its version or later restores them."""

import subprocess
from pathlib import Path

from search.errors import InputError
from search.postgres.folder import existing_folder
from search.postgres.programs import last_line, programs_for
from search.postgres.server import status_of
from storage.atomic import atomic_write


def back_up(folder: Path, file: Path) -> str:
    """Write all studies, as they are at one moment, into a file, while searches go on.

    Args:
        folder: The server's folder.
        file: The file; it must not exist.

    Returns:
        The command that restores it into a new server's database, up to the URL of that.

    Raises:
        InputError: The server does not run, or the file cannot be written.
    """
    status, programs = status_of(place := existing_folder(folder)), programs_for(place.version)
    if not status.running:
        raise InputError(f"--dir {folder}: its server does not run; search.database start starts it")
    if file.exists():
        raise InputError(f"{file}: is there already, and a backup is not overwritten; name another file")
    dump = [str(programs.folder / "pg_dump"), "--format=custom", "--no-owner", "--dbname", status.url]
    try:
        with atomic_write(file) as aside, aside.open("xb") as out:
            made = subprocess.run(
                dump,
                stdout=out,
                stderr=subprocess.PIPE,
                env={"PGPASSFILE": status.password_file},
                check=False,
            )
            if made.returncode:
                why = last_line(made.stderr.decode(errors="replace"))
                raise InputError(f"{file}: pg_dump fails ({why}); nothing was written")
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror}); name another file") from None
    return f"{programs.folder / 'pg_restore'} --no-owner --exit-on-error --dbname"
