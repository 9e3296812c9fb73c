"""An export's folder as the report reads it. No other source tells the report anything of the test images."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.errors import InputError
from search.exporting.folder import default_folder
from search.exporting.summary import how_trained

if TYPE_CHECKING:
    from search.config.study_config import StudyConfig
    from search.reporting.trial_facts import TrialFacts


SUMMARY = "summary.json"
# With a larger picture a page would be too large to send; the file lies in the export.
MOST_BYTES = 3_000_000
# The least that a summary must have.
NEEDED = ("study", "trial", "test_accuracy", "test_loss", "macro_f1", "test_images", "validation_images")


@dataclass(frozen=True)
class ExportReader:
    """Reads the files of an export, which may be of an older version and lack some.

    Every method raises ``InputError`` where its file is spoilt.

    Attributes:
        folder: The export's folder.
        summary: Its ``summary.json``.
    """

    folder: Path
    summary: Mapping[str, Any]

    @property
    def how_trained(self) -> str:
        """See ``search.exporting.summary.how_trained``."""
        return how_trained(self.summary)

    def matrix(self) -> list[list[int]] | None:
        """The confusion matrix: counts, a row for each true class; None where the file is missing."""
        rows = self._rows("confusion_matrix.csv")
        try:
            return None if rows is None else [[int(cell) for cell in row[1:]] for row in rows[1:]]
        except ValueError:
            raise self._spoilt("confusion_matrix.csv") from None

    def predictions(self) -> list[tuple[str, str, str, float]] | None:
        """Path or number, true and predicted class and confidence of each test image; None where there is no file."""
        rows = self._rows("predictions.csv")
        try:
            return None if rows is None else [(row[0], row[1], row[2], float(row[3])) for row in rows[1:]]
        except (ValueError, IndexError):
            raise self._spoilt("predictions.csv") from None

    def picture(self, name: str) -> bytes | None:
        """The bytes of a picture; None where there is none, or one too large for a page."""
        path = self.folder / name
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return None
        return path.read_bytes()

    def text(self, name: str) -> str | None:
        """The text of a file; None where there is none."""
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
            content = None if text is None else json.loads(text)
        except ValueError:
            raise self._spoilt(name) from None
        if content is not None and not isinstance(content, dict):
            raise self._spoilt(name)
        return content

    def _spoilt(self, name: str) -> InputError:
        return InputError(f"--export {self.folder}: its {name} is spoilt; export again")


def find_export(
    folder: Path | None, config: "StudyConfig", trials: "Sequence[TrialFacts]", uid: str
) -> tuple[ExportReader | None, str]:
    """Find the study's export.

    Args:
        folder: Its folder; None for ``exports/<study>``, where there need not be one.
        config: The study's settings.
        trials: The study's trials.
        uid: What tells it from another study of its name; see ``storage.paths.StudyPaths``.

    Returns:
        The export; or None, and why there is none.

    Raises:
        InputError: The folder that was named is no export of this study, or one of its files cannot be read.
    """
    place = folder or default_folder(config.study)
    if not (place / SUMMARY).is_file():
        if folder is None:
            return None, f"there is no export in {place}"
        raise InputError(
            f"--export {place}: is no export, it has no {SUMMARY}; make one with "
            f"python -m search.export --study {config.study}"
        )
    export = _read(place)
    other = _other_study(export.summary, config, trials, uid)
    if not other:
        return export, ""
    if folder is None:
        return None, f"the export in {place} is of {other}"
    raise InputError(
        f"--export {place}: is of {other}, not of study {config.study} as it is here; name this study's own export"
    )


def _other_study(
    summary: Mapping[str, Any], config: "StudyConfig", trials: "Sequence[TrialFacts]", uid: str
) -> str:
    """The other study that an export is of; empty where it is this one. A deleted study's name may be used again."""
    if summary["study"] != config.study:
        return f"study {summary['study']}"
    if summary.get("data_fingerprint") != config.fingerprint:
        return "another study of this name, on other images"
    if summary.get("study_uid", uid) != uid:  # Older versions wrote none.
        return "another study of this name"
    for trial in trials:
        ended = trial.number == summary["trial"] and trial.state in ("finished", "pruned")
        if ended and trial.recorded.get("params") == summary.get("params"):
            return ""
    return f"another study of this name, with another trial {summary['trial']}"


def _read(folder: Path) -> ExportReader:
    reader = ExportReader(folder, {})
    summary = reader._json(SUMMARY) or {}
    if any(name not in summary for name in NEEDED):
        raise reader._spoilt(SUMMARY)
    return ExportReader(folder, summary)
