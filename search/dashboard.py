"""``python -m search.dashboard``: optuna-dashboard over a study's database, behind a guard."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.app import main, make_app
from search.cli.options import Host, PasswordFile, Port, Storage, Studies, Study, flag


def dashboard(
    study: Study,
    port: Port = 8080,
    host: Host = "127.0.0.1",
    allow_changes: Annotated[
        bool,
        flag("--allow-changes", help="Let whoever sees it edit notes, end trials and delete studies."),
    ] = False,
    password_file: PasswordFile = None,
    storage: Storage = None,
    root: Studies = Path("studies"),
) -> None:
    """Show a study, and the others of its database, in a browser: read-only, on this host alone, until Ctrl-C.

    From elsewhere: ssh -L 8080:localhost:8080 HOST, and open the same address.
    """
    from search.web.dashboard import serve_dashboard

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
