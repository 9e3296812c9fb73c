"""``python -m search.dashboard``: optuna-dashboard over a study's database, behind a guard."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.app import main, make_app
from search.cli.options import Storage, Studies, Study, flag, whole


def dashboard(
    study: Study,
    port: Annotated[int, whole("--port", help="Where to listen; 0 for any that is free.")] = 8080,
    host: Annotated[
        str,
        flag("--host", metavar="ADDRESS", help="On which address; any but this host's own wants a password."),
    ] = "127.0.0.1",
    allow_changes: Annotated[
        bool,
        flag("--allow-changes", help="Let whoever sees it edit notes, end trials and delete studies."),
    ] = False,
    password_file: Annotated[
        Path | None,
        flag(
            "--password-file", metavar="FILE", help="Ask for the password in its first line (any user name)."
        ),
    ] = None,
    storage: Storage = None,
    root: Studies = Path("studies"),
) -> None:
    """Show a study, and the others of its database, in a browser: read-only, on this host alone, until Ctrl-C.

    From elsewhere: ssh -L 8080:localhost:8080 HOST, and open the same address.
    """
    import signal

    from search.web.dashboard import serve_dashboard

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    serve_dashboard(
        study,
        host=host,
        port=port,
        allow_changes=allow_changes,
        password_file=password_file,
        storage=storage,
        root=root,
        say=lambda line: print(line, flush=True),
    )
    raise typer.Exit(130)


app = make_app(
    dashboard,
    example="""
python -m search.dashboard --study cifar_cnn
python -m search.dashboard --study cifar_cnn --host 0.0.0.0 --password-file ~/.search-password
""",
)

if __name__ == "__main__":
    main(app)
