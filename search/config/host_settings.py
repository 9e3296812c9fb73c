"""The settings of a host and of what runs there: where studies and images lie, devices, workers, engines."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search.config.engine_word import LOCAL, RAY, SLURM, EngineWord, parse_engine
from search.config.option import SECONDS, Options, flag_of, option
from search.config.tracker_word import parse_tracker
from search.errors import InputError

BACKENDS = ("tensorflow", "jax", "torch")


@dataclass(frozen=True, kw_only=True)
class PlaceSettings(Options):
    """Where studies lie."""

    storage: str | None = option(
        None,
        "Database: postgresql://user@host/name or sqlite:///FILE (default: $SEARCH_STORAGE, or SQLite in the studies "
        "folder). Passwords belong in PGPASSFILE.",
        metavar="URL",
    )
    root: Path = option(
        Path("studies"),
        "Folder of databases, checkpoints and logs.",
        flag="--studies",
        metavar="FOLDER",
    )


@dataclass(frozen=True, kw_only=True)
class CacheSettings(Options):
    """Where decoded images lie."""

    cache: Path | None = option(
        None,
        "Folder of decoded images, backbones and features (default: ~/.cache/keras-image-search).",
        metavar="FOLDER",
    )


@dataclass(frozen=True, kw_only=True)
class DeviceSettings(Options):
    """What a training may take of its device."""

    gpu_memory: float | None = option(
        None,
        "Most memory of a GPU that a training takes (default: it grows as needed).",
        low=0.1,
        high=10_000,
        unit="GB",
        metavar="GB",
    )


@dataclass(frozen=True, kw_only=True)
class HostSettings(DeviceSettings):
    """What one host gives to the workers that it runs."""

    backend: str | None = option(
        None,
        "What Keras computes with (default: $KERAS_BACKEND, or tensorflow).",
        choices=BACKENDS,
    )
    workers: int | None = option(
        None, "Workers on this host (default: 1, or one for each place on a GPU).", low=1, high=1000
    )
    gpus: str | None = option(
        None, "Give each worker a GPU of its own: all, or numbers such as 0,1.", metavar="GPUS"
    )
    per_gpu: int | None = option(None, "Let K workers share a GPU.", low=1, high=100, metavar="K")
    trackers: Sequence[str] = option(
        (),
        "Where else trials can be followed: tensorboard (in the study's folder, or tensorboard:FOLDER) or mlflow:URI. "
        "Repeatable; every worker command wants it for its own trials.",
        flag="--log-to",
        metavar="TRACKER",
        repeatable=True,
    )

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            InputError: A value is out of its range, or a tracker is unknown or not installed.
        """
        super().__post_init__()
        for word in self.trackers:
            parse_tracker(flag_of(self, "trackers"), word)


@dataclass(frozen=True, kw_only=True)
class EngineSettings(Options):
    """What starts the workers of a search."""

    engine: str | None = option(
        None,
        "What starts the --workers: local, on this host; slurm, with options of sbatch after a colon, such as "
        "slurm:partition=gpu,account=me,mem=8G; or ray, such as ray:address=HOST:PORT,cpus=4 (default: local).",
        metavar="ENGINE",
    )
    walltime: float | None = option(
        None,
        "With slurm: time after which a worker gives its place back and queues again (default: the partition's).",
        low=300,
        high=31_536_000,
        unit=SECONDS,
        metavar="TIME",
    )
    detach: bool = option(
        False,
        "Start the workers and return; the same command without it attaches, and exports in the end.",
        flag="--detach",
    )

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            InputError: A value is out of its range, or contradicts another.
        """
        super().__post_init__()
        name = self.engine_word.name
        if self.walltime is not None and name != SLURM:
            raise InputError(
                f"--walltime {self.walltime:.0f}: bounds the turn of a worker in a queue, and "
                f"{'Ray' if name == RAY else 'this host'} has none; "
                "leave it out, or bound the search with --timeout"
            )

    @property
    def engine_word(self) -> EngineWord:
        """The engine, with the options inside its word."""
        return parse_engine(flag_of(self, "engine"), LOCAL if self.engine is None else self.engine)
