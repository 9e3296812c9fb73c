"""Where everything of a study lies; nobody else joins these paths."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StudyPaths:
    """The files of one study.

    Attributes:
        root: The folder of all studies, by default ``studies``.
        study: The study's name.
    """

    root: Path
    study: str

    @property
    def folder(self) -> Path:
        """All files of this study."""
        return self.root / self.study

    def trial(self, number: int) -> Path:
        """The folder of one trial."""
        return self.folder / "trials" / f"{number:05d}"

    def checkpoint(self, number: int) -> Path:
        """Where an unfinished trial goes on from; gone once the trial has finished."""
        return self.trial(number) / "checkpoint.npz"

    def refit_checkpoint(self, number: int, epochs: int) -> Path:
        """Where an interrupted refit of so many epochs goes on from; gone once it has finished."""
        return self.trial(number) / f"refit-{epochs}.npz"

    def model(self, number: int) -> Path:
        """Exactly the weights that scored; kept for the best few trials."""
        return self.trial(number) / "model.keras"

    def log(self, number: int) -> Path:
        """What the trial's child printed."""
        return self.trial(number) / "log.txt"

    def worker_log(self, worker: str) -> Path:
        """What a worker and its libraries had to say."""
        return self.folder / "logs" / f"{worker}.log"
