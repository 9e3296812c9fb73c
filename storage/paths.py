"""Where the files of a study lie. No other module joins these paths.

The names of checkpoints and kept models carry the token of the claim that they were written under: a worker that was
paused until its trial went to another worker writes beside the new owner's file, never over it.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

MARKERS = ".study-*.json"
# What a writer of a marker that was killed leaves beside it (``storage.atomic``).
MARKERS_ASIDE = f".{8 * '[0-9a-f]'}.{MARKERS}"
# The subfolders of a study's folder. What else lies there is somebody's, such as an export.
OWN = (
    "checkpoints", "confirm", "engines", "logs", "models", "pictures", "predictions", "tensorboard", "trials",
)  # fmt: skip
NAMED = re.compile(r"(\d{5,})-([0-9a-f]+)\.(?:npz|keras)")


@dataclass(frozen=True)
class StudyPaths:
    """The paths of one study's files.

    Attributes:
        root: The folder of all studies.
        study: The study's name.
        uid: An identifier of the study, part of the names of its checkpoints and models. Studies of the same name in
            two databases may share a folder; by it neither removes what is the other's.
    """

    root: Path
    study: str
    uid: str = ""
    _full: Path = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_full", (self.root / self.study).absolute())

    @property
    def folder(self) -> Path:
        """The folder of all files of this study; in full once the process has left where it was named from."""
        named = self.root / self.study
        return named if named.absolute() == self._full else self._full

    def own(self) -> list[Path]:
        """What is there of the study's folder that studies make: its subfolders, and the markers, whole or not."""
        subfolders = [self.folder / name for name in OWN]
        there = [path for path in subfolders if path.is_symlink() or path.exists()]
        return [*there, *sorted(self.folder.glob(MARKERS)), *sorted(self.folder.glob(MARKERS_ASIDE))]

    @property
    def pictures(self) -> Path:
        """The folder of what the dashboard shows of the study and its trials, a file an artifact."""
        return self.folder / "pictures"

    @property
    def tensorboard(self) -> Path:
        """The folder of what TensorBoard reads of the trials, a folder each."""
        return self.folder / "tensorboard"

    @property
    def marker(self) -> Path:
        """The file that says which database the study is in, so that files nobody knows any more can be told."""
        return self.folder / f".study-{self.uid}.json"

    def trial(self, number: int) -> Path:
        """The folder of one trial."""
        return self.folder / "trials" / f"{number:05d}"

    def checkpoint(self, number: int, token: str) -> Path:
        """The checkpoint that a trial's owner writes and the trial resumes from; removed when the trial has ended."""
        return self.folder / "checkpoints" / f"{number:05d}-{self.uid}{token}.npz"

    def checkpoints(self, number: int) -> list[Path]:
        """The checkpoints that a trial could resume from, by all of its owners."""
        return sorted((self.folder / "checkpoints").glob(f"{number:05d}-{self.uid}*.npz"))

    def model(self, number: int, token: str) -> Path:
        """The model file of the weights that a trial scored with; kept for the best few trials."""
        return self.folder / "models" / f"{number:05d}-{self.uid}{token}.keras"

    def models(self, number: int) -> list[Path]:
        """The model files of a trial, by all of its owners."""
        return sorted((self.folder / "models").glob(f"{number:05d}-{self.uid}*.keras"))

    def predictions(self, number: int, token: str, fold: int) -> Path:
        """What a fold of a trial predicted of the images that it was validated on; kept for every trial."""
        return self.folder / "predictions" / f"{number:05d}-{self.uid}{token}-{fold:02d}.npz"

    def prediction_files(self) -> list[Path]:
        """The predictions of all folds of all trials, by all of their owners."""
        return sorted((self.folder / "predictions").glob(f"*-{self.uid}*-*.npz"))

    def trial_files(self) -> list[tuple[Path, int, str]]:
        """Every checkpoint and model file, and what writers that were killed left of one.

        Returns:
            For each the file, the trial's number and the claim's token.
        """
        files = [
            path for name in ("checkpoints", "models") for path in sorted((self.folder / name).glob("*"))
        ]
        named = [(path, found) for path in files if (found := NAMED.search(path.name)) is not None]
        return [
            (path, int(found[1]), found[2].removeprefix(self.uid))
            for path, found in named
            if found[2].startswith(self.uid)
        ]

    def refit_checkpoint(self, number: int, epochs: int) -> Path:
        """The checkpoint that an interrupted refit of ``epochs`` epochs resumes from; removed when it has ended."""
        return self.trial(number) / f"refit-{epochs}.npz"

    def tuning_checkpoint(self, number: int, epochs: int, refit: bool) -> Path:
        """The checkpoint that an interrupted fine-tuning resumes from; removed when it has ended."""
        return self.trial(number) / f"{'refit-' if refit else ''}tuning-{epochs}.npz"

    def race_file(self, number: int, seed: int, kind: str) -> Path:
        """A file of the training of a trial's configuration with another seed, in the race before an export.

        Args:
            number: The trial's number.
            seed: The seed of this training.
            kind: ``json`` for the result, ``keras`` for the weights, ``npz`` for the checkpoint.
        """
        return self.folder / "confirm" / f"{number:05d}-{self.uid}-{seed}.{kind}"

    def race_files(self) -> list[tuple[Path, int]]:
        """The files of all trainings of the race before an export, with their trials' numbers."""
        files = sorted((self.folder / "confirm").glob(f"*-{self.uid}-*"))
        return [(path, int(found[1])) for path in files if (found := re.search(r"(\d{5,})-", path.name))]

    def started(self, token: str) -> Path:
        """The record of workers that an engine was asked to start; removed once they have ended."""
        return self.folder / "engines" / f"{self.uid}-{token}.json"

    def all_started(self) -> list[Path]:
        """The records of all workers that engines were asked to start."""
        return sorted((self.folder / "engines").glob(f"{self.uid}-*.json"))

    def log(self, number: int) -> Path:
        """The file of what the trial's child process printed."""
        return self.trial(number) / "log.txt"

    def worker_log(self, worker: str) -> Path:
        """The file of what a worker and its libraries logged."""
        return self.folder / "logs" / f"{worker}.log"
