"""Progress in Jupyter: one table under the cell, replaced in place; no widgets needed."""

import sys
from collections.abc import Sequence
from html import escape as as_html
from pathlib import Path

from search.formatting import unbroken
from search.study.snapshot import Snapshot
from search.study.snapshot_words import STARTED_HEADS, best_line, headline, running_cells, running_heads


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel (Jupyter, Colab, VS Code), without importing IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    # A terminal's IPython has a shell too, but no kernel.
    return getattr(shell, "kernel", None) is not None


class NotebookScreen:
    """Shows snapshots through one IPython display handle.

    Args:
        log: The file that the libraries' chatter goes to, named under the table.
    """

    seconds = 1.0

    def __init__(self, log: Path | None = None) -> None:
        from IPython.display import HTML, display

        self._log = log
        self._html = HTML
        self._handle = display(HTML("<p>the search starts</p>"), display_id=True)

    def show(self, snapshot: Snapshot, trouble: str = "") -> None:
        """Replace the table."""
        self._handle.update(self._html(table_html(snapshot, self._log, trouble)))

    def close(self) -> None:
        """Nothing to undo: the last table stays under the cell."""


def _escape(text: str) -> str:
    return as_html(unbroken(text))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{_escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{_escape(cell)}</td>" for cell in cells) + "</tr>" for cells in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def table_html(snapshot: Snapshot, log: Path | None = None, trouble: str = "") -> str:
    """The snapshot as HTML: two lines, a row a worker, exports, what engines were asked to start, the log file."""
    heads = running_heads(snapshot.metric, snapshot.unit)
    rows = [running_cells(trial) for trial in snapshot.running]
    lines = [f"<p><b>{_escape(headline(snapshot))}</b><br>{_escape(best_line(snapshot))}</p>"]
    if snapshot.pace:
        lines.append(f"<p>{_escape(snapshot.pace)}</p>")
    if rows:
        lines.append(_table(heads, rows))
    lines += [f"<p>at work: {_escape(export)}</p>" for export in snapshot.exports]
    if started := [(one.name, one.state, one.detail, one.log) for one in snapshot.started]:
        lines.append(_table(STARTED_HEADS, started))
    if trouble:
        lines.append(f"<p>{_escape(trouble)}</p>")
    if log is not None:
        lines.append(f"<p>log: {as_html(str(log))}</p>")
    return "".join(lines)
