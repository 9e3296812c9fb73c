"""``python -m search.worker``: join a study from anywhere that reaches its database."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.command import main, make_app
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
    flag,
)
from search.loudness import result as say_result

if TYPE_CHECKING:
    from storage.times import Times


def join_study(
    study: str,
    *,
    storage: str | None = None,
    data: str | Path | None = None,
    root: Path = Path("studies"),
    cache: Path | None = None,
    backend: str | None = None,
    gpu_memory: float | None = None,
    workers: int | None = None,
    gpus: str | None = None,
    per_gpu: int | None = None,
    times: "Times | None" = None,
    checkpoint_seconds: float = 30.0,
) -> str:
    """Work on a study until it has all its trials; all that is not said here is read from the study.

    Args:
        study: Its name.
        storage: Database URL; by default the environment's ``SEARCH_STORAGE``, or SQLite under ``root``.
        data: Where the study's images lie on this host; found by content, and by default looked for.
        root: The folder for checkpoints and logs.
        cache: Folder of prepared images.
        backend: Keras's backend; by default the study's.
        gpu_memory: Limit in GB a child; None lets it grow.
        workers: How many on this host.
        gpus: ``all`` or such as ``0,1``: each worker gets one of them.
        per_gpu: How many workers share one.
        times: How long to wait for what; by default as the study was made with.
        checkpoint_seconds: At most one checkpoint in so many seconds.

    Returns:
        The signal that ended it, in words; empty where the study has all its trials.

    Raises:
        InputError: No such study, other images, or another version of its space.
        StudyStopped: The search cannot usefully go on.
    """
    import dataclasses
    import os

    from search.child import ForkServer
    from search.data.decode import cores
    from search.engines.slots import make_slots
    from search.joining import BACKEND, check_joining, find_images
    from search.life import search
    from search.opening import check_backend, load_space
    from search.stopping import Stop
    from search.study import load_study, warn_of_password
    from search.study_backbones import bring_backbones

    slots = make_slots(workers, gpus, per_gpu, cores())
    if warning := warn_of_password(storage):
        print(warning)
    found = load_study(study, storage, root, times)
    chosen = backend or os.environ.get("KERAS_BACKEND") or found.optuna.user_attrs.get(BACKEND)
    chosen = check_backend(chosen, gpu_memory)
    check_joining(found, load_space(found.config.space), chosen)
    joined = dataclasses.replace(found, prepared=find_images(found, data, cache).folder)
    bring_backbones(joined)
    stop = Stop()
    with ForkServer(chosen) as server:
        search(joined, server, slots, stop, gpu_memory=gpu_memory, checkpoint_seconds=checkpoint_seconds)
    return stop.reason


def worker(
    study: Study,
    storage: Storage = None,
    data: Annotated[
        str | None,
        flag("--data", metavar="DATA", help="Where the study's images lie on this host; found by content."),
    ] = None,
    root: Studies = Path("studies"),
    cache: Cache = None,
    backend: Backend = None,
    gpu_memory: GpuMemory = None,
    workers: Workers = None,
    gpus: Gpus = None,
    per_gpu: PerGpu = None,
) -> None:
    """Join a study from anywhere that reaches its database; all else is read from the study.

    Come and go at will: Ctrl-C or SIGTERM gives the running trial back, and whoever is left goes on with it.
    """
    settings = dict(locals())
    check_typed(settings, HOST_LIMITS, HOST_CHOICES)
    if stopped := join_study(**settings):
        say_result(f"{stopped}: nothing is lost, the other workers go on; join again with the same command")
        raise typer.Exit(130)
    say_result(f"study {study} has all its trials")


app = make_app(
    worker,
    chatty=True,
    example="""
python -m search.worker --study cifar_cnn --storage postgresql://me@db.example.org/search
python -m search.worker --study flowers --storage postgresql://me@db/search --data /mnt/photos --gpus all
""",
)

if __name__ == "__main__":
    main(app)
