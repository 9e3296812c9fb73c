"""What the database costs: a worker's calls by the number of workers and of finished trials, and how workers scale.

Result, hardware, versions, number of runs: results/database.json, as tables results/database.md.

    latency   each of 1, 4, 16 worker processes claims, samples three parameters, reports, asks the pruner and tells,
              over and over, on studies that have 100, 1,000 and 10,000 finished trials already: medians and 95 %
              quantiles; the storage's share of a 10 s epoch (report, pruner, a sign of life) with 16 workers must stay
              under 1 %. Workers here do nothing else, so that they meet at the database far more often than they would.
    scaling   trials an hour with 1, 4, 16, 64 workers whose trials are 5 epochs of 1 s sleep each, against linear;
              and which part of a trial's wall time each of these takes, which add up to all of it:
              lock      waiting until no other worker claims a trial of the study
              database  waiting for an answer of the database (aim for both: at most 5 % with 64 workers on Postgres)
              sampling  computing what the next trial tries
              python    computing around the other calls
              core      able to go on, but for a core, all of which others have: with more workers than cores

All workers have imported what they need, and opened the study, before any of them begins. SQLite's files lie in the
system's folder for temporary files (TMPDIR): it must be on a disk, or syncing costs nothing.

    python benchmarks/database.py [--databases sqlite postgres] [--seconds 15] [--finished 100 1000 10000]
                                  [--workers 1 4 16] [--scale 1 4 16 64] [--epoch-seconds 1]
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import optuna
from database_worker import CALLS, LOCK, SPENT
from postgres import PostgresServer
from record import make_parser, markdown, print_table, write_result

from storage.connect import open_storage

EPOCH = 10.0
EPOCHS = 5
# Of a trial's wall time with 64 workers on Postgres.
MOST_WAITING = 0.05
WORKER = Path(__file__).with_name("database_worker.py")
ROOT = Path(__file__).parents[1]


def fill(url: str, trials: int) -> None:
    """A study with so many finished trials, written in bulk."""
    database = open_storage(url)
    study = optuna.create_study(study_name="s", storage=database, direction="maximize")
    distribution = optuna.distributions.FloatDistribution(0, 1)
    names = ("rate", "width", "dropout")
    made = [
        optuna.trial.create_trial(
            params={name: (number * 0.37 + place * 0.21) % 1 for place, name in enumerate(names)},
            distributions=dict.fromkeys(names, distribution),
            value=number / trials,
            intermediate_values={1: number / trials},
        )
        for number in range(trials)
    ]
    study.add_trials(made)
    database.close()


def work(url: str, workers: int, seconds: float, epochs: int, sleep: float) -> list[dict[str, Any]]:
    """Let so many processes work at once, on trials of so many epochs of ``sleep`` seconds; what each of them says.

    Raises:
        RuntimeError: One of them failed, or finished nothing.
    """
    arguments = [url, str(seconds), str(epochs), str(sleep)]
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(WORKER), *arguments],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                )
            )
            for _ in range(workers)
        ]  # fmt: skip
        for process in processes:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise RuntimeError("a worker failed before it began")
        for process in processes:
            if process.stdin is not None:
                process.stdin.write("go\n")
                process.stdin.flush()
        reports = [process.communicate()[0] for process in processes]
    if not all(process.returncode == 0 for process in processes):
        raise RuntimeError("a worker failed")
    found: list[dict[str, Any]] = [json.loads(report) for report in reports]
    if not all(one["done"] for one in found):
        raise RuntimeError(f"a worker finished nothing in {seconds:g} s; allow more --seconds")
    return found


def latency(url: str, workers: int, seconds: float) -> dict[str, Any]:
    """Medians and 95 % quantiles of each call, in milliseconds."""
    found = work(url, workers, seconds, 3, 0.0)
    row: dict[str, Any] = {"trials": sum(one["done"] for one in found)}
    for name in CALLS:
        times = [1000 * value for one in found for value in one["calls"][name]]
        row[name] = {"median": round(median(times), 2), "p95": round(quantiles(times, n=20)[-1], 2)}
    # An epoch's report and pruning, and its part of a sign of life every 15 s.
    an_epoch = row["report"]["median"] + row["prune"]["median"] + row["beat"]["median"] * EPOCH / 15
    row["share_of_epoch"] = round(an_epoch / (1000 * EPOCH), 5)
    return row


def scaling(url: str, workers: int, seconds: float, sleep: float) -> dict[str, Any]:
    """Trials an hour of workers whose epochs are ``sleep`` seconds, what part of linear that is, and shares of time."""
    found = work(url, workers, seconds, EPOCHS, sleep)
    rate = sum(one["done"] / one["took"] for one in found)
    return {
        "trials_an_hour": round(3600 * rate),
        "of_linear": round(rate / (workers / (EPOCHS * sleep)), 4),
        "shares": shares(found),
    }


def shares(found: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Which part of the workers' time, and so of their trials', each of ``SPENT`` takes."""
    whole = sum(one["took"] for one in found)
    return {name: round(sum(one["spent"][name] for one in found) / whole, 4) for name in SPENT}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument(
        "--databases", nargs="+", default=["sqlite", "postgres"], choices=["sqlite", "postgres"]
    )
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--finished", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--scale", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument(
        "--epoch-seconds", type=float, default=1.0, help="of what sleeps (default: %(default)s)"
    )
    asked = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = {"seconds": asked.seconds, "epoch_seconds": asked.epoch_seconds, "runs": 1}
    rows: list[dict[str, Any]] = []
    scaled: list[dict[str, Any]] = []
    with databases(asked.databases) as make:
        for name, new in make.items():
            for finished in asked.finished:
                filled = new()
                fill(filled, finished)
                for workers in asked.workers:
                    row = latency(new(filled), workers, asked.seconds)  # Anew for each: workers add trials.
                    rows.append({"database": name, "finished": finished, "workers": workers, **row})
                    print(json.dumps(rows[-1]), flush=True)
            filled = new()
            fill(filled, 100)
            for workers in asked.scale:
                length = max(6 * EPOCHS * asked.epoch_seconds, 2 * asked.seconds)
                row = scaling(new(filled), workers, length, asked.epoch_seconds)
                scaled.append({"database": name, "workers": workers, **row})
                print(json.dumps(scaled[-1]), flush=True)
            report(rows, scaled, settings, asked.out)


@contextlib.contextmanager
def databases(names: list[str]) -> Iterator[dict[str, Any]]:
    """Makers of new, empty databases, with the durability that a user's would have."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        numbers = iter(range(1000))
        make: dict[str, Any] = {}
        if "sqlite" in names:

            def new_file(like: str | None = None) -> str:
                path = Path(folder) / f"{next(numbers)}.db"
                if like is not None:
                    shutil.copyfile(like.removeprefix("sqlite:///"), path)
                return f"sqlite:///{path}"

            make["sqlite"] = new_file
        if "postgres" in names:
            make["postgres"] = stack.enter_context(PostgresServer(400, durable=True)).database
        yield make


def report(
    rows: Sequence[dict[str, Any]], scaled: Sequence[dict[str, Any]], settings: dict[str, Any], out: Path
) -> None:
    """Print and write what there is so far."""
    head = ("database", "finished", "workers", *CALLS, "share of a 10 s epoch")
    table = [
        (
            row["database"], f"{row['finished']:,}", row["workers"],
            *(f"{row[name]['median']:.1f} ({row[name]['p95']:.0f})" for name in CALLS),
            f"{100 * row['share_of_epoch']:.2f} %",
        )
        for row in rows
    ]  # fmt: skip
    scale_head = ("database", "workers", "trials an hour", "of linear", *SPENT)
    scale = [
        (
            row["database"], row["workers"], f"{row['trials_an_hour']:,}", f"{100 * row['of_linear']:.1f} %",
            *(f"{100 * row['shares'][name]:.1f} %" for name in SPENT),
        )
        for row in scaled
    ]  # fmt: skip
    met = {
        f"lock and database at most {MOST_WAITING:.0%} with 64 workers on Postgres": waiting(row)
        <= MOST_WAITING
        for row in scaled
        if (row["database"], row["workers"]) == ("postgres", 64)
    }
    print_table(head, table)
    print_table(scale_head, scale)
    path = write_result(
        "database", {"settings": settings, "latency_ms": rows, "scaling": scaled, "met": met}, out
    )
    calls = "Milliseconds a call, median (95 % quantile); workers that do nothing else."
    shares = "Workers that sleep in the place of training, and the shares of a trial's wall time."
    page = f"{calls}\n\n{markdown(head, table)}\n\n{shares}\n\n{markdown(scale_head, scale)}\n"
    path.with_suffix(".md").write_text(page, encoding="utf-8")


def waiting(row: Mapping[str, Any]) -> float:
    """The share of a trial's wall time in which it waits for the lock or the database."""
    return float(row["shares"][LOCK] + row["shares"]["database"])


if __name__ == "__main__":
    main()
