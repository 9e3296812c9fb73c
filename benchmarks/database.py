"""What the database costs: a worker's calls by the number of workers and of finished trials, and how workers scale.

Result, hardware, versions, number of runs: results/database.json, as tables results/database.md.

    latency   each of 1, 4, 16 worker processes claims, samples three parameters, reports, asks the pruner and tells,
              over and over, on studies that have 100, 1,000 and 10,000 finished trials already: medians and 95 %
              quantiles; the storage's share of a 10 s epoch (report, pruner, a sign of life) with 16 workers must stay
              under 1 %. Workers here do nothing else, so that they meet at the database far more often than they would.
    scaling   trials an hour with 1, 4, 16, 64 workers whose trials are 5 epochs of 1 s sleep each, against linear
              (aim 95 %)

    python benchmarks/database.py [--databases sqlite postgres] [--seconds 15]
"""

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import optuna
from postgres import PostgresServer
from record import RESULTS, print_table, write_result

from storage.opening import open_storage

CALLS = ("claim", "sample", "report", "prune", "beat", "tell")
EPOCH = 10.0
# A worker without training: prints the seconds of each of its calls, or how many trials it finished.
WORKER = """
import contextlib, json, random, sys, time
import optuna
from optuna.trial import TrialState
from storage.claims import Claims
from storage.opening import open_storage

url, begin, seconds, epochs, sleep = sys.argv[1], *map(float, sys.argv[2:6])
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
claims.owed(0)
time.sleep(max(0.0, begin - time.time()))
done, late = 0, time.monotonic()
while time.time() < begin + seconds:
    with timed("claim"):
        claim = claims.claim(10**9)
    with claim.owned():
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
                    claim.beat(epoch=epoch)
        with timed("tell"):
            claim.tell(TrialState.COMPLETE, random.random())
    done += 1
print(json.dumps({"done": done, "took": time.monotonic() - late, "spent": spent}))
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
    """Let so many processes work at once; what each of them says."""
    begin = time.time() + 4 + 0.8 * workers  # All of them import first, two cores for all.
    arguments = [url, str(begin), str(seconds), str(epochs), str(sleep)]
    processes = [
        subprocess.Popen([sys.executable, "-c", WORKER, *arguments], stdout=subprocess.PIPE, text=True)
        for _ in range(workers)
    ]
    return [json.loads(process.communicate()[0]) for process in processes]


def latency(url: str, workers: int, seconds: float) -> dict[str, Any]:
    """Medians and 95 % quantiles of each call, in milliseconds."""
    said = work(url, workers, seconds, 3, 0.0)
    row: dict[str, Any] = {"trials": sum(one["done"] for one in said)}
    for name in CALLS:
        times = [1000 * value for one in said for value in one["spent"][name]]
        row[name] = {"median": round(median(times), 2), "p95": round(quantiles(times, n=20)[-1], 2)}
    # An epoch's report and pruning, and its part of a sign of life every 15 s.
    an_epoch = row["report"]["median"] + row["prune"]["median"] + row["beat"]["median"] * EPOCH / 15
    row["share_of_epoch"] = round(an_epoch / (1000 * EPOCH), 5)
    return row


def scaling(url: str, workers: int, seconds: float) -> dict[str, Any]:
    """Trials an hour of workers that sleep, and what part of linear that is."""
    said = work(url, workers, seconds, 5, 1.0)
    rate = sum(one["done"] / one["took"] for one in said)
    return {"trials_an_hour": round(3600 * rate), "of_linear": round(rate / (workers / 5.0), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--databases", nargs="+", default=["sqlite", "postgres"], choices=["sqlite", "postgres"]
    )
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--finished", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--scale", type=int, nargs="+", default=[1, 4, 16, 64])
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
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
                row = scaling(new(filled), workers, max(30.0, 2 * asked.seconds))
                scaled.append({"database": name, "workers": workers, **row})
                print(json.dumps(scaled[-1]), flush=True)
            report(asked, rows, scaled)


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


def report(asked: argparse.Namespace, rows: list[dict[str, Any]], scaled: list[dict[str, Any]]) -> None:
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
    write_result("database", {"seconds": asked.seconds, "runs": 1, "latency_ms": rows, "scaling": scaled})
    lines = ["Milliseconds a call, median (95 % quantile); workers that do nothing else.\n"]
    for titles, body in ((head, table), (scale_head, scale)):
        lines += ["| " + " | ".join(map(str, line)) + " |" for line in (titles, ["---"] * len(titles), *body)]
        lines.append("")
    (RESULTS / "database.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
