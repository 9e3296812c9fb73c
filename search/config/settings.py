"""The settings of the commands, one record each (``RunOptions``, ``WorkerOptions`` and so on), made of groups.

A group is a record of options, and every option is a field of one group: flag, help, check and default in one place.
What is stored with a study is in ``study_settings``, what a host gives in ``host_settings``, what one call asks in
``request_settings``. To add an option, add a field to its group.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.config.engine_word import RAY, SLURM
from search.config.host_settings import (
    CacheSettings,
    DeviceSettings,
    EngineSettings,
    HostSettings,
    PlaceSettings,
)
from search.config.kubernetes_values import check_cpu, check_image, check_memory, check_object_name
from search.config.option import SECONDS, flag_of, in_python, option
from search.config.request_settings import (
    ExportSettings,
    ImageSettings,
    NameSettings,
    RequestSettings,
    SearchSettings,
    SweepSettings,
)
from search.config.study_settings import StudySettings, TrialSettings
from search.errors import InputError
from spaces.user_model import is_model


@dataclass(frozen=True, kw_only=True)
class RunOptions(
    EngineSettings,
    HostSettings,
    ExportSettings,
    CacheSettings,
    PlaceSettings,
    StudySettings,
    SearchSettings,
    RequestSettings,
):
    """All options of a search: ``search.run``, and ``run_study``."""

    export: bool = option(True, "Whether the best trial is exported at the end.", flag="--export/--no-export")

    @classmethod
    def given(cls, *args: Any, **values: Any) -> Any:
        """See ``Options``; a function that makes models stands in the place of a space.

        Raises:
            InputError: A value is out of its range, or of another type, or a space is given beside a function.
        """
        made = super().given(*args, **values)
        if made.model is None:
            return made
        if "space" in made.requested:
            raise InputError(
                f"--model {made.model}: stands in the place of a space, and --space {made.space} is given as well; "
                "leave one of the two out"
            )
        if not is_model(made.model):
            raise InputError(
                f"--model {made.model}: expected the file and the function, as in my_model.py:build, or "
                "my_package.my_model:build"
            )
        return made.also(space=made.model)

    def __post_init__(self) -> None:
        """Check every option, and which of them contradict each other.

        Raises:
            InputError: One value is wrong, or two contradict each other.
        """
        super().__post_init__()
        names = {SLURM: "Slurm", RAY: "Ray"}
        if (name := self.engine_word.name) in names and self.gpus not in (None, "all"):
            raise InputError(
                f"--gpus {self.gpus}: on {names[name]} the scheduler says which GPUs a worker gets; expected --gpus "
                "all, for one each"
            )
        for name in ("timeout", "budget"):
            if self.detach and getattr(self, name) is not None:
                raise InputError(
                    f"{flag_of(self, name)} says nothing beside --detach, for nobody would be there to look: leave one "
                    "of the two out"
                )
        for name in ("prefer", "refit", "confirm", "fine_tune", "calibrated", "with_examples"):
            if getattr(self, name) not in (None, False, "accurate") and not self.export:
                flag = flag_of(self, name)
                raise InputError(
                    f"{flag} makes an export and --no-export forbids it: leave one of the two out"
                )


@dataclass(frozen=True, kw_only=True)
class RunCommandOptions(RunOptions):
    """All options of the command ``search.run``: those of a search, and what its command line alone has."""

    explain: bool = option(
        False, "Say what the search would be, and what each preset sets, and start nothing.", flag="--explain"
    )


@dataclass(frozen=True, kw_only=True)
class WorkerOptions(HostSettings, CacheSettings, PlaceSettings, ImageSettings, NameSettings):
    """All options of a worker that joins a study: ``search.worker``, and ``join_study``."""

    patient: bool = option(
        False,
        "At the start, wait up to ten minutes for a database that is away, as a worker does later; else that is an "
        "error.",
        flag="--patient",
    )
    times: Any = option(
        None, "How long to wait for what (default: as the study was made with).", in_python_alone=True
    )
    checkpoint_seconds: float = option(
        30.0, "Least time between two checkpoints of a trial.", unit=SECONDS, in_python_alone=True
    )


@dataclass(frozen=True, kw_only=True)
class ManifestOptions(HostSettings, PlaceSettings, NameSettings):
    """All options of ``search.manifest``: the workers of a study as a Job of Kubernetes."""

    workers: int | None = option(
        None, "Workers in all (default: 1, or as many as share a GPU).", low=1, high=1000
    )
    gpus: str | None = option(
        None, "Give each worker a GPU of its own; which one, the cluster says.", choices=("all",)
    )
    image: str | None = option(
        None,
        "Container image of the workers (default: keras-image-search, with this program's version as its tag).",
        metavar="IMAGE",
    )
    cpu: str = option("4", "Cores of each pod.", metavar="CORES")
    memory: str = option("16Gi", "Memory of each pod, with its unit.", metavar="AMOUNT")
    secret: str = option(
        "search-database",
        "Secret whose key SEARCH_STORAGE is the database's URL, password included.",
        metavar="NAME",
    )
    claim: str | None = option(
        None,
        "Claim of the volume that all pods mount, at /data, for checkpoints, decoded images and logs; can be left out "
        "where the study's --artifacts are a bucket.",
        metavar="NAME",
    )

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            InputError: A value is none that Kubernetes takes.
        """
        super().__post_init__()
        for name, check in (
            ("image", check_image),
            ("cpu", check_cpu),
            ("memory", check_memory),
            ("secret", check_object_name),
            ("claim", check_object_name),
        ):
            if (value := getattr(self, name)) is not None:
                check(flag_of(self, name), value)


@dataclass(frozen=True, kw_only=True)
class ExportOptions(DeviceSettings, ExportSettings, PlaceSettings, NameSettings):
    """All options of an export: ``search.export``, and ``export_study``."""

    trial: int | None = option(None, "Number of the trial (default: what --prefer says).", metavar="NUMBER")
    without: Sequence[str | int] = option(
        (),
        "Numbers of trials that turned out wrong and are left out of the choice, separated by commas; recorded with "
        "the export.",
        metavar="LIST",
    )
    formats: Sequence[str] = option(
        (),
        "Further formats, written beside model.keras and compared with it: onnx, saved_model, litert.",
        flag="--format",
        metavar="LIST",
    )
    baselines: Sequence[str] = option(
        (),
        "Linear models of scikit-learn scored beside the net: svm, logistic.",
        flag="--baseline",
        metavar="LIST",
    )
    server: Any = option(
        None, "Fork server that starts child processes (default: one of its own).", in_python_alone=True
    )
    prepared: Path | None = option(
        None, "Folder of the prepared images (default: they are looked for).", in_python_alone=True
    )
    say: "Callable[[str], None] | None" = option(
        None, "Gets lines for a person (default: the logger).", in_python_alone=True
    )


@dataclass(frozen=True, kw_only=True)
class ReportOptions(PlaceSettings, NameSettings):
    """All options of a report: ``search.report``, and ``report_study``."""

    export: Path | None = option(
        None, "The study's export (default: exports/STUDY, if it is there).", metavar="FOLDER"
    )
    out: Path | None = option(None, "The report (default: exports/STUDY.html).", metavar="FILE.html")


@dataclass(frozen=True, kw_only=True)
class SweepOptions(HostSettings, CacheSettings, PlaceSettings, TrialSettings, SweepSettings, RequestSettings):
    """All options of a sweep: ``search.sweep``, and ``run_sweep``."""

    out: Path | None = option(None, "Folder of the report (default: exports/STUDY).", metavar="FOLDER")
    folds: int = in_python(StudySettings, "folds")
    test: float = in_python(StudySettings, "test")
    resize: str = in_python(StudySettings, "resize")
    metric: str = in_python(StudySettings, "metric")
    class_weights: str = in_python(StudySettings, "class_weights")
    early_stopping: int = in_python(StudySettings, "early_stopping")
    grace: float = in_python(StudySettings, "grace")
