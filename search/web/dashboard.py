"""optuna-dashboard over a study's database, served behind a guard."""

import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bottle import HTTPError
from optuna_dashboard import wsgi

from search.study.finding import load_study
from search.study.study import LoadedStudy
from search.web.guard import MOST_BYTES, Application, Guard, Rules
from search.web.listening import check_address, listen, names_of, serve
from search.web.pictures import Pictures
from search.web.read_only import hiding_changes
from search.web.storage import ShownStorage
from storage.occupancy import occupants
from storage.retry import is_outage, reason

# Each may hold a connection to the database, of which a process has five.
THREADS = 4


def serve_dashboard(
    study: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    allow_changes: bool = False,
    password_file: Path | None = None,
    storage: str | None = None,
    root: Path = Path("studies"),
    say: Callable[[str], None] = print,
) -> None:
    """Serve the dashboard until Ctrl-C or SIGTERM.

    Args:
        study: The study whose address is printed; the others of its database can be reached from there.
        host: The address to listen on.
        port: The port; 0 for any that is free.
        allow_changes: Whether to write, too: notes, attributes, ends of trials, deletions of studies.
        password_file: A file whose first line a browser must give; needed for any address but this host's own.
        storage: Database URL; by default the environment's ``SEARCH_STORAGE``, or SQLite under ``root``.
        root: The folder of all studies.
        say: Gets lines for a person.

    Raises:
        InputError: There is no such study, the address cannot be listened on, or a password is needed and missing.
    """
    password = check_address(host, port, password_file, "read the study")
    loaded = load_study(study, storage, root)
    application = make_application(loaded, names_of(host), password, allow_changes)
    server = listen(application, host, port, THREADS, MOST_BYTES)
    with warnings.catch_warnings():  # Optuna's own, of a study with few trials, are not for this terminal.
        warnings.filterwarnings("ignore", category=UserWarning, module="optuna")
        # Its note says in words what all other pages draw.
        serve(server, host, f"/dashboard/studies/{loaded.study_id}/note", say)


def make_application(
    loaded: LoadedStudy, names: frozenset[str], password: str | None = None, allow_changes: bool = False
) -> Application:
    """optuna-dashboard over the study's database and pictures, behind a guard; see ``serve_dashboard``."""
    storage: Any = ShownStorage(loaded.storage, allow_changes)  # type: ignore[abstract]
    with suppress(HTTPError):  # Ended trials stay in memory: the first page need not wait for them.
        storage.get_all_trials(loaded.study_id, deepcopy=False)

    def trouble() -> str:
        try:
            storage.get_study_user_attrs(loaded.study_id)  # The name would come from memory.
        except HTTPError as error:
            return str(error.body)
        except KeyError:  # It has been deleted; the page of all studies is still there.
            return ""
        return ""

    def busy(study_id: int) -> str:
        database = loaded.storage
        try:
            found = occupants(database, study_id, database.timeouts.grace + database.timeouts.outage)
        except KeyError:  # There is no such study, as the application will say.
            return ""
        except Exception as error:
            if not is_outage(error):
                raise
            return f"the database does not answer ({reason(error)})"
        return f"worked on by {', '.join(map(str, found))}; stop them first" if found else ""

    application: Any = wsgi(storage, artifact_store=Pictures(storage, loaded.paths.root, allow_changes))
    if not allow_changes:
        application = hiding_changes(application)
    return Guard(application, Rules(names, password, allow_changes), trouble, busy=busy)
