"""What searches and sweeps came to, as Python and a notebook show it."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from search.errors import InputError
from search.exporting.export import Export
from search.exporting.shown import pictures_html
from search.formatting import count
from search.prediction.output import Prediction
from search.progress.notebook import table_html
from search.study.snapshot import take_snapshot
from search.study.study import LoadedStudy

PICTURES_OF_A_SWEEP = {
    "sweep.png": "Validation accuracy, time and parameters by the varied value",
    "sweep_curves.png": "Training and validation accuracy of each run by epoch",
}


@dataclass(frozen=True, repr=False)
class StudyResult:
    """What a search came to.

    Attributes:
        study: The open study, for whatever else is wanted of it.
        stopped: Why it ended before its N trials; empty where it did not.
        by_user: Whether it was a signal (Ctrl-C) that ended it.
        export: The best trial's export; None where none was asked for or nothing is finished.
        none_complete: Why no trial can be ranked or exported although some have ended, and what to do; else empty.
        detached: What goes on without this process, and how to see, attach to and stop it; else empty.
    """

    study: LoadedStudy
    stopped: str
    by_user: bool
    export: Export | None
    none_complete: str = ""
    detached: str = ""

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, in order of number."""
        return self.study.optuna.get_trials(deepcopy=False)

    @property
    def best(self) -> FrozenTrial | None:
        """The best complete trial: its ``number``, ``value`` and ``params``."""
        ranked = self.study.ranked()
        return ranked[0] if ranked else None

    def predict(self, images: Any) -> list[Prediction]:
        """Classify images with the export; see ``Export.predict``.

        Raises:
            InputError: Nothing has been exported, or the images cannot be used.
        """
        if self.export is None:
            raise InputError(
                f"study {self.study.config.study} has no export to predict with ({self._why_no_export()}); export one "
                "with export_study, or with run_study without export=False"
            )
        return self.export.predict(images)

    def __repr__(self) -> str:
        """The same in a line; the fields of a study are pages."""
        far = f"{len(self.study.finished())} of {count(self.study.wanted, 'trial')}"
        made = f"no export: {self._why_no_export()}" if self.export is None else repr(self.export)
        return f"<study {self.study.config.study}: {far}; {made}>"

    def _why_no_export(self) -> str:
        return self.none_complete or self.stopped or "none was asked for"

    def _repr_html_(self) -> str:
        """How the study stands, and its export, as a notebook shows them under a cell."""
        stands = table_html(take_snapshot(self.study))
        made = (
            self.export._repr_html_() if self.export else f"<p>no export: {escape(self._why_no_export())}</p>"
        )
        return f"{stands}{made}"


@dataclass(frozen=True, repr=False)
class SweepResult:
    """What a sweep came to.

    Attributes:
        study: The open study.
        stopped: Why it ended before all cells; empty where it did not.
        by_user: Whether it was a signal (Ctrl-C) that ended it.
        folder: With the report's files.
        summary: What ``sweep.json`` holds.
    """

    study: LoadedStudy
    stopped: str
    by_user: bool
    folder: Path
    summary: dict[str, Any]

    def __repr__(self) -> str:
        """The same in a line."""
        return f"<sweep {self.study.config.study}: {self.summary.get('sentence') or self.stopped} In {self.folder}>"

    def _repr_html_(self) -> str:
        """How the sweep stands, and its pictures, as a notebook shows them under a cell."""
        sentence = f"<p>{escape(str(self.summary.get('sentence', '')))}</p>"
        return f"{table_html(take_snapshot(self.study))}{sentence}{pictures_html(self.folder, PICTURES_OF_A_SWEEP)}"
