"""The settings of studies, searches, workers and exports: every option of these, once.

Each group is a record; the records of the commands (``RunOptions``, ``WorkerOptions``, ``ExportOptions``,
``SweepOptions``) are made of groups. To add an option, add a field to its group.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from search.config.engine_word import LOCAL, RAY, SLURM, EngineWord, parse_engine
from search.config.kubernetes_values import check_cpu, check_image, check_memory, check_object_name
from search.config.option import FLOPS, FLOPS_AN_IMAGE, SECONDS, Options, facts, flag_of, in_python, option
from search.config.tracker_word import parse_tracker
from search.config.value_types import as_final, as_image_size
from search.errors import InputError
from spaces.user_model import is_model

BACKENDS = ("tensorflow", "jax", "torch")
CLASS_WEIGHTS = ("none", "balanced")
METRICS = ("accuracy", "macro_f1", "balanced_accuracy", "auc", "recall:CLASS", "loss")
SAMPLERS = ("prior", "tpe", "random")
PRUNERS = ("halving", "hyperband", "median", "none")
LENGTHS = ("compute", "epochs")
RESIZES = ("stretch", "fit", "crop")
PREFERENCES = ("accurate", "balanced", "small")


@dataclass(frozen=True, kw_only=True)
class TrialSettings(Options):
    """What defines the trials of a study, be it a search or a sweep; stored with it."""

    space: str = option(
        "cnn",
        "Search space, which says what is searched: cnn, cnn_wide, photo_cnn, transfer, or your own: a file such as "
        "my_space.py, or a module such as my_package.my_space (default: the preset's, or cnn).",
        metavar="SPACE",
    )
    epochs: int = option(
        12,
        "Full length of a trial that counts epochs (default: the preset's, or 12).",
        low=1,
        high=10_000,
    )
    images: int | None = option(
        None,
        "Train on a stratified subset of N images, the same for every trial (default: the preset's, or all).",
        low=2,
        high=10**9,
    )
    validation: float = option(
        0.1, "Fraction of the training images that is held out for validation.", low=0.01, high=0.5
    )
    groups: str | None = option(
        None,
        "Images that belong together, such as one patient's, and are never split: a regular expression, whose match in "
        "a file's path is the group's name (or its first pair of parentheses), or a column of the table.",
        metavar="PATTERN|COLUMN",
    )
    image_size: "str | int | tuple[int, int] | None" = option(
        None,
        "Size that images are resized to, such as 64 for squares or 32x64 for a height of 32 and a width of 64 "
        "(default: the preset's; else 224 over a backbone, and their own size without one).",
        unit="pixels",
        metavar="PIXELS|HxW",
    )
    skip_damaged: bool = option(
        False,
        "Go on without image files that are damaged or cannot be opened here; how many is said a class.",
    )
    seed: int = option(
        0,
        "Seed of the validation split or the folds, the sampler and every trial; the test images stay the same.",
        low=0,
        high=2**31 - 1,
    )
    flip: bool = option(
        True,
        "Whether a mirrored image still shows its class, so that augmentation may mirror (default: no for digits and "
        "the like, yes for photographs).",
        flag="--flip/--no-flip",
    )
    max_cost: int = option(
        0,
        "Largest cost of a net, in operations of one image's forward pass, such as 170MFLOP (default: eight times "
        "that of a plain three-layer net at this size).",
        low=0,
        unit=FLOPS_AN_IMAGE,
        metavar="FLOPS",
    )
    max_parameters: int = option(
        30_000_000, "Largest number of trainable parameters of a net.", low=1, high=10**12
    )
    artifacts: str | None = option(
        None,
        "Where hosts that share no disk leave checkpoints and weights for each other: a folder, s3://BUCKET or "
        "gs://BUCKET.",
        metavar="WHERE",
    )

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            InputError: A value is out of its range.
        """
        super().__post_init__()
        object.__setattr__(self, "space", stored_space(self.space))
        object.__setattr__(self, "max_cost", int(self.max_cost))  # 170e6 is a number of operations, too.
        if self.image_size is not None:
            size = as_image_size(flag_of(self, "image_size"), self.image_size)
            object.__setattr__(self, "image_size", size)

    @property
    def stored_size(self) -> int | str | None:
        """``image_size`` as it is after its check, a side or ``32x64``."""
        return cast("int | str | None", self.image_size)


@dataclass(frozen=True, kw_only=True)
class StudySettings(TrialSettings):
    """What defines a study beside its images: stored with it, and the same for everybody who works on it."""

    folds: int = option(
        0,
        "Cross-validate each trial in N folds instead of holding a part out; its value is their mean (default: 3 to 10 "
        "for fewer than 2,000 training images, unless --validation or --images is given; else, or where folds leave "
        "too little of --timeout or --budget, a part is held out).",
        low=2,
        high=20,
    )
    test: float = option(
        0.2,
        "Fraction of the images that is sealed as the test set, where a folder has no test/ of its own.",
        low=0.01,
        high=0.9,
    )
    resize: str = option(
        "stretch",
        "How images of other proportions are resized: stretched, fitted with black bars, or cropped to the middle "
        "(default: the preset's, or stretch).",
        choices=RESIZES,
    )
    metric: str = option(
        "accuracy",
        "Validation metric that ranks the trials: auc is the mean over the classes of each against all others, "
        "recall:cat how many of the cats are found.",
        choices=METRICS,
    )
    class_weights: str = option(
        "none", "Whether images of rare classes weigh more in the loss.", choices=CLASS_WEIGHTS
    )
    early_stopping: int = option(
        0,
        "End a trial after this many epochs, or eighths of its compute, without a better validation loss; 0 trains its "
        "full length.",
        low=0,
        high=10_000,
        metavar="EPOCHS",
    )
    sampler: str = option(
        "prior",
        "How the next configuration is chosen: by TPE and, for as long as trials agree, around what is known "
        "to be good; by TPE alone; or at random.",
        choices=SAMPLERS,
    )
    pruner: str = option("halving", "Which trials are ended early.", choices=PRUNERS)
    grace: float = option(
        75.0,
        "Silence after which a worker is taken for dead (default: 75s).",
        low=1,
        high=86_400,
        unit=SECONDS,
        metavar="TIME",
    )


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


@dataclass(frozen=True, kw_only=True)
class ExportSettings(Options):
    """How a trial is exported."""

    out: Path | None = option(None, "Folder of the export (default: exports/STUDY).", metavar="FOLDER")
    confirm: bool = option(
        False,
        "Race the best few configurations over several seeds before the export, and export the winner (default: before "
        "the final training of a study whose trials have equal compute).",
    )
    prefer: str = option(
        "accurate",
        "What is exported: the best, the cheapest (in operations an image) within one standard error of it, or the one "
        "with the fewest parameters within two points of it.",
        choices=PREFERENCES,
    )
    refit: bool = option(
        False,
        "Train the configuration on all training images, validation images included, and export that net (default: yes "
        "where trials have equal compute); --no-refit exports the weights that scored in the search.",
        flag="--refit/--no-refit",
    )
    refit_epochs: int | None = option(
        None,
        "Length of that training, in epochs (default: the final training; else what the scored weights were trained "
        "for).",
        low=1,
        high=10_000,
    )
    fine_tune: int | None = option(
        None,
        "For nets over a backbone: after the search, also train the backbone's last part, at a lower rate, for this "
        "many epochs.",
        low=1,
        high=1000,
        metavar="EPOCHS",
    )
    calibrated: bool = option(
        False,
        "Put the temperature that calibrates confidences into the exported files, for programs that read them without "
        "search.predict, which applies it in any case.",
    )
    with_examples: bool = option(
        False,
        "Keep up to 1,000 training pictures, small, in the export, so that search.demo can show those most alike to a "
        "picture.",
    )


@dataclass(frozen=True, kw_only=True)
class NameSettings(Options):
    """Which study is meant."""

    study: str = field(kw_only=False, metadata=facts("Name of the study.", metavar="NAME"))

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            InputError: The name is a path or would not do as a folder's name, or a value is out of its range.
        """
        check_study_name(self.study)
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class ImageSettings(Options):
    """Which images are meant."""

    data: "str | Path | Sequence[Any] | None" = option(
        None,
        "Images: cifar10, cifar100, mnist, fashion_mnist, digits, a folder of class folders, a zip or tar of one, a "
        "table of paths and labels (.csv, .tsv, .parquet), or an .npz file.",
        metavar="DATA",
    )


@dataclass(frozen=True, kw_only=True)
class RequestSettings(ImageSettings, NameSettings):
    """What is asked of a study, be it a search or a sweep."""

    preset: str | None = option(
        None,
        "Named settings (default: those of the study's name, if there are any); run --explain lists what each sets.",
        metavar="NAME",
    )
    timeout: float | None = option(
        None,
        "Be done so long after the start of the command: a search ends early enough for the race and the final "
        "training, and gives its running trial back.",
        low=0,
        unit=SECONDS,
        metavar="TIME",
    )
    backbones: Sequence[str] = option(
        (),
        "Backbone for --space transfer: a keras.applications name, a .keras file, or keras_hub:PRESET, name or "
        "folder (default: MobileNetV2). Repeatable: of several, one, or two joined, are chosen by logistic regression "
        "in the folds; without folds the search samples. NET@224+NET@288 joins what nets see at these sizes.",
        flag="--backbone",
        metavar="NAME|FILE",
        repeatable=True,
    )


@dataclass(frozen=True, kw_only=True)
class SearchSettings(Options):
    """How a search begins and how long it goes on."""

    trials: int | None = option(
        None,
        "Finished trials, complete or pruned, that the study shall have in all (default: the preset's, or 50).",
        low=1,
        high=1_000_000,
    )
    budget: float | None = option(
        None,
        "Compute of all together, such as 1PFLOP: of the trials, the race and the final training.",
        low=0,
        unit=FLOPS,
        metavar="FLOPS",
    )
    length: str | None = option(
        None,
        "What a trial's length is counted in: the same compute for every configuration, so that a small net sees its "
        "images more often, or epochs (default: compute; epochs with --epochs, and over a backbone).",
        choices=LENGTHS,
    )
    final: "str | int | float | None" = option(
        None,
        "Final training that is searched for: its compute, such as 0.2PFLOP, or how often the default configuration "
        "sees all training images in it, such as 10 epochs. A trial trains for as large a share of it as it has of the "
        "images (default: the preset's, or 12 epochs).",
        metavar="FLOPS|EPOCHS",
    )
    try_first: "Sequence[Path | Mapping[str, Any]]" = option(
        (),
        "Configuration to try before any is sampled: a TOML file with a value for each parameter. Repeatable.",
        flag="--try",
        metavar="FILE.toml",
        repeatable=True,
    )
    model: str | None = option(
        None,
        "Your own function that makes a Keras model, in the place of a space: my_model.py:build, or "
        "my_package.my_model:build. It asks for its values as one does of Optuna's trial (trial.suggest_int) or of "
        "KerasTuner's hp (hp.Int). Its trials count --epochs.",
        metavar="FILE:FUNCTION",
    )
    from_study: str | None = option(
        None,
        "Another study of the same space, whose best three configurations are tried before any is sampled.",
        metavar="STUDY",
    )

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            InputError: A value is out of its range, or contradicts another.
        """
        super().__post_init__()
        if self.final is None:
            return
        as_final(flag_of(self, "final"), self.final)
        if self.length == "epochs":
            raise InputError(
                f"--final {self.final}: says nothing beside --length epochs, whose trials all have --epochs; leave one "
                "of the two out"
            )


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
class SweepSettings(Options):
    """What a sweep varies, and around what."""

    vary: "Mapping[str, Sequence[Any]] | None" = option(
        None,
        "Values of a parameter, separated by commas; repeatable (default: the preset's, or the study's own).",
        metavar="NAME=VALUES",
        repeatable=True,
    )
    repeat: int | None = option(
        None, "Runs of each combination, each with a seed of its own (default: 1).", low=1, high=1000
    )
    base: str | None = option(
        None,
        "Where all other values come from: one-layer, three-layers, bears, a preset (its space's default), or "
        "study:NAME (its best trial).",
        metavar="BASE",
    )


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


def stored_space(name: str) -> str:
    """What a space is stored as: a file in the current folder as its module, which other hosts find in theirs.

    Any other file is stored by its whole path, so that it is found from every folder.
    """
    path, colon, function = name.partition(
        ":"
    )  # Of a function that makes a model, its file is stored likewise.
    file = Path(path).expanduser().absolute()
    if not path.endswith(".py") or not file.is_file():
        return name
    stored = file.stem if file.parent == Path.cwd() and file.stem.isidentifier() else str(file)
    return f"{stored}{colon}{function}"


def check_study_name(name: str) -> None:
    """Refuse a study name that is a path or would not do as a folder's name.

    Raises:
        InputError: It is.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise InputError(
            f"--study {name!r}: expected a name of up to 100 letters, digits, '.', '_' or '-' (not a path), such as "
            "cifar_cnn"
        )
