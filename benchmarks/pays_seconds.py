"""Does a search pay at equal seconds? Ours and a random search side by side, each on half of the cores.

Results: results/pays_seconds.csv, a row a repetition, and its summary results/pays_seconds.json.

A repetition is that of ``pays.py``, but bounded by ``--timeout``, of preparation, search, race and final training
together: ours and the random search, which has the same ranges and the same race, run at the same time, so that a
machine that grows slower or faster favours neither. Which half of the cores is whose changes from one repetition to the
next. Both are scored on the same images, which neither has seen. Rows are appended; the same command leaves out those
that are there, and begins anew what it was interrupted in.

    python benchmarks/pays_seconds.py --sets fashion_few=fashion_mnist --minutes 15 --repetitions 3
"""

import multiprocessing
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pays import FIRST_SEED, MANY, TASKS, Task, deal, options_of, search, sets_of, sets_parser
from pays_summary import difference, points
from record import append_row, commit, once, print_table, read_rows, write_result

SIDES = {"exported": {}, "random": {"sampler": "random"}}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = sets_parser(__doc__)
    parser.add_argument("--minutes", type=float, default=15, help="of each search (default: %(default)s)")
    asked = parser.parse_args(arguments)
    sets = sets_of(parser, asked.sets)
    if any(TASKS[name].over_backbone for name in sets):
        parser.error("--sets clothing_backbone: its nets are heads over a backbone, which pays.py alone has")
    table = asked.out / "pays_seconds.csv"
    there = {(row["set"], row["minutes"], row["seed"]) for row in read_rows(table)}
    for seed in range(FIRST_SEED, FIRST_SEED + asked.repetitions):
        for name, source in sets.items():
            if (name, str(asked.minutes), str(seed)) not in there:
                place = asked.work / f"{name}-{asked.minutes:g}min-{seed}-{commit()}"
                found = repetition(TASKS[name], source, seed, place, 60 * asked.minutes)
                append_row(table, {"set": name, "minutes": asked.minutes, "seed": seed, **found})
    figures = summarise(read_rows(table))
    write_result("pays_seconds", figures, asked.out)
    print_table(
        ["set", "minutes", "repetitions", "exported - random, points"],
        [[one["set"], one["minutes"], len(one["each"]), points(one)] for one in figures["sets"]],
    )


def repetition(task: Task, source: str, seed: int, place: Path, seconds: float) -> dict[str, Any]:
    """Both searches, begun at the same time; each in a process that imports Keras within its own cores."""
    shutil.rmtree(place, ignore_errors=True)
    cores = sorted(os.sched_getaffinity(0))
    half = max(1, len(cores) // 2)
    halves = [cores[:half], cores[half : 2 * half] or cores]
    one = partial(run_side, task=task, source=source, seed=seed, place=place, seconds=seconds)
    with ProcessPoolExecutor(len(SIDES), multiprocessing.get_context("spawn")) as pool:
        sides = dict(zip(SIDES, pool.map(one, SIDES, halves[:: -1 if seed % 2 else 1]), strict=True))
    return {
        "commit": commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        **{name: side["accuracy"] for name, side in sides.items()},
        **{
            f"{key}.{name}": side[key]
            for key in ("seconds", "compute", "trials", "trial")
            for name, side in sides.items()
        },
    }


def run_side(
    name: str, cores: Sequence[int], task: Task, source: str, seed: int, place: Path, seconds: float
) -> dict[str, Any]:
    """One of the searches, on ``cores`` alone."""
    os.sched_setaffinity(0, cores)
    about = {
        **options_of(task, deal(task, source, seed), seed, place),
        **SIDES[name],
        **{"trials": MANY, "budget": None, "timeout": seconds, "cache": place / f"cache-{name}"},
    }
    return once(place / f"{name}.json", lambda: search(name, place, about))


def summarise(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The differences of each set at each length, with their interval."""
    groups: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for row in rows:
        groups.setdefault((row["set"], row["minutes"]), []).append(row)
    return {
        "sets": [
            {
                "set": name,
                "minutes": float(minutes),
                **difference(*([float(row[side]) for row in each] for side in SIDES)),
            }
            for (name, minutes), each in groups.items()
        ]
    }


if __name__ == "__main__":
    main()
