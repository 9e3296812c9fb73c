"""``python -m search.run``: search, train, prune, export. It parses; ``search.life.run_study`` does it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from search.command import main, make_app, parse_compute, parse_cost, parse_duration
from search.config import (
    CLASS_WEIGHTS,
    METRICS,
    PRUNERS,
    RESIZES,
    SAMPLERS,
    check_study_name,
)
from search.errors import InputError
from search.flags import (
    HOST_CHOICES,
    HOST_LIMITS,
    Backend,
    Cache,
    GpuMemory,
    Gpus,
    PerGpu,
    Storage,
    Studies,
    Study,
    Workers,
    check_typed,
    decimal,
    flag,
    whole,
    word,
)
from search.loudness import result as say_result

# Of each number: its flag, the smallest and the largest value that make sense.
LIMITS: dict[str, tuple[str, float, float]] = {
    "trials": ("--trials", 1, 1_000_000),
    "epochs": ("--epochs", 1, 10_000),
    "images": ("--images", 2, 10**9),
    "validation": ("--validation", 0.01, 0.5),
    "folds": ("--folds", 2, 20),
    "test": ("--test", 0.01, 0.9),
    "image_size": ("--image-size", 4, 2048),
    "seed": ("--seed", 0, 2**31 - 1),
    "early_stopping": ("--early-stopping", 0, 10_000),
    "max_parameters": ("--max-parameters", 1, 10**12),
    "refit_epochs": ("--refit-epochs", 1, 10_000),
    "fine_tune": ("--fine-tune", 1, 1000),
    **HOST_LIMITS,
}
CHOICES = {
    "metric": ("--metric", METRICS),
    "class_weights": ("--class-weights", CLASS_WEIGHTS),
    "sampler": ("--sampler", SAMPLERS),
    "pruner": ("--pruner", PRUNERS),
    **HOST_CHOICES,
    "resize": ("--resize", RESIZES),
}


Preset = Annotated[
    str | None, flag("--preset", metavar="NAME", help="Named settings (default: those named as the study).")
]
Data = Annotated[
    str | None,
    flag(
        "--data",
        metavar="DATA",
        help="cifar10, cifar100, mnist, fashion_mnist, digits, a folder of class folders, or an .npz file.",
    ),
]
Space = Annotated[
    str | None,
    flag(
        "--space",
        metavar="SPACE",
        help="What is searched: cnn, cnn_wide, photo_cnn, transfer, my_package.my_space.",
    ),
]
Trials = Annotated[int | None, whole("--trials", help="Finished trials that the study shall have in all.")]
Timeout = Annotated[str | None, flag("--timeout", metavar="TIME", help="Stop after 90 (seconds), 30m, 2h.")]
Budget = Annotated[str | None, flag("--budget", metavar="FLOPS", help="Stop after so much compute: 1PFLOP.")]
Epochs = Annotated[int | None, whole("--epochs", help="A trial's full length.")]
Images = Annotated[
    int | None, whole("--images", help="Train on a stratified so many of the training images.")
]
Validation = Annotated[
    float | None, decimal("--validation", help="Fraction of the training images validated on.")
]
Folds = Annotated[
    int | None,
    whole("--folds", help="Instead, under 1,000 training images: a trial's value is the mean over N folds."),
]
Test = Annotated[
    float | None,
    decimal("--test", help="Fraction set aside for the test where a folder has no test/ of its own."),
]
ImageSize = Annotated[
    int | None, whole("--image-size", metavar="PIXELS", help="Height and width that images are resized to.")
]
Resize = Annotated[
    str | None, word("--resize", RESIZES, help="Other proportions: distorted, with black bars, or cut")
]
Backbones = Annotated[
    list[str] | None,
    typer.Option(
        "--backbone",
        metavar="NAME|FILE",
        help="Of space transfer: of keras.applications, or a .keras file; repeatable (default: MobileNetV2).",
    ),
]
Seed = Annotated[int | None, whole("--seed", help="Of the splits, the sampler and every trial.")]
Metric = Annotated[str | None, word("--metric", METRICS, help="What a trial scores")]
ClassWeights = Annotated[
    str | None, word("--class-weights", CLASS_WEIGHTS, help="Whether images of rare classes weigh more")
]
Flip = Annotated[
    bool | None, flag("--flip/--no-flip", help="Whether a mirrored image is still of its class.")
]
EarlyStopping = Annotated[
    int | None,
    whole("--early-stopping", metavar="EPOCHS", help="End a trial after so many without gain; 0: never."),
]
Sampler = Annotated[str | None, word("--sampler", SAMPLERS, help="Which configuration comes next")]
Pruner = Annotated[str | None, word("--pruner", PRUNERS, help="Which trials end early")]
MaxCost = Annotated[
    str | None, flag("--max-cost", metavar="FLOPS", help="Bound on a net's operations an image: 170MFLOP.")
]
MaxParameters = Annotated[
    int | None, whole("--max-parameters", help="Bound on a net's trainable parameters.")
]
Try = Annotated[
    list[Path] | None,
    typer.Option(
        "--try", metavar="FILE.toml", exists=True, dir_okay=False, help="Try this first; repeatable."
    ),
]
Out = Annotated[Path | None, flag("--out", metavar="FOLDER", help="The export (default: exports/STUDY).")]
Confirm = Annotated[
    bool,
    flag("--confirm", help="Race the best few over several seeds before the export, and export the winner."),
]
Refit = Annotated[
    bool, flag("--refit", help="Export the best configuration trained anew on all training images.")
]
RefitEpochs = Annotated[
    int | None, whole("--refit-epochs", help="Length of that training (default: a trial's).")
]
FineTune = Annotated[
    int | None,
    whole(
        "--fine-tune", metavar="EPOCHS", help="Of space transfer: then train the backbone's last part, too."
    ),
]
Export = Annotated[bool, flag("--export/--no-export", help="Whether to export the best trial at the end.")]
Artifacts = Annotated[
    str | None,
    flag(
        "--artifacts",
        metavar="WHERE",
        help="Where hosts that share no disk leave files for each other: a folder, s3://BUCKET, gs://BUCKET.",
    ),
]
Grace = Annotated[
    str | None,
    flag("--grace", metavar="TIME", help="A worker that is silent for so long is taken for dead (75s)."),
]


def run(
    study: Study,
    preset: Preset = None,
    data: Data = None,
    space: Space = None,
    trials: Trials = None,
    timeout: Timeout = None,
    budget: Budget = None,
    epochs: Epochs = None,
    images: Images = None,
    validation: Validation = None,
    folds: Folds = None,
    test: Test = None,
    image_size: ImageSize = None,
    resize: Resize = None,
    backbones: Backbones = None,
    seed: Seed = None,
    metric: Metric = None,
    class_weights: ClassWeights = None,
    flip: Flip = None,
    early_stopping: EarlyStopping = None,
    sampler: Sampler = None,
    pruner: Pruner = None,
    max_cost: MaxCost = None,
    max_parameters: MaxParameters = None,
    try_first: Try = None,
    storage: Storage = None,
    artifacts: Artifacts = None,
    grace: Grace = None,
    root: Studies = Path("studies"),
    cache: Cache = None,
    out: Out = None,
    export: Export = True,
    confirm: Confirm = False,
    refit: Refit = False,
    refit_epochs: RefitEpochs = None,
    fine_tune: FineTune = None,
    backend: Backend = None,
    gpu_memory: GpuMemory = None,
    workers: Workers = None,
    gpus: Gpus = None,
    per_gpu: PerGpu = None,
) -> None:
    """Search for a good image classifier: sample, train, prune, and export the best trial.

    Ctrl-C stops at the next batch and loses nothing: the same command goes on. --trials counts the finished
    trials of the whole study, so that a larger number adds to it.
    """
    settings = checked(dict(locals()))
    # Here, not above: --help and every refusal so far must not wait for Optuna.
    from search.life import run_study

    result = run_study(**settings)
    if result.export is not None:
        say_result(f"exported to {result.export.folder}")
    if result.stopped:
        say_result(result.stopped)
    if result.by_user:
        # A signal, not --timeout or --budget: make and shell scripts must not go on as if all were done.
        raise typer.Exit(130)


def checked(settings: dict[str, Any]) -> dict[str, Any]:
    """Arguments for ``run_study`` out of what was typed, each number and word looked at first.

    Raises:
        InputError: One value is wrong, or two contradict each other.
    """
    check_study_name(settings["study"])
    check_typed(settings, LIMITS, CHOICES)
    if settings["refit_epochs"] is not None and not (settings["refit"] or settings["folds"]):
        raise InputError(
            f"--refit-epochs {settings['refit_epochs']} says nothing without --refit: give both or neither"
        )
    for name in ("refit", "confirm", "fine_tune"):
        if settings[name] and not settings["export"]:
            said = f"--{name.replace('_', '-')}"
            raise InputError(f"{said} makes an export and --no-export forbids it: leave one of the two out")
    parsers = {
        "timeout": parse_duration,
        "grace": parse_duration,
        "budget": parse_compute,
        "max_cost": parse_cost,
    }
    parsed = {
        name: parse(f"--{name.replace('_', '-')}", settings[name])
        for name, parse in parsers.items()
        if settings[name] is not None
    }
    return {
        **settings,
        **parsed,
        **{name: tuple(settings[name] or ()) for name in ("try_first", "backbones")},
    }


app = make_app(
    run,
    chatty=True,
    example="""
python -m search.run --study cifar_cnn --trials 50
python -m search.run --study flowers --data photos/ --image-size 64 --timeout 2h
python -m search.run --study cifar_cnn --trials 80 --images 10000 --refit
""",
)

if __name__ == "__main__":
    main(app)
