"""An export's folder: filled beside its place, then put there in one step, so that it is whole or absent."""

import contextlib
import glob
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from search.config.value_types import as_path
from search.data.examples import FILE as EXAMPLES
from search.data.familiarity import FILE as FAMILIARITY
from search.errors import InputError
from search.exporting.formats import FORMATS
from storage.atomic import LEFT_SECONDS
from storage.paths import MARKERS

# What lies in the folder of every export.
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
# What lies there only where graphviz is installed, or on request.
OPTIONAL_FILES = (
    "architecture.png",
    "confirm.png",
    "cost.png",
    "out_of_fold.csv",
    EXAMPLES,
    FAMILIARITY,
    *(form.file for form in FORMATS.values()),
)
# What lies in the folder of a sweep's report.
SWEEP_FILES = ("sweep.csv", "sweep.json", "sweep.png", "sweep_curves.png")


def check_target(out: Path, files: tuple[str, ...] = (*FILES, *OPTIONAL_FILES)) -> Path:
    """Check that an export may be put at ``out``; nothing is written yet.

    Args:
        out: A folder, new or of an earlier export.
        files: The names of the files that an earlier export may have there.

    Returns:
        Its absolute path.

    Raises:
        InputError: It is a file, a folder with anything else in it (hidden or not) or without the file by which an
            earlier export is known, a place in the folder of a study or of another export, or one that cannot be
            written to.
    """
    target = as_path("--out", out).absolute().resolve()
    _check_above(target, out)
    if target.exists() and not target.is_dir():
        raise InputError(f"--out {out}: is a file; expected a folder, new or from an earlier export")
    names = sorted(entry.name for entry in target.iterdir()) if target.exists() else []
    # What a file manager leaves in any folder. Whatever else is hidden is somebody's: ``.git``, ``.env``.
    there = [name for name in names if name != ".DS_Store" and not name.startswith("._")]
    if foreign := [name for name in there if name not in files]:
        raise InputError(f"--out {out}: {_loss(target, foreign, files)}")
    if there and not _is_ours(target, files):
        raise InputError(
            f"--out {out}: holds {there[0]!r}, but no {_mark(files)} by which it would be an earlier one's; name "
            "another folder, or empty this one"
        )
    above = next(folder for folder in (target, *target.parents) if folder.exists())
    try:
        tempfile.TemporaryFile(dir=above).close()  # Not all that permissions allow can be done.
    except OSError:
        raise InputError(
            f"--out {out}: {above} is not a folder that can be written to; name another folder"
        ) from None
    return target


def _check_above(target: Path, out: Path) -> None:
    """Refuse a place whose content goes with what is around it, or would make that an unknown folder."""
    for folder in target.parents:
        whose = "a study, with which it would be deleted" if any(folder.glob(MARKERS)) else ""
        for kind, files in (("an export", FILES), ("a sweep's report", SWEEP_FILES)):
            # A summary.json alone may be anybody's.
            if all((folder / name).is_file() for name in files[:2]):
                whose = f"{kind}, which nothing could replace then"
        if whose:
            raise InputError(f"--out {out}: {folder} is the folder of {whose}; name a folder outside it")


def _mark(files: Sequence[str]) -> str:
    """The file by which a folder is known as that of an earlier export or report."""
    return "sweep.json" if files == SWEEP_FILES else "summary.json"


def _is_ours(target: Path, files: Sequence[str]) -> bool:
    """Whether its mark can be read; names alone may be those of somebody's own files, such as ``model.keras``."""
    try:
        return isinstance(json.loads((target / _mark(files)).read_text(encoding="utf-8")), dict)
    except (OSError, ValueError):
        return False


def _loss(target: Path, foreign: Sequence[str], files: Sequence[str]) -> str:
    """What would be lost in a folder, and what to do instead."""
    # By default a sweep's report and an export of the same study go to the same place.
    for kind, its_files, ending in (
        ("a sweep's report", SWEEP_FILES, "model"),
        ("an export", (*FILES, *OPTIONAL_FILES), "sweep"),
    ):
        if files != its_files and set(foreign) <= set(its_files):
            return (
                f"holds {kind} ({foreign[0]}), which would be lost; name another folder, such as "
                f"--out {target.with_name(f'{target.name}_{ending}')}"
            )
    return f"holds {foreign[0]!r}, which no export wrote and which would be lost; name another folder"


@contextmanager
def reserved(target: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Keep every other process from writing to ``target`` within the block; if one does so already, wait for its end.

    Whoever writes there reserves it before the work: what two have scored only one of them could put there.

    Args:
        target: The folder; see ``check_target``.
        say: Gets a line for a person before a wait.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"another process writes to {target}: waiting for its end")
        lock.acquire()
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)  # First: who gets a file that is gone makes another.
        lock.release()


def default_folder(study: str) -> Path:
    """Where a study's export or report lies, if nobody says otherwise."""
    return Path("exports") / study


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Within, fill the empty folder given: once whole it takes the place of ``target``; what fails leaves nothing.

    What an export that was killed has left beside ``target`` is removed a day later, by the next.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_left(target)
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        new = aside / "new"
        new.mkdir()  # with the user's own umask, which mkdtemp does not heed
        yield new
        try:
            if target.exists():
                target.rename(aside / "old")
            new.rename(target)
        except BaseException:  # Such as Ctrl-C between the two.
            if (aside / "old").exists() and not target.exists():
                (aside / "old").rename(target)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove_left(target: Path) -> None:
    # mkdtemp's eight letters: neither the lock beside it nor an export with a longer name is called so.
    for left in target.parent.glob(f".{glob.escape(target.name)}.{8 * '[a-z0-9_]'}"):
        with contextlib.suppress(OSError):
            # Killed between its two last steps, it leaves the earlier export there, of which there is no other.
            lost = (left / "old").exists() and not target.exists()
            # When anything in it was last written; a long export writes below ``new`` alone.
            written = max(path.stat().st_mtime for path in (left, *left.rglob("*")))
            if not lost and time.time() - written > LEFT_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
