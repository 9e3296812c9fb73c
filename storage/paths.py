"""Where everything of a study lies; nobody else joins these paths.

Checkpoints and kept models carry the token of the claim that they were written under: a worker that was paused until
its trial was given away writes beside the new owner's file, never over it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

NAMED = re.compile(r"(\d{5,})-([0-9a-f]+)\.(?:npz|keras)")


@dataclass(frozen=True)
class StudyPaths:
    """The files of one study.

    Attributes:
        root: The folder of all studies, by default ``studies``.
        study: The study's name.
        uid: The study's own, part of the names of checkpoints and models: studies of one name in two databases may
            share a folder, and neither clears away what is the other's.
    """

    root: Path
    study: str
    uid: str = ""

    @property
    def folder(self) -> Path:
        """All files of this study."""
        return self.root / self.study

    @property
    def pictures(self) -> Path:
        """What the dashboard shows of the study and its trials, by artifact; nothing else lies there."""
        return self.folder / "pictures"

    def trial(self, number: int) -> Path:
        """The folder of one trial."""
        return self.folder / "trials" / f"{number:05d}"

    def checkpoint(self, number: int, token: str) -> Path:
        """Where a trial's owner leaves what the trial goes on from; gone once the trial has finished."""
        return self.folder / "checkpoints" / f"{number:05d}-{self.uid}{token}.npz"

    def checkpoints(self, number: int) -> list[Path]:
        """All that a trial could go on from, by whichever owner."""
        return sorted((self.folder / "checkpoints").glob(f"{number:05d}-{self.uid}*.npz"))

    def model(self, number: int, token: str) -> Path:
        """Exactly the weights that scored; kept for the best few trials."""
        return self.folder / "models" / f"{number:05d}-{self.uid}{token}.keras"

    def models(self, number: int) -> list[Path]:
        """The kept weights of a trial, by whichever owner."""
        return sorted((self.folder / "models").glob(f"{number:05d}-{self.uid}*.keras"))

    def of_trials(self) -> list[tuple[Path, int, str]]:
        """Every checkpoint and kept model, and what killed writers left of one: file, trial's number, token."""
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
        """Where an interrupted refit of so many epochs goes on from; gone once it has finished."""
        return self.trial(number) / f"refit-{epochs}.npz"

    def tuning_checkpoint(self, number: int, epochs: int, refit: bool) -> Path:
        """Where an interrupted fine-tuning goes on from; gone once it has finished."""
        return self.trial(number) / f"{'refit-' if refit else ''}tuning-{epochs}.npz"

    def anew(self, number: int, seed: int, kind: str) -> Path:
        """A training of trial ``number``'s configuration with another seed, for ``search.export --confirm``.

        Of kind ``json`` what it came to, ``keras`` its weights, ``npz`` what it goes on from.
        """
        return self.folder / "confirm" / f"{number:05d}-{self.uid}-{seed}.{kind}"

    def all_anew(self) -> list[tuple[Path, int]]:
        """The files of all such trainings, with their trials' numbers."""
        files = sorted((self.folder / "confirm").glob(f"*-{self.uid}-*"))
        return [(path, int(found[1])) for path in files if (found := re.search(r"(\d{5,})-", path.name))]

    def log(self, number: int) -> Path:
        """What the trial's child printed."""
        return self.trial(number) / "log.txt"

    def worker_log(self, worker: str) -> Path:
        """What a worker and its libraries had to say."""
        return self.folder / "logs" / f"{worker}.log"
