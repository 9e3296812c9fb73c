"""``python -m search.sweep``: every combination of given values once, or several times, and what they come to."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.command import main, make_app, parse_cost, parse_duration
from search.config import check_study_name
from search.flags import (
    HOST_CHOICES,
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
    flag,
    whole,
)
from search.loudness import result as say_result
from search.run import (
    LIMITS,
    Artifacts,
    Backbones,
    Data,
    Epochs,
    Flip,
    Images,
    ImageSize,
    MaxCost,
    MaxParameters,
    Preset,
    Seed,
    Space,
    Timeout,
    Validation,
)
from search.vary import asked_for, backbones_of, parse_vary

if TYPE_CHECKING:
    from search.study import LoadedStudy

# Of each number: its flag, the smallest and the largest value that make sense.
SWEEP_LIMITS = {**LIMITS, "repeat": ("--repeat", 1, 1000)}


@dataclass(frozen=True)
class SweepResult:
    """What a sweep came to.

    Attributes:
        study: The open study.
        stopped: Why it ended before all cells; empty where it did not.
        by_user: Whether it was a signal (Ctrl-C) that ended it.
        folder: With the report's files.
        summary: What ``sweep.json`` holds.
    """

    study: "LoadedStudy"
    stopped: str
    by_user: bool
    folder: Path
    summary: dict[str, Any]


def run_sweep(
    study: str,
    *,
    vary: Mapping[str, Sequence[Any]] | None = None,
    repeat: int | None = None,
    base: str | None = None,
    preset: str | None = None,
    space: str | None = None,
    timeout: float | None = None,
    storage: str | None = None,
    root: Path = Path("studies"),
    out: Path | None = None,
    backend: str | None = None,
    gpu_memory: float | None = None,
    workers: int | None = None,
    gpus: str | None = None,
    per_gpu: int | None = None,
    **of_study: Any,
) -> SweepResult:
    """Run every combination of the varied values, and report; run again, go on or add what is new.

    Args:
        study: Its name.
        vary: Values of each varied parameter; by default the preset's, or the study's own.
        repeat: Runs of each combination, each with a seed of its own; 1 by default.
        base: Where all other values come from: a net of the notebooks, a preset (its space's default), ``study:NAME``
            (its best trial); by default the space's own default.
        preset: Named settings; by default those named as the study.
        space: Whose parameters are varied; by default the base's.
        timeout: Seconds after which to stop and give the running trial back.
        storage: Database URL.
        root: Folder of all studies.
        out: Folder of the report; by default ``exports/<study>``.
        backend: Keras's backend.
        gpu_memory: Limit in GB a child.
        workers: How many on this host.
        gpus: ``all`` or such as ``0,1``.
        per_gpu: How many workers share one.
        of_study: Images, epochs and the like, as ``search.life.run_study`` takes them.

    Raises:
        InputError: Something given is wrong.
        StudyStopped: Trials keep failing.
    """
    from search.cells import owed
    from search.child import ForkServer
    from search.data.decode import cores
    from search.engines.slots import make_slots
    from search.evaluation.folder import SWEEP_FILES, check_target
    from search.evaluation.sweep_report import report_sweep
    from search.feeding.study import feed_study
    from search.life import how_to_go_on, search
    from search.opening import Request, check_backend, open_study
    from search.stopping import Stop

    target = check_target(out or Path("exports") / study, SWEEP_FILES)
    backend = check_backend(backend, gpu_memory)
    slots = make_slots(workers, gpus, per_gpu, cores())
    sweep, space = asked_for(study, vary, repeat, base, preset, space, storage, root)
    if base is not None and base.startswith("study:") and not of_study.get("backbones"):
        of_study |= backbones_of(base.partition(":")[2], storage, root, of_study.get("image_size"))
    of_study |= {"preset": preset, "space": space, "storage": storage, "root": root}
    opened = open_study(Request(study, sampler="random", pruner="none", sweep=sweep, **of_study), backend)
    stop = Stop(deadline=None if timeout is None else time.monotonic() + timeout)
    if len(opened.finished()) < owed(opened.optuna.get_trials(deepcopy=False)):
        with ForkServer(backend) as server:
            feed_study(opened, server)
            search(opened, server, slots, stop, gpu_memory=gpu_memory)
    summary = {} if stop.by_user else report_sweep(opened, target)
    stopped = how_to_go_on(stop, opened, storage, "sweep")
    opened.storage.retrying.relax()
    return SweepResult(opened, stopped, stop.by_user, target, summary)


def sweep(
    study: Study,
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", metavar="NAME=VALUES", help="Values of a parameter, with commas; repeatable."),
    ] = None,
    repeat: Annotated[int | None, whole("--repeat", help="Runs of each combination, of other seeds.")] = None,
    base: Annotated[
        str | None,
        flag(
            "--base", metavar="BASE", help="All else: one-layer, three-layers, bears; a preset; study:NAME."
        ),
    ] = None,
    preset: Preset = None,
    data: Data = None,
    space: Space = None,
    backbones: Backbones = None,
    timeout: Timeout = None,
    epochs: Epochs = None,
    images: Images = None,
    validation: Validation = None,
    image_size: ImageSize = None,
    seed: Seed = None,
    flip: Flip = None,
    max_cost: MaxCost = None,
    max_parameters: MaxParameters = None,
    storage: Storage = None,
    artifacts: Artifacts = None,
    root: Studies = Path("studies"),
    cache: Cache = None,
    out: Annotated[
        Path | None, flag("--out", metavar="FOLDER", help="The report (default: exports/STUDY).")
    ] = None,
    backend: Backend = None,
    gpu_memory: GpuMemory = None,
    workers: Workers = None,
    gpus: Gpus = None,
    per_gpu: PerGpu = None,
) -> None:
    """Train every combination of given values exactly once, or --repeat times, and say whether they differ.

    The same command goes on where it was stopped; with longer lists it adds what is new.
    """
    settings = dict(locals())
    check_study_name(study)
    limits = {name: limit for name, limit in SWEEP_LIMITS.items() if name in settings}
    check_typed(settings, limits, HOST_CHOICES)
    settings["vary"], settings["backbones"] = parse_vary(vary or ()), tuple(backbones or ())
    if timeout is not None:
        settings["timeout"] = parse_duration("--timeout", timeout)
    if max_cost is not None:
        settings["max_cost"] = parse_cost("--max-cost", max_cost)
    result = run_sweep(**settings)
    if result.summary:
        say_result(result.summary["sentence"])
        say_result(f"written to {result.folder}")
    if result.stopped:
        say_result(result.stopped)
    if result.by_user:
        raise typer.Exit(130)


app = make_app(
    sweep,
    chatty=True,
    example="""
python -m search.sweep --study cifar_filters
python -m search.sweep --study widths --data photos/ --base three-layers --vary filters=16,32,64 --repeat 3
python -m search.sweep --study around --data digits --base study:digits_cnn --vary width=16,32 --vary dropout=0,0.2
""",
)

if __name__ == "__main__":
    main(app)
