"""What the database costs: a worker's calls by the number of workers and of finished trials, and how workers scale.

Result, hardware, versions, number of runs: results/database.json, as tables results/database.md.

    latency   each of 1, 4, 16 worker processes claims, samples three parameters, reports, asks the pruner and tells,
              over and over, on studies that have 100, 1,000 and 10,000 finished trials already: medians and 95 %
              quantiles; the storage's share of a 10 s epoch (report, pruner, a sign of life) with 16 workers must stay
              under 1 %. Workers here do nothing else, so that they meet at the database far more often than they would.
    scaling   trials an hour with 1, 4, 16, 64 workers whose trials are 5 epochs of 1 s sleep each, against linear
              (aim 95 %)

All workers have imported what they need, and opened the study, before any of them begins. SQLite's files lie in the
system's folder for temporary files (TMPDIR): it must be on a disk, or syncing costs nothing.

    python benchmarks/database.py [--databases sqlite postgres] [--seconds 15] [--finished 100 1000 10000]
                                  [--workers 1 4 16] [--scale 1 4 16 64] [--epoch-seconds 1]
"""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import optuna
from postgres import PostgresServer
from record import make_parser, print_table, write_result

from storage.connect import open_storage

CALLS = ("claim", "sample", "report", "prune", "beat", "tell")
EPOCH = 10.0
EPOCHS = 5
# A worker without training. It prints a line when it is ready and begins when it is given one; then it prints how many
# trials it finished, in which time, and the seconds of each of its calls.
WORKER = """
import contextlib, json, random, sys, time
import optuna
from optuna.trial import TrialState
from storage.claims import Claims
from storage.connect import open_storage

url, seconds, epochs, sleep = sys.argv[1], *map(float, sys.argv[2:5])
database = open_storage(url)
study = optuna.load_study(study_name="s", storage=database)
pruner = optuna.pruners.SuccessiveHalvingPruner()
claims = Claims(database, study._study_id, f"worker-{random.getrandbits(32)}")
spent = {name: [] for name in ("claim", "sample", "report", "prune", "beat", "tell")}

@contextlib.contextmanager
def timed(name):
    before = time.monotonic()
    yield
    spent[name].append(time.monotonic() - before)

study.get_trials(deepcopy=False)
claims.has_work(0)
print("ready", flush=True)
if not sys.stdin.readline():
    sys.exit(1)
done, began = 0, time.monotonic()
while time.monotonic() < began + seconds:
    with timed("claim"):
        claim = claims.claim(10**9)
    with claim.fenced():
        with timed("sample"):
            sampler = optuna.samplers.TPESampler(seed=claim.number)
            study = optuna.load_study(study_name="s", storage=database, sampler=sampler, pruner=pruner)
            trial = optuna.trial.Trial(study, claim.trial_id)
            for name in ("rate", "width", "dropout"):
                trial.suggest_float(name, 0, 1)
        for epoch in range(1, int(epochs) + 1):
            time.sleep(sleep)
            with timed("report"):
                trial.report(random.random(), epoch)
            with timed("prune"):
                trial.should_prune()
            if sleep == 0:
                with timed("beat"):
                    claim.heartbeat(epoch=epoch)
        with timed("tell"):
            claim.finish(TrialState.COMPLETE, random.random())
    done += 1
print(json.dumps({"done": done, "took": time.monotonic() - began, "spent": spent}))
"""


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
                    [sys.executable, "-c", WORKER, *arguments],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
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
        times = [1000 * value for one in found for value in one["spent"][name]]
        row[name] = {"median": round(median(times), 2), "p95": round(quantiles(times, n=20)[-1], 2)}
    # An epoch's report and pruning, and its part of a sign of life every 15 s.
    an_epoch = row["report"]["median"] + row["prune"]["median"] + row["beat"]["median"] * EPOCH / 15
    row["share_of_epoch"] = round(an_epoch / (1000 * EPOCH), 5)
    return row


def scaling(url: str, workers: int, seconds: float, sleep: float) -> dict[str, Any]:
    """Trials an hour of workers whose epochs are ``sleep`` seconds, and what part of linear that is."""
    found = work(url, workers, seconds, EPOCHS, sleep)
    rate = sum(one["done"] / one["took"] for one in found)
    return {
        "trials_an_hour": round(3600 * rate),
        "of_linear": round(rate / (workers / (EPOCHS * sleep)), 4),
    }


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
    scale_head = ("database", "workers", "trials an hour", "of linear")
    scale = [
        (row["database"], row["workers"], f"{row['trials_an_hour']:,}", f"{100 * row['of_linear']:.1f} %")
        for row in scaled
    ]
    print_table(head, table)
    print_table(scale_head, scale)
    path = write_result("database", {"settings": settings, "latency_ms": rows, "scaling": scaled}, out)
    lines = ["Milliseconds a call, median (95 % quantile); workers that do nothing else.\n"]
    for titles, body in ((head, table), (scale_head, scale)):
        lines += ["| " + " | ".join(map(str, line)) + " |" for line in (titles, ["---"] * len(titles), *body)]
        lines.append("")
    path.with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
