"""Live progress: a thread polls the study's database, whatever engine works on it.

A terminal shows a table that stays in place, a notebook the same as HTML; elsewhere each ended trial is one line.
"""

import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from search.progress.notebook import NotebookScreen, in_notebook
from search.study.snapshot import Snapshot, StartedWorker
from search.study.snapshot_words import (
    STARTED_HEADS,
    best_line,
    ended_line,
    headline,
    running_cells,
    running_heads,
)
from storage.errors import DatabaseRemoved
from storage.retry import reason

__all__ = ["Progress", "Snapshot"]

LEAST_ROOM = 2 * 2**20  # Bytes.


class Screen(Protocol):
    """A way to show snapshots; called from one thread at a time."""

    seconds: float
    """How long to wait between two looks at the database."""

    def show(self, snapshot: Snapshot, trouble: str = "") -> None:
        """Show this snapshot in place of the last; ``trouble`` says why it is not the newest, or soon will not be."""

    def close(self) -> None:
        """Show nothing more; what is shown stays."""


class Progress:
    """Shows a study while the ``with`` block runs.

    A poll that fails, because the database is busy or restarts, is shown as such and tried again: the search goes on.

    Args:
        read: Reads the study; called from a thread of its own, and once more when the block ends.
        console: Where to show it; by default the notebook, or standard output.
        log: The file with what the libraries log, named on the screen.
    """

    def __init__(
        self, read: Callable[[], Snapshot], console: Console | None = None, log: Path | None = None
    ) -> None:
        self._read = read
        self._where = (console, log)
        self._last: Snapshot | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> "Progress":
        self._screen = _screen_for(*self._where)
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(timeout=10)
        # A thread that hangs in a locked database must not be joined by a second look at it.
        if not self._thread.is_alive():
            self._look()
        self._screen.close()

    def _watch(self) -> None:
        while not self._over.wait(self._screen.seconds):
            self._look()

    def _look(self) -> None:
        trouble = ""
        try:
            self._last = self._read()
        except KeyError:
            trouble = "the study is not in the database any more"
        except DatabaseRemoved:
            trouble = "the database's file is gone"
        except Exception as error:  # Whatever it is, the search itself is not concerned.
            trouble = f"the database did not answer ({reason(error)}); trying again"
        log = self._where[1]
        if log is not None:  # Of a full disk a database says no more than that it does not answer.
            trouble = disk_warning(log.parent) or trouble
        if self._last is not None:
            self._screen.show(self._last, trouble)


class TableScreen:
    """A table on a terminal, redrawn in place; what others print meanwhile appears above it."""

    seconds = 0.5

    def __init__(self, console: Console, log: Path | None) -> None:
        self._log = log
        self._live = Live(console=console, auto_refresh=False)
        self._live.start()

    def show(self, snapshot: Snapshot, trouble: str = "") -> None:
        """Redraw."""
        self._live.update(table(snapshot, self._log, trouble), refresh=True)

    def close(self) -> None:
        """Leave the last table standing and give the terminal back."""
        self._live.stop()


class LineScreen:
    """Prints one line for each trial that ends, for logs and pipes; trials that had ended before are passed over."""

    seconds = 2.0

    def __init__(self, console: Console, log: Path | None) -> None:
        self._console = console
        self._log = log
        self._told: set[int] | None = None
        self._wanted: int | None = None
        self._tenths = 0
        self._paced = False
        self._trouble = ""
        self._states: dict[str, str] = {}

    def show(self, snapshot: Snapshot, trouble: str = "") -> None:
        """Print the trials that ended since the last look."""
        if self._told is None:
            self._told, self._wanted = {trial.number for trial in snapshot.ended}, snapshot.wanted
            self._say(headline(snapshot))
            if self._log is not None:
                self._say(f"log: {self._log}")
        if snapshot.wanted != self._wanted:
            self._say(
                f"from now on the study shall have {snapshot.wanted} trials, not {self._wanted} (--trials)"
            )
            self._wanted = snapshot.wanted
        if snapshot.pace and not self._paced:
            self._paced = True
            self._say(snapshot.pace)
        for worker in snapshot.started:
            if self._states.get(worker.name) != worker.state:
                self._states[worker.name] = worker.state
                self._say(f"{worker.name} {worker.state}{f' ({worker.detail})' if worker.detail else ''}")
        shares = [trial.features for trial in snapshot.running if trial.features is not None]
        if shares and int(10 * max(shares)) > self._tenths:
            self._tenths = int(10 * max(shares))
            self._say(f"the backbone's features, computed once for all trials: {10 * self._tenths} %")
        for trial in snapshot.ended:
            if trial.number not in self._told:
                self._told.add(trial.number)
                self._say(ended_line(trial, snapshot.metric, snapshot.unit))
        if trouble and trouble != self._trouble:
            self._say(trouble)
        self._trouble = trouble

    def close(self) -> None:
        """Nothing to undo."""

    def _say(self, line: str) -> None:
        # Not wrapped: a program or grep reads these lines.
        self._console.print(line, soft_wrap=True, markup=False, highlight=False)


def table(snapshot: Snapshot, log: Path | None = None, trouble: str = "") -> Group:
    """The snapshot for a terminal: how far, the best so far, a row a worker, the log file's name."""
    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for head in running_heads(snapshot.metric, snapshot.unit):
        # A metric may have the name of a class in it, which is no markup.
        justify: Literal["left", "right"] = "left" if head in ("worker", "device") else "right"
        rows.add_column(Text(head), justify=justify, no_wrap=True)
    for trial in snapshot.running:
        rows.add_row(*(Text(cell) for cell in running_cells(trial)))
    lines: list[Text | Table] = [Text(headline(snapshot), style="bold"), Text(best_line(snapshot))]
    if snapshot.pace:
        lines.append(Text(snapshot.pace))
    if snapshot.running:
        lines.append(rows)
    lines += [Text(f"at work: {export}") for export in snapshot.exports]
    if snapshot.started:
        lines.append(_started_table(snapshot.started))
    if trouble:
        lines.append(Text(trouble, style="yellow"))
    if log is not None:
        lines.append(Text(f"log: {log}", style="dim", overflow="fold"))
    return Group(*lines)


def _started_table(started: Sequence[StartedWorker]) -> Table:
    """A row for each worker that an engine was asked to start."""
    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for head in STARTED_HEADS:
        rows.add_column(head, overflow="fold")
    for one in started:
        rows.add_row(*(Text(cell) for cell in (one.name, one.state, one.detail, one.log)))
    return rows


def disk_warning(folder: Path) -> str:
    """A warning if the disk of ``folder`` is as good as full; else empty.

    It is needed because a database on a full disk waits, and says nothing itself.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return ""
    if free >= LEAST_ROOM:
        return ""
    return f"the disk of {folder} is full ({free / 2**20:.1f} MiB are left): free some, or the search ends"


def _screen_for(console: Console | None, log: Path | None) -> Screen:
    if console is None and in_notebook():
        return NotebookScreen(log)
    console = console or Console()
    return TableScreen(console, log) if console.is_interactive else LineScreen(console, log)
