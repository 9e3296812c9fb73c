"""Database URLs: which of them are supported, where their files lie, and how to show them without a password."""

import os
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from storage.process_identity import hostname

ENVIRONMENT = "SEARCH_STORAGE"
EXAMPLES = "sqlite:///studies/search.db or postgresql://user@host/database"
# SQLite's locks and its write-ahead log need one kernel that sees all writers.
NETWORK_FILE_SYSTEMS = (
    "nfs", "cifs", "smb", "afs", "ceph", "gluster", "lustre", "gpfs", "beegfs", "ocfs2", "gfs2", "orangefs",
    "pvfs2", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.glusterfs", "fuse.juicefs", "drvfs",
)  # fmt: skip
MOUNTS = Path("/proc/self/mountinfo")


def default_url(root: Path) -> str:
    """The URL of the SQLite database in the folder of all studies."""
    file = str(root / "search.db")
    plain = f"sqlite:///{file}"
    # A name with "?" or "%" would be read as another; only such a one is escaped, for a URL is shown to people.
    return (
        plain if make_url(plain).database == file else URL.create("sqlite", database=file).render_as_string()
    )


def storage_url(requested: str | None, root: Path) -> str:
    """The URL requested, else that of the environment's ``SEARCH_STORAGE``, else the SQLite database in ``root``."""
    if requested is not None:  # An empty one is refused as no URL: a shell's variable was not set.
        return requested
    return os.environ.get(ENVIRONMENT) or default_url(root)


def parse(url: str) -> URL:
    """The parts of a URL.

    Raises:
        ValueError: It is not the URL of a supported database; in one line without a password.
    """
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError):
        # ValueError comes of a port that is no number; its message quotes what may be a password.
        raise ValueError(f"storage: not a database URL; expected one such as {EXAMPLES}") from None
    if "@" in (parsed.host or ""):
        raise ValueError("storage: an @ in a user's name or password must be written as %40") from None
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        if parsed.database in (None, "", ":memory:"):
            raise ValueError(f"storage {redacted(parsed)}: names no file; expected sqlite:///PATH")
        return parsed
    if parsed.drivername in ("postgresql", "postgresql+psycopg", "postgres"):
        if not parsed.database:
            raise ValueError(
                f"storage {redacted(parsed)}: names no database; expected postgresql://user@host/database"
            )
        return parsed.set(drivername="postgresql+psycopg")
    raise ValueError(
        f"storage {redacted(parsed)}: only SQLite and Postgres are supported; expected one such as {EXAMPLES}"
    )


def check_url(url: str) -> None:
    """Refuse a URL at which there cannot be a database.

    Raises:
        ValueError: It is not the URL of a supported database, or names an SQLite file in a folder that does not exist
            or is on a network file system; in one line without a password.
    """
    parsed = parse(url)
    if not is_sqlite(parsed):
        return
    folder = sqlite_file(parsed).parent
    if not folder.is_dir():
        raise ValueError(
            f"storage {redacted(parsed)}: the folder {folder} does not exist; make it, or name another"
        )
    if kind := network_file_system(folder):
        raise ValueError(
            f"storage {redacted(parsed)}: {folder} is on a network file system ({kind}), on which SQLite loses data "
            "when several processes write; use a local folder, or Postgres (python -m search.database makes one)"
        )


def is_sqlite(url: URL) -> bool:
    """Whether the database is a file of this host."""
    return url.get_backend_name() == "sqlite"


def sqlite_file(url: URL) -> Path:
    """The file of an SQLite database."""
    return Path(str(url.database))


def redacted(url: URL) -> str:
    """The URL with stars in place of its passwords, to be shown to people."""
    secret = {name: "***" for name in url.query if _is_secret(name)}
    return url.update_query_dict(secret).render_as_string(hide_password=True)


def identity(url: str, root: Path) -> str:
    """What tells a database from others, in words: its URL without a password, and whose file it is.

    Args:
        url: The database's URL.
        root: The folder of all studies. A database in it may be moved and shared with it; any other file is this
            host's own, for another may have one of the same path.
    """
    bare = without_password(parse(url))
    if not is_sqlite(bare):
        return bare.render_as_string()
    file = sqlite_file(bare).resolve()
    if file.is_relative_to(root.resolve()):
        return f"sqlite:///{file.relative_to(root.resolve())} in the folder of all studies"
    return f"sqlite:///{file} on {hostname()}"


def passwords_of(url: URL) -> dict[str, str]:
    """The passwords in a URL, before its host and among its options, by the driver's names for them."""
    in_options = {name: str(value) for name, value in url.query.items() if _is_secret(name)}
    return {"password": str(url.password), **in_options} if url.password is not None else in_options


def without_password(url: URL) -> URL:
    """The URL without its passwords."""
    return url._replace(password=None).difference_update_query(
        [name for name in url.query if _is_secret(name)]
    )


def _is_secret(name: str) -> bool:
    return "pass" in name.lower() and name.lower() != "passfile"


def network_file_system(folder: Path) -> str:
    """The kind of network file system that a folder is on; empty for a local one, or where the system does not tell."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    innermost, kind = "", ""
    target = folder.resolve()
    for line in lines:
        before, _, after = line.partition(" - ")
        mount = before.split()[4].replace("\\040", " ")
        # The innermost of nested mounts counts, and the last of several on one folder.
        if len(mount) >= len(innermost) and target.is_relative_to(mount):
            innermost, kind = mount, after.split()[0]
    return kind if kind.startswith(NETWORK_FILE_SYSTEMS) else ""
