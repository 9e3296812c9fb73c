"""The export's folder: filled aside, then put in its place in one step, so that it is whole or absent."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from search.errors import InputError
from search.evaluation.formats import FORMATS

# What lies in the folder of an export; further down, of a sweep's report.
FILES = (
    "model.keras",
    "summary.json",
    "confusion_matrix.csv",
    "confusion_matrix.png",
    "classification_report.txt",
    "classification_report.json",
    "curves.png",
    "labels.json",
    "predictions.csv",
    "preprocessing.json",
    "samples.png",
    "mistakes.png",
    "model_summary.txt",
    "model_card.md",
)
# Those that an export has only where graphviz is there, or where they were asked for.
MAY_BE = ("architecture.png", "confirm.png", *(kind.file for kind in FORMATS.values()))
SWEEP_FILES = ("sweep.csv", "sweep.json", "sweep.png", "sweep_curves.png")


def check_target(out: Path, files: tuple[str, ...] = (*FILES, *MAY_BE)) -> Path:
    """The absolute path of ``out``, if an export of ``files`` may be put there; nothing is written yet.

    Raises:
        InputError: It is a file, or a folder with anything else in it.
    """
    target = out.expanduser().absolute().resolve()
    if target.exists() and not target.is_dir():
        raise InputError(f"--out {out}: is a file; expected a folder, new or from an earlier export")
    foreign = (
        sorted(
            entry.name
            for entry in target.iterdir()
            if entry.name not in files and not entry.name.startswith(".")
        )
        if target.exists()
        else []
    )
    if foreign:
        raise InputError(f"--out {out}: {_loss(target, foreign, files)}")
    above = next(folder for folder in (target, *target.parents) if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"--out {out}: {above} is not a folder that can be written to; name another folder")
    return target


def _loss(target: Path, foreign: Sequence[str], files: Sequence[str]) -> str:
    """What of a folder would be lost, and what to do instead."""
    # By default a sweep's report and an export of the same study go to the same place.
    for kind, theirs, ours in (
        ("a sweep's report", SWEEP_FILES, "model"),
        ("an export", (*FILES, *MAY_BE), "sweep"),
    ):
        if files != theirs and set(foreign) <= set(theirs):
            return (
                f"holds {kind} ({foreign[0]}), which would be lost; name another folder, such as "
                f"--out {target.with_name(f'{target.name}_{ours}')}"
            )
    return f"holds {foreign[0]!r}, which no export wrote and which would be lost; name another folder"


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """An empty folder that takes the place of ``target`` when the block ends well, and is gone otherwise."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        fresh = aside / "new"
        fresh.mkdir()  # with the user's own umask, which mkdtemp does not heed
        yield fresh
        if target.exists():
            target.rename(aside / "old")
        fresh.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
