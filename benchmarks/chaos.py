"""Many workers, one database, and somebody who harms them: are there exactly N trials at the end, and nothing lost?

Result, hardware, versions, number of runs: results/chaos.json, as tables results/chaos.md.

A study of digits is searched by a command with four workers, on SQLite or Postgres, and every few seconds a fault is
injected (``chaos_faults.py``): a worker, a child, the fork server, the command or all of them are killed, told to end
or stopped for longer than the grace, the command is interrupted and started again, the database is away, the disk is
full, a checkpoint is damaged, another study is deleted, the study is exported. In a part of the runs Keras trains real
nets; in the others it is the tests' NumPy training, which speaks the same protocol and leaves time for more faults.

What is then asked (``chaos_account.py``): exactly as many finished trials as wanted, all distinct, each with all its
reports, none in another state; at most one epoch trained again for an interruption, but for torn checkpoints and full
disks, which are counted apart; with NumPy, the curves of the most interrupted trials as if nothing had happened; no
traceback, no end that no fault explains; and left behind: no process, no checkpoint, no temporary file, the weights of
the three best trials. A run that fails stays in the table, and its folder stays for whoever looks into it.

    python benchmarks/chaos.py              until the result's file counts 1,000 faults, whoever began it
    python benchmarks/chaos.py --runs 1     one run more
"""

import contextlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chaos_account import account, failures
from chaos_faults import ROUND, Monkey, kinds_in_turn
from chaos_processes import Command, Place, environment_of, small_disk
from postgres import PostgresServer
from record import RESULTS, commit, make_parser, markdown, print_table, write_result

from search.config.settings import RunOptions
from search.study.opening import open_study
from storage.timeouts import Timeouts

LOOK_SECONDS = 0.1
# After so many looks at which nobody was there to suffer it, another kind of fault takes its turn.
LOOKS = 5


@dataclass(frozen=True)
class Settings:
    """One run of chaos.

    Attributes:
        training: ``numpy`` or ``keras``.
        trials: Finished trials that the study shall have.
        workers: Workers of the command.
        epochs: Length of a trial.
        images: Training images.
        space: Search space.
        epoch_seconds: How long an epoch takes at least, with NumPy.
        grace: Seconds of silence after which a worker is taken for dead.
        between: Seconds between two faults, on average.
        most: Seconds after which the run counts as stuck.
        megabytes: Size of the disk that is filled now and then.
        faults: The most faults that are injected; then the study ends in peace.
        kinds: How often each kind of fault comes in one round.
    """

    training: str = "numpy"
    trials: int = 30
    workers: int = 4
    epochs: int = 40
    images: int = 200
    space: str = "small_space"
    epoch_seconds: float = 0.1
    grace: float = 2.5
    between: float = 1.0
    most: float = 900.0
    megabytes: int = 32
    faults: int = 50
    kinds: Counter[str] = field(
        default_factory=lambda: Counter({kind: count for kind, count in ROUND.items() if kind != "export"})
    )


TRAININGS = {
    "numpy": Settings(),
    "keras": Settings(
        training="keras", trials=20, faults=30, epochs=12, images=400, space="cnn", grace=4.0, between=2.5,
        megabytes=128, kinds=Counter(ROUND),
    ),
}  # fmt: skip
# Of four runs on each database.
TURNS = ["numpy", "numpy", "numpy", "keras"]


def run(
    postgres: PostgresServer | None, settings: Settings, seed: int, root: Path, keep: Path | None = None
) -> dict[str, Any]:
    """One study under chaos: what came of it, with the promises that it did not keep.

    Args:
        postgres: The server; None for SQLite.
        settings: What is run.
        seed: Of the faults.
        root: A folder for all of it.
        keep: Where all of it is copied to if a promise was not kept.
    """
    began = time.monotonic()
    with small_disk(root / "run", settings.megabytes) as place:
        try:
            row = _run(postgres, settings, seed, place)
        except Exception as error:  # It is counted as a failing run, not dropped.
            traceback.print_exc()
            row = {"faults": {}, "failures": [f"the benchmark failed: {error!r}"]}
        if row["failures"] and keep is not None:
            shutil.copytree(place.folder, keep, ignore_dangling_symlinks=True)
    return {"seed": seed, "seconds": round(time.monotonic() - began, 1), **row}


def _run(postgres: PostgresServer | None, settings: Settings, seed: int, place: Place) -> dict[str, Any]:
    url = postgres.database() if postgres is not None else f"sqlite:///{place.disk / 'search.db'}"
    study = open_study(
        RunOptions.given(
            "chaos", data="digits", space=settings.space, trials=settings.trials, epochs=settings.epochs,
            images=settings.images, pruner="none", sampler="random", seed=seed, storage=url,
            root=place.disk / "studies", grace=settings.grace,
        )
    )  # fmt: skip
    timeouts = Timeouts(grace=settings.grace, outage=60, pause=1, poll=0.5, connect=2)
    study.storage.use_timeouts(timeouts)
    environment = environment_of(
        place, settings.training, settings.epoch_seconds, timeouts, mark=uuid.uuid4().hex
    )
    command = Command(study, place, environment, settings.workers)
    monkey = Monkey(study, postgres, place, command, settings.grace, random.Random(seed))
    try:
        _inflict(monkey, settings)
        monkey.settle()
    except BaseException:
        monkey.give_up()
        raise
    row = account(monkey, settings.epochs, settings.training == "numpy")
    study.storage.close()
    return {**row, "failures": failures(row, settings.trials, settings.epochs)}


def _inflict(monkey: Monkey, settings: Settings) -> None:
    """Inflict one fault after another until the command has ended as it should, or takes too long."""
    kinds, command = settings.kinds.copy(), monkey.command
    if not monkey.place.small:
        del kinds["full disk"]
    turns = kinds_in_turn(monkey.rng, kinds)
    kind, looks = next(turns), 0
    began = time.monotonic()
    due = began + 2 * settings.between
    command.start()
    while (status := command.status()) != 0:
        now = time.monotonic()
        if now - began > settings.most:
            command.unexpected.append(f"not done after {settings.most:.0f} s")
            monkey.give_up()
            return
        if status is not None:
            if not command.is_explained(status):
                command.unexpected.append(f"status {status}: {command.last_line()}")
            command.start()
        if now > due and monkey.done.total() < settings.faults:
            looks += 1
            injected = monkey.inflict(kind)
            if injected or looks > LOOKS:
                kind, looks = next(turns), 0
            if injected:
                due = time.monotonic() + settings.between * monkey.rng.uniform(0.6, 1.4)
        time.sleep(LOOK_SECONDS)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgres"])
    parser.add_argument("--trainings", nargs="+", default=TURNS, choices=list(TRAININGS))
    parser.add_argument("--faults", type=int, default=1000, help="run until the result's file counts so many")
    parser.add_argument("--runs", type=int, default=10**9, help="do so many runs more, at most")
    parser.add_argument("--kinds", nargs="+", choices=list(ROUND), help="these kinds of faults alone")
    kept = Path(tempfile.gettempdir()) / "chaos-failed"
    parser.add_argument("--keep", type=Path, default=kept, help="where the folders of failed runs stay")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    stored = asked.out / "chaos.json"
    rows = json.loads(stored.read_text(encoding="utf-8"))["rows"] if stored.exists() else []
    turns = [(training, database) for training in asked.trainings for database in asked.databases]
    with contextlib.ExitStack() as stack:
        # Durable, as a user's: what it has said that it stored must be there after a restart.
        postgres = (
            stack.enter_context(PostgresServer(durable=True)) if "postgres" in asked.databases else None
        )
        for number in range(len(rows) + 1, len(rows) + 1 + asked.runs):
            if injected(rows).total() >= asked.faults:
                break
            training, database = turns[(number - 1) % len(turns)]
            kinds = Counter(asked.kinds) if asked.kinds else TRAININGS[training].kinds
            settings = replace(TRAININGS[training], kinds=kinds)
            code, keep = commit(), asked.keep / f"run-{number}-{uuid.uuid4().hex[:6]}"
            with tempfile.TemporaryDirectory(prefix="chaos-") as root:
                server = postgres if database == "postgres" else None
                row = run(server, settings, number, Path(root), keep)
            rows.append({"run": number, "database": database, "training": training, "code": code, **row})
            print(json.dumps(rows[-1]), flush=True)
            report(rows, asked.out)


def injected(rows: Sequence[dict[str, Any]]) -> Counter[str]:
    """How often each kind of fault was injected in these runs."""
    return sum((Counter(row["faults"]) for row in rows), Counter())


def report(rows: Sequence[dict[str, Any]], out: Path = RESULTS) -> None:
    """Print the runs so far, and write them: as JSON, and as tables of the runs and of the faults by kind."""
    head = (
        "run", "database", "training", "faults", "finished", "distinct", "interruptions", "redone", "begun again",
        "left", "seconds", "code", "kept its promises",
    )  # fmt: skip
    table = [
        (
            row["run"], row["database"], row["training"], sum(row["faults"].values()),
            row.get("finished", "?"), row.get("distinct", "?"), row.get("interruptions", "?"),
            row.get("redone", 0) - row.get("begun_again", 0), row.get("begun_again", "?"),
            f"{row.get('checkpoints_left', '?')} + {row.get('weights_left', '?')}",
            f"{row['seconds']:.0f}", row["code"], "; ".join(row["failures"]) or "yes",
        )
        for row in rows
    ]  # fmt: skip
    print_table(head, table)
    places = [*dict.fromkeys((row["training"], row["database"]) for row in rows)]
    sums = [
        injected([row for row in rows if (row["training"], row["database"]) == place]) for place in places
    ]
    everything = injected(rows)
    kinds = [
        (kind, *(one[kind] for one in sums), everything[kind])
        for kind in [*sorted(everything, key=list(ROUND).index)]
    ]
    kinds.append(("all", *(one.total() for one in sums), everything.total()))
    path = write_result(
        "chaos",
        {"settings": {name: vars(settings) for name, settings in TRAININGS.items()}, "rows": rows},
        out,
    )
    failed = sum(bool(row["failures"]) for row in rows)
    about = (
        f"{len(rows)} runs, {everything.total()} faults; {failed} runs did not keep every promise. `redone`: epochs "
        "trained again, at most one an interruption; `begun again`: those of trials whose checkpoint was torn, or "
        "could not be written on a full disk; `left`: checkpoints + kept weights. What is asked of a run, and with "
        "what settings: `chaos.py`.\n"
    )
    by_kind = markdown(("fault", *(" on ".join(place) for place in places), "all"), kinds)
    path.with_suffix(".md").write_text(f"{about}\n{markdown(head, table)}\n\n{by_kind}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
