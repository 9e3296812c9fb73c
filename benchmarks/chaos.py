"""Many workers, one database, and somebody who kills them: are there exactly N trials at the end, and nothing lost?

Result, hardware, versions, number of runs: results/chaos.json, as a table results/chaos.md.

Six workers share a study of 40 trials of a real Keras net on digits. Every 12 s or so a SIGKILL or SIGTERM hits
a worker or a child, or a worker is stopped for longer than the grace and goes on; Postgres restarts twice and is away
once for longer than the grace (an SQLite file is locked by a stranger instead). What is then asked of the study:

    finished         exactly as many as wanted; none RUNNING for ever
    configurations   as many distinct ones
    lost workers     those that ended otherwise than by the signals sent, each signal for one of them: none
    redone           epochs trained more than once: at most one an interruption
    files            checkpoints left behind: none; kept weights: three; the most of both at any time
    harms            that were done at all: a run without any shows nothing, and counts as failed

    python benchmarks/chaos.py [--databases sqlite postgres] [--runs 5] [--trials 40] [--workers 6]
"""

import contextlib
import json
import os
import random
import re
import signal
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postgres import PostgresServer
from record import RESULTS, commit, make_parser, print_table, write_result

from search.config.settings import RunOptions
from search.engines.local import LocalWorkers
from search.engines.resources import ResourceSlot
from search.execution.stop_requests import Stop
from search.process.fork_server import ForkServer
from search.study.opening import open_study
from search.study.study import LoadedStudy
from storage.claims import INTERRUPTIONS
from storage.timeouts import Timeouts

ACTIONS = ("kill worker", "kill child", "term worker", "term child", "pause worker")
PAST = 2


@dataclass(frozen=True)
class Settings:
    """One run of chaos; times are seconds, ``harms`` the most that are done in all (None: no end of them)."""

    trials: int = 40
    workers: int = 6
    epochs: int = 40
    images: int | None = None
    space: str = "cnn"
    grace: float = 6.0
    between: float = 12.0
    disturbances: tuple[float, ...] = (30.0, 70.0, 110.0)
    most: float = 1500.0
    harms: int | None = None


@dataclass
class Monkey:
    """Does harm to a study while it runs, and keeps account of it."""

    study: LoadedStudy
    server: PostgresServer | None
    settings: Settings
    seed: int
    done: Counter[str] = field(default_factory=Counter)
    past: int = 0
    most_files: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until it is over: a harm now and then, the database's in between, and a look at the files all the time."""
        rng = random.Random(self.seed)
        began = time.monotonic()
        due, database = self.settings.between / 2, list(self.settings.disturbances)
        while not self.over.wait(0.25):
            self.most_files = max(self.most_files, len(self.study.paths.trial_files()))
            elapsed = time.monotonic() - began
            if database and elapsed > database[0]:
                database.pop(0)
                self._disturb(long=not database)
            most = self.settings.harms
            if elapsed > due and (most is None or self.done.total() < most):
                due = elapsed + self.settings.between * rng.uniform(0.6, 1.4)
                with contextlib.suppress(Exception):  # The database may be away, the victim gone.
                    self._harm(rng)

    def _harm(self, rng: random.Random) -> None:
        running = [
            trial for trial in self.study.view.get_trials(deepcopy=False) if trial.state.name == "RUNNING"
        ]
        running = [trial for trial in running if "child" in trial.system_attrs["life"]]
        # Where there is one, a trial that has something to lose.
        begun = [trial for trial in running if max(trial.intermediate_values, default=0) > PAST]
        victim, action = rng.choice(begun or running), rng.choice(ACTIONS)
        life = victim.system_attrs["life"]
        pid = life["child"] if action.endswith("child") else life["pid"]
        if action == "pause worker":
            os.kill(pid, signal.SIGSTOP)
            threading.Timer(1.5 * self.settings.grace, _go_on, [pid]).start()
        else:
            os.kill(pid, signal.SIGKILL if action.startswith("kill") else signal.SIGTERM)
        self.done[action] += 1
        if max(victim.intermediate_values, default=0) > PAST:
            self.past += 1

    def _disturb(self, long: bool) -> None:
        away = 1.5 * self.settings.grace if long else 1.0
        self.done["outage longer than the grace" if long else "restart"] += 1
        if self.server is not None:
            self.server.restart(away)
            return
        stranger = sqlite3.connect(str(self.study.storage.url.database), timeout=60)
        stranger.execute("BEGIN IMMEDIATE")
        time.sleep(away)
        stranger.rollback()
        stranger.close()


def _go_on(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def run(
    server: ForkServer, postgres: PostgresServer | None, settings: Settings, seed: int, root: Path
) -> dict[str, Any]:
    """One study under chaos: what came of it."""
    url = postgres.database() if postgres is not None else f"sqlite:///{root / 'search.db'}"
    study = open_study(
        RunOptions.given(
            "chaos", data="digits", space=settings.space, trials=settings.trials, epochs=settings.epochs,
            images=settings.images, pruner="none", sampler="random", seed=seed, storage=url, root=root,
            grace=settings.grace,
        )
    )  # fmt: skip
    study.storage.use_timeouts(Timeouts(grace=settings.grace, outage=60, pause=1, poll=0.5, connect=2))
    monkey = Monkey(study, postgres, settings, seed)
    stop = Stop(deadline=time.monotonic() + settings.most)
    workers = LocalWorkers(
        study, server, [ResourceSlot(threads=1)] * settings.workers, checkpoint_seconds=0.0
    )
    harm = threading.Thread(target=monkey.run, daemon=True)
    began = time.monotonic()
    harm.start()
    try:
        workers.run(stop)
    finally:
        monkey.over.set()
        harm.join(30)
    return {
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
        **account(study, settings, monkey, workers),
    }


def account(study: LoadedStudy, settings: Settings, monkey: Monkey, workers: LocalWorkers) -> dict[str, Any]:
    """What the study, its files and its logs say."""
    trials = study.optuna.get_trials(deepcopy=False)
    finished = [trial for trial in trials if trial.state.name in ("COMPLETE", "PRUNED")]
    redone = interruptions = over = 0
    for trial in trials:
        printed = re.findall(r"^epoch (\d+):", study.paths.log(trial.number).read_text(), re.MULTILINE)
        again = len(printed) - len(set(printed))
        # A crash's second try is an interruption too: of a child that was killed as it closed its line.
        times = trial.system_attrs.get(INTERRUPTIONS, 0)
        redone, interruptions, over = redone + again, interruptions + times, over + max(0, again - times)
    left = [path.name for path, _, _ in study.paths.trial_files()]
    statuses = Counter(workers.statuses)
    return {
        "finished": len(finished),
        "states": dict(Counter(trial.state.name for trial in trials)),
        "distinct": len({json.dumps(trial.params, sort_keys=True) for trial in finished}),
        "whole": sum(len(trial.intermediate_values) == settings.epochs for trial in finished),
        "harm": dict(monkey.done),
        "past_epoch_2": monkey.past,
        "interruptions": interruptions,
        "redone": redone,
        "redone_beyond_one_each": over,
        "lost_workers": lost_workers(statuses, monkey.done),
        "statuses": {str(status): count for status, count in statuses.items()},
        "checkpoints_left": sum(name.endswith(".npz") for name in left),
        "weights_left": sum(name.endswith(".keras") for name in left),
        "most_files": monkey.most_files,
    }


def lost_workers(statuses: Counter[int], harm: Counter[str]) -> int:
    """How many workers ended otherwise than when they were done, or by a signal that was sent."""
    # One that is told to end before it listens to signals ends by the signal itself.
    killed, told = statuses[-signal.SIGKILL], statuses[130] + statuses[-signal.SIGTERM]
    others = statuses.total() - statuses[0] - killed - told
    return others + max(0, killed - harm["kill worker"]) + max(0, told - harm["term worker"])


def failures(row: dict[str, Any], settings: Settings) -> list[str]:
    """Which promises a run did not keep."""
    wrong = {
        "no process was harmed": not any(row["harm"].get(action) for action in ACTIONS),
        f"{row['finished']} finished, not {settings.trials}": row["finished"] != settings.trials,
        f"{row['distinct']} distinct configurations": row["distinct"] != settings.trials,
        f"a trial without all its {settings.epochs} reports": row["whole"] != settings.trials,
        f"trials in other states: {row['states']}": set(row["states"]) - {"COMPLETE", "PRUNED"} != set(),
        f"{row['lost_workers']} workers lost: {row['statuses']}": row["lost_workers"] > 0,
        f"{row['redone_beyond_one_each']} epochs redone beyond one an interruption": row[
            "redone_beyond_one_each"
        ]
        > 0,
        f"{row['checkpoints_left']} checkpoints left behind": row["checkpoints_left"] > 0,
        f"weights kept of {row['weights_left']} trials": row["weights_left"] > 3,
    }
    return [words for words, is_so in wrong.items() if is_so]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument(
        "--databases", nargs="+", default=["sqlite", "postgres"], choices=["sqlite", "postgres"]
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--trials", type=int, default=Settings.trials)
    parser.add_argument("--workers", type=int, default=Settings.workers)
    parser.add_argument("--epochs", type=int, default=Settings.epochs)
    asked = parser.parse_args(arguments)
    settings = Settings(asked.trials, asked.workers, asked.epochs)
    rows: list[dict[str, Any]] = []
    with ForkServer("tensorflow") as server, contextlib.ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer()) if "postgres" in asked.databases else None
        for number in range(asked.runs):
            for database in asked.databases:
                with tempfile.TemporaryDirectory() as root:
                    row = run(
                        server, postgres if database == "postgres" else None, settings, number, Path(root)
                    )
                row = {"database": database, "run": number + 1, "code": commit(), **row}
                row["failures"] = failures(row, settings)
                print(json.dumps(row), flush=True)
                rows.append(row)
                report(rows, settings, asked.out)


def report(rows: list[dict[str, Any]], settings: Settings, out: Path = RESULTS) -> None:
    """Print the table so far, and write it."""
    head = (
        "database", "run", "finished", "distinct", "harms", "past epoch 2", "interruptions", "redone",
        "lost workers", "most files", "left", "seconds", "code", "kept its promises",
    )  # fmt: skip
    table = [
        (
            row["database"], row["run"], row["finished"], row["distinct"], sum(row["harm"].values()),
            row["past_epoch_2"], row["interruptions"], row["redone"], row["lost_workers"], row["most_files"],
            f"{row['checkpoints_left']} + {row['weights_left']}", f"{row['seconds']:.0f}",
            row["code"],
            "; ".join(row["failures"]) or "yes",
        )
        for row in rows
    ]  # fmt: skip
    print_table(head, table)
    path = write_result("chaos", {"settings": vars(settings) | {"runs": len(rows)}, "rows": rows}, out)
    lines = [head, ["---"] * len(head), *table]
    text = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
    about = (
        f"{settings.workers} workers, {settings.trials} trials of {settings.epochs} epochs; grace "
        f"{settings.grace:g} s; `left` is checkpoints + kept weights at the end, `most files` the most of "
        "both at any time.\n"
    )
    path.with_suffix(".md").write_text(f"{about}\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
