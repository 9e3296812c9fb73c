"""Who is at work on a study: the workers of its running trials, and exports, whose trainings are no trials.

A trial's sign of life tells of its worker (``storage.liveness``). An export leaves the same on the study itself, for as
long as it reads the study's weights or trains, so that nobody deletes the study under it.
"""

import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from storage.claims import lock_name
from storage.database import Database
from storage.liveness import HEARTBEAT, is_worker_dead, sign_of_life
from storage.queries import read_trials

# The system attribute of a study that holds the signs of life of its exports, by their tokens.
EXPORTS = "exports_at_work"
EXIT_SECONDS = 2.0


class StudyGone(Exception):
    """The study has been deleted while somebody worked on it."""


@dataclass(frozen=True)
class Occupant:
    """Somebody at work on a study.

    Attributes:
        name: Of the worker or the exporting process: host and process id.
        task: ``trial 3``, or ``an export that began 90 s ago``.
        silent: Seconds since its last sign of life.
    """

    name: str
    task: str
    silent: float

    def __str__(self) -> str:
        """The same in words."""
        return f"{self.name} ({self.task}, seen {self.silent:.0f} s ago)"


def occupants(database: Database, study_id: int, patience: float) -> list[Occupant]:
    """Who is, or may be, at work on a study; the database is asked once for each of a few things.

    Args:
        database: The study's database.
        study_id: Optuna's key of the study.
        patience: Seconds of silence after which one is taken for dead.

    Raises:
        KeyError: There is no such study.
    """
    lives = [
        (f"trial {trial.number}", trial.system_attrs.get(HEARTBEAT))
        for trial in read_trials(database, study_id, ())
        if trial.state.name == "RUNNING"
    ]
    return [*_alive(lives, database.now(), patience), *exports_at_work(database, study_id, patience)]


def exports_at_work(database: Database, study_id: int, patience: float) -> list[Occupant]:
    """The exports of a study that are, or may be, at work; see ``occupants``."""
    exports = database.unretried.get_study_system_attrs(study_id).get(EXPORTS, {})
    if not exports:
        return []
    now = database.now()
    lives = [(f"an export that began {now - life['began']:.0f} s ago", life) for life in exports.values()]
    return _alive(lives, now, patience)


def _alive(lives: Sequence[tuple[str, dict[str, Any] | None]], now: float, patience: float) -> list[Occupant]:
    return [
        Occupant(str(life["worker"]), task, max(0.0, now - life["time"]))
        for task, life in lives
        if life is not None and not is_worker_dead(life, now, patience)
    ]


class ExportAtWork:
    """Shows on a study that this process exports one of its trials, while the ``with`` block runs.

    Args:
        database: The study's database.
        study_id: Optuna's key of the study.
        worker: This process's name.
        is_there: Whether nobody has deleted the study. Its key is not enough: in SQLite it may be another's by then.

    Raises:
        StudyGone: There is no such study; at the beginning of the block.
    """

    def __init__(self, database: Database, study_id: int, worker: str, is_there: Callable[[], bool]) -> None:
        self._database, self._study_id, self._worker = database, study_id, worker
        self._is_there = is_there
        self._token = uuid.uuid4().hex[:16]
        self._began: float | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="export's heartbeat", daemon=True)

    def __enter__(self) -> "ExportAtWork":
        self._write()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(timeout=EXIT_SECONDS)
        try:
            self._write(last=True)
        except Exception:  # The database is away or the study gone: this process's end tells the same.
            return

    def _beat(self) -> None:
        while not self._over.wait(self._database.timeouts.heartbeat):
            try:
                self._write()
            except StudyGone:
                return
            except Exception:  # The database is away: the next sign of life may come through.
                continue

    def _write(self, *, last: bool = False) -> None:
        """Write this export's sign of life beside those of others, and forget those that are dead."""

        def write() -> None:
            if not self._is_there():
                raise StudyGone
            database = self._database
            before: dict[str, Any] = database.get_study_system_attrs(self._study_id).get(EXPORTS, {})
            now, longest = database.now(), database.timeouts.grace + database.timeouts.outage
            kept = {
                token: life
                for token, life in before.items()
                if token != self._token and not is_worker_dead(life, now, longest)
            }
            self._began = self._began or now
            if not last:
                kept[self._token] = sign_of_life(self._token, self._worker, now, began=self._began)
            database.set_study_system_attr(self._study_id, EXPORTS, kept)

        self._database.exclusively(lock_name(self._study_id), write)
