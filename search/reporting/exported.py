"""An export's folder as the report reads it: the only source of anything that is said of the test images."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.errors import InputError

if TYPE_CHECKING:
    from search.config import StudyConfig
    from search.reporting.study import Trial

SUMMARY = "summary.json"
# Of more than this a page would be too large to send; the file lies in the export.
MOST_BYTES = 3_000_000
NEEDED = ("study", "trial", "test_accuracy", "test_loss", "macro_f1", "test_images", "validation_images")


@dataclass(frozen=True)
class Exported:
    """An export.

    Attributes:
        folder: Where it lies.
        summary: Its ``summary.json``.
    """

    folder: Path
    summary: Mapping[str, Any]

    @property
    def trained_anew(self) -> str:
        """How its weights came about other than in the search; empty where they are the search's own."""
        if self.summary.get("refit"):
            return "trained anew on all training images"
        if self.summary.get("confirm"):
            return "trained anew with another seed"
        return "fine-tuned" if (self.summary.get("backbone") or {}).get("fine_tuned") else ""

    def matrix(self) -> list[list[int]] | None:
        """Counts, a row a true class; None where the file is missing."""
        rows = self._rows("confusion_matrix.csv")
        try:
            return None if rows is None else [[int(cell) for cell in row[1:]] for row in rows[1:]]
        except ValueError:
            raise self._spoilt("confusion_matrix.csv") from None

    def classification(self) -> Mapping[str, Any] | None:
        """Figures a class, as scikit-learn reports them; None where the file is missing."""
        return self._json("classification_report.json")

    def predictions(self) -> list[tuple[str, str, str, float]] | None:
        """Of each test image its number, true class, predicted class and confidence; None without the file."""
        rows = self._rows("predictions.csv")
        try:
            return None if rows is None else [(row[0], row[1], row[2], float(row[3])) for row in rows[1:]]
        except (ValueError, IndexError):
            raise self._spoilt("predictions.csv") from None

    def picture(self, name: str) -> bytes | None:
        """A picture's bytes; None where there is none, or one too large for a page."""
        path = self.folder / name
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return None
        return path.read_bytes()

    def text(self, name: str) -> str | None:
        """A file as text; None where there is none."""
        path = self.folder / name
        try:
            return path.read_text(encoding="utf-8") if path.is_file() else None
        except (OSError, UnicodeDecodeError):
            raise self._spoilt(name) from None

    def _rows(self, name: str) -> Sequence[Sequence[str]] | None:
        text = self.text(name)
        return None if text is None else list(csv.reader(io.StringIO(text, newline="")))

    def _json(self, name: str) -> dict[str, Any] | None:
        text = self.text(name)
        try:
            found = None if text is None else json.loads(text)
        except ValueError:
            raise self._spoilt(name) from None
        if found is not None and not isinstance(found, dict):
            raise self._spoilt(name)
        return found

    def _spoilt(self, name: str) -> InputError:
        return InputError(f"--export {self.folder}: its {name} is spoilt; export again")


def find_export(
    said: Path | None, config: "StudyConfig", trials: "Sequence[Trial]"
) -> tuple[Exported | None, str]:
    """The study's export, and otherwise why there is none.

    Args:
        said: Its folder; None for ``exports/<study>``, where there need not be one.
        config: The study's.
        trials: The study's.

    Raises:
        InputError: What was said is no export of this study, or one of its files cannot be read.
    """
    folder = said or Path("exports") / config.study
    if not (folder / SUMMARY).is_file():
        if said is None:
            return None, f"there is no export in {folder}"
        raise InputError(
            f"--export {folder}: is no export, it has no {SUMMARY}; make one with "
            f"python -m search.export --study {config.study}"
        )
    found = _read(folder)
    whose = _of_another(found.summary, config, trials)
    if not whose:
        return found, ""
    if said is None:
        return None, f"the export in {folder} is of {whose}"
    raise InputError(
        f"--export {folder}: is of {whose}, not of study {config.study} as it is here; name this study's own export"
    )


def _of_another(summary: Mapping[str, Any], config: "StudyConfig", trials: "Sequence[Trial]") -> str:
    """Whose export it is; empty where it is this study's. A study may have been made anew under its name."""
    if summary["study"] != config.study:
        return f"study {summary['study']}"
    if summary.get("data_fingerprint") != config.fingerprint:
        return "another study of this name, on other images"
    for trial in trials:
        ended = trial.number == summary["trial"] and trial.state in ("finished", "pruned")
        if ended and trial.said.get("params") == summary.get("params"):
            return ""
    return f"another study of this name, with another trial {summary['trial']}"


def _read(folder: Path) -> Exported:
    found = Exported(folder, {})
    summary = found._json(SUMMARY) or {}
    if any(name not in summary for name in NEEDED):
        raise found._spoilt(SUMMARY)
    return Exported(folder, summary)
