"""How soon each engine has a first epoch after `run`, and how long its workers are without a trial.

Result, hardware, versions, number of runs: results/engines.json.

    first epoch   from the start of `python -m search.run --engine ...` with one worker on digits, images that are
                  prepared, and the default space on Keras: until the study is in the database, until a worker has its
                  first trial, until its child has built a net, until its first epoch is stored. Slurm and Ray are
                  clusters of this host alone that run already, each with nothing else to do
    idle          4 local workers on a study of 100 trials of 10 s: which part of their time, from the first claim to
                  the last end, they have no trial (aim: under 5 %); and in which they do not train. A training here is
                  five epochs of NumPy that sleep for most of their time, so that two cores are enough for four

The database is a Postgres, as durable as a user's. It is looked at every 50 ms. An engine that is not installed is left
out, and it is said which.

    python benchmarks/engines.py [--engines local slurm ray] [--runs 1]
                                 [--trials 100] [--workers 4] [--trial-seconds 10] (0 trials: no study of these)
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import fmean, median
from typing import Any

import optuna
import ray_cluster
import slurm
from chaos_processes import IN_CHILD, ROOT
from optuna.trial import FrozenTrial, TrialState
from postgres import PostgresServer
from record import make_parser, print_table, write_result

from search.data.preparation import prepare
from search.execution.time_spent import PARTS
from search.study.fold_results import SPENT
from storage.claims import ENDED
from storage.connect import open_storage

ENGINES = ("local", "slurm", "ray")
MARKS = ("study", "claim", "net", "epoch")
LOOK_SECONDS, PATIENCE = 0.05, 300.0
EPOCHS = 5
IDLE = 0.05
STUDY = "s"
MISSING = {"slurm": slurm.missing, "ray": ray_cluster.missing}


@contextlib.contextmanager
def cluster(engine: str) -> Iterator[Mapping[str, str]]:
    """The engine's cluster, within the block; gives what makes commands find it."""
    made: Mapping[str, Any] = {"slurm": slurm.SlurmCluster, "ray": ray_cluster.RayCluster}
    if engine not in made:
        yield {}
        return
    started: AbstractContextManager[Any] = made[engine]()
    with started as one:
        yield one.environment


@contextlib.contextmanager
def command(place: Path, url: str, environment: Mapping[str, str], *words: str) -> Iterator[Any]:
    """``search.run`` on a study of digits in the database, whose files lie in ``place``; it has to end well.

    Raises:
        RuntimeError: It failed; with what it printed last.
    """
    printed = place / "run.log"
    arguments = [
        "--data",
        "digits",
        "--storage",
        url,
        "--studies",
        str(place),
        "--pruner",
        "none",
        "--no-export",
    ]
    with (
        printed.open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", "search.run", "--study", STUDY, *arguments, *words],
            cwd=place,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(IN_CHILD)]), **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        ) as process,
    ):
        yield process
    if process.returncode:
        raise RuntimeError(f"search.run ended with {process.returncode}: {printed.read_text()[-2000:]}")


def first_epoch(engine: str, place: Path, url: str, environment: Mapping[str, str]) -> dict[str, float]:
    """Seconds from the start of the command to each of ``MARKS``, and to its end."""
    database = open_storage(url)
    seen: dict[str, float] = {}
    words = ["--engine", engine, "--workers", "1", "--trials", "1", "--epochs", "3", "--images", "500"]
    began = time.monotonic()
    with command(place, url, environment, *words) as process:
        while len(seen) < len(MARKS) and process.poll() is None:
            now = marks(database)
            seen |= dict.fromkeys(now[len(seen) :], time.monotonic() - began)
            if time.monotonic() > began + PATIENCE:
                process.terminate()
            time.sleep(LOOK_SECONDS)
    whole = time.monotonic() - began
    seen |= dict.fromkeys(marks(database)[len(seen) :], whole)
    database.close()
    return {name: round(seconds, 2) for name, seconds in {**seen, "end": whole}.items()}


def marks(database: Any) -> Sequence[str]:
    """Which of ``MARKS`` a study has come to."""
    try:
        trials = optuna.load_study(study_name=STUDY, storage=database).get_trials(deepcopy=False)
    except KeyError:
        return ()
    if not trials or trials[0].state == TrialState.WAITING:
        return MARKS[:1]
    return MARKS[: 4 if trials[0].intermediate_values else 3 if "device" in trials[0].user_attrs else 2]


def idle(
    place: Path, url: str, trials: int, workers: int, seconds: float, environment: Mapping[str, str]
) -> dict[str, float]:
    """The shares of their time in which the workers of a study had no trial, and in which they did not train."""
    sleeping = {"SEARCH_TEST_TRAINING": "numpy", "SEARCH_TEST_EPOCH_SECONDS": str(seconds / EPOCHS)}
    words = ["--space", "small_space", "--images", "200", "--epochs", str(EPOCHS), "--trials", str(trials)]
    began = time.monotonic()
    with command(place, url, {**environment, **sleeping}, *words, "--workers", str(workers)):
        pass
    whole = time.monotonic() - began
    database = open_storage(url)
    found = optuna.load_study(study_name=STUDY, storage=database).get_trials(deepcopy=False)
    database.close()
    return {**shares(found, workers), "command_seconds": round(whole, 2)}


def shares(trials: Sequence[FrozenTrial], workers: int) -> dict[str, float]:
    """What ended trials say of their workers' time, from the first claim to the last end."""
    spans = [(trial.datetime_start.timestamp(), trial.system_attrs[ENDED]) for trial in trials]  # type: ignore[union-attr]
    length = max(end for _, end in spans) - min(begin for begin, _ in spans)
    training = sum(trial.user_attrs[SPENT]["training"] for trial in trials)
    parts = {name: fmean(trial.user_attrs[SPENT].get(name, 0.0) for trial in trials) for name in PARTS}
    return {
        "trials": len(trials),
        "seconds": round(length, 2),
        "without_a_trial": round(1 - sum(end - begin for begin, end in spans) / (workers * length), 4),
        "not_training": round(1 - training / (workers * length), 4),
        **{f"{name}_seconds": round(value, 3) for name, value in parts.items()},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--engines", nargs="*", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--runs", type=int, default=1, help="of each engine (default: %(default)s)")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--trial-seconds", type=float, default=10.0)
    asked = parser.parse_args(arguments)
    left_out = {name: why for name in asked.engines if (why := MISSING.get(name, str)())}
    for name, why in left_out.items():
        print(f"{name} is left out: {why}", flush=True)
    figures: dict[str, Any] = {"settings": vars(asked) | {"out": None}, "left_out": left_out}
    with tempfile.TemporaryDirectory() as folder, PostgresServer(durable=True) as server:
        numbers = iter(range(1000))

        def place() -> Path:
            made = Path(folder) / str(next(numbers))
            made.mkdir()
            return made

        cache = {"XDG_CACHE_HOME": folder}
        prepare("digits", cache=Path(folder) / "keras-image-search", say=lambda line: None)
        rows = figures["first_epoch_seconds"] = []
        for name in asked.engines:
            if name in left_out:
                continue
            with cluster(name) as environment:
                for _ in range(asked.runs):
                    found = first_epoch(name, place(), server.database(), {**cache, **environment})
                    rows.append({"engine": name, **found})
                    print(rows[-1], flush=True)
        if asked.trials:
            numbers_of = (asked.trials, asked.workers, asked.trial_seconds)
            figures["idle"] = idle(place(), server.database(), *numbers_of, environment=cache)
            figures["met"] = {f"workers idle under {IDLE:.0%}": figures["idle"]["without_a_trial"] < IDLE}
    show(figures)
    print(write_result("engines", figures, asked.out))


def show(figures: Mapping[str, Any]) -> None:
    """Print the medians of each engine, and how the workers' time was spent."""
    rows = figures["first_epoch_seconds"]
    names = list(dict.fromkeys(row["engine"] for row in rows))
    of = {name: [row for row in rows if row["engine"] == name] for name in names}
    print_table(
        ("engine", *MARKS, "end", "runs"),
        [
            (
                name,
                *(f"{median(row[mark] for row in of[name]):.1f}" for mark in (*MARKS, "end")),
                len(of[name]),
            )
            for name in names
        ],
    )
    print_table(("idle", ""), list(figures.get("idle", {}).items()))


if __name__ == "__main__":
    main()
