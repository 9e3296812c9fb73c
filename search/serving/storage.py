"""A study's database as the dashboard sees it: one try a call, and no writes unless they are allowed."""

import abc
from collections.abc import Callable
from typing import Any

from bottle import HTTPError
from optuna.storages import BaseStorage

from storage.database import Database
from storage.retrying import is_outage, reason

READS = ("get_", "check_", "remove_session")
READ_ONLY = "this dashboard only reads; start it with --allow-changes to edit"


class ShownStorage(BaseStorage):
    """Optuna's storage for a page: an answer of HTTP where there is none from the database.

    Every call raises ``HTTPError``: 503 where the database is away, 403 where it would write and may not.

    Args:
        database: The study's.
        allow_changes: Whether to write.
    """

    def __init__(self, database: Database, allow_changes: bool) -> None:
        self._once = database.once
        self._allow_changes = allow_changes


def _passed_on(name: str) -> Callable[..., Any]:
    reads = name.startswith(READS)

    def call(self: ShownStorage, *arguments: Any, **named: Any) -> Any:
        if not reads and not self._allow_changes:
            raise HTTPError(403, READ_ONLY)
        try:
            return getattr(self._once, name)(*arguments, **named)
        except Exception as error:
            if is_outage(error):
                said = f"the database does not answer ({reason(error)}); this page comes back with it"
                raise HTTPError(503, said) from None
            raise

    call.__name__ = name
    return call


for _name in [name for name in vars(BaseStorage) if not name.startswith("_")]:
    setattr(ShownStorage, _name, _passed_on(_name))
abc.update_abstractmethods(ShownStorage)  # type: ignore[type-abstract]
