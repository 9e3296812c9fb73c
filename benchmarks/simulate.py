"""Which way to search finds the best configuration for the same compute? Replayed on a table, nothing is trained.

Result, versions: results/simulate_TABLE.json, as tables results/simulate_TABLE.md; what a table has: table_rows.py.

Each way to search spends 20 full lengths of a training, or half of them. A trial that is pruned costs the eighths that
it was trained for; where copies are decayed on the way to see how good it is, these cost what the table says. A sampler
proposes a configuration, and the unused row nearest to it is taken (random search takes any). What is exported is the
complete trial that validates best; its true regret is the best true value of all rows that there are, minus its own.
Ours is the product's sampler and pruner, called from its own code; it begins with the default.

The rows are dealt into two halves. What is to be chosen (a value to prune by, a rung) is chosen on one of them
(``--rows choose``, which also tries ours with other rungs) and reported on the other (``--rows report``, the default).
A replay has two thirds of the rows of its half, drawn anew for every fiftieth of the replays: so an interval can tell
how much hangs on the rows that happen to be in the table. It is the delete-d jackknife's (Shao and Wu, 1989): the
variance of the means, times the rows kept over those left out, which is 2.

``--longer`` is a table of some of these configurations that were trained for longer on more images: does a lead last?

    python benchmarks/simulate.py --table FILE.csv [--space cnn] [--replays 1000] [--value plain] [--rows report] \
        [--longer FILE.csv]
"""

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ranks import lasting, rank_statistics
from record import make_parser, markdown, write_result
from replays import OURS, Export, Method, choices, methods, quiet, replay
from table_rows import PARTS, VALUES, Table, TableError, read_table

from search.config.study_config import StudyConfig
from spaces.contract import InputSpec

# With more, searches that prune would have tried all rows of a table of 250, and not have to choose any more.
LENGTHS = 20
RESAMPLES = 50
Z = 1.96
# An export that is worse than the default by more than this has failed.
WORSE = 0.005

_asked: argparse.Namespace
_table: Table


class Task(NamedTuple):
    """The replays of one way to search on one resample of the rows."""

    method: str
    among: Sequence[int]
    seeds: Sequence[int]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--longer", type=Path, help="table of some of its rows, trained for longer")
    parser.add_argument("--space", default="cnn")
    parser.add_argument(
        "--size", type=int, nargs=4, default=(32, 32, 3, 10), metavar=("H", "W", "C", "CLASSES")
    )
    parser.add_argument("--value", choices=VALUES, default="plain", help="what is pruned by")
    parser.add_argument("--rows", choices=("report", "choose", "all"), default="report")
    parser.add_argument("--lengths", type=float, default=LENGTHS)
    parser.add_argument("--replays", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    asked = parser.parse_args(arguments)
    try:
        table = read_table(asked.table, asked.space, InputSpec(*asked.size))
        longer = {}
        if asked.longer:
            others = read_table(asked.longer, asked.space, InputSpec(*asked.size))
            longer = {"longer": lasting(table, others)}
        half = half_of(table, asked.rows)
        _check(asked, table, half)
    except TableError as error:
        parser.error(str(error))
    tasks = make_tasks(table, half, asked.replays, list(ways_of(asked)))
    with ProcessPoolExecutor(asked.processes, get_context("spawn"), _begin, (asked, table)) as pool:
        found = list(pool.map(_run, tasks, chunksize=1))
    figures = {
        "settings": settings_of(asked, table, half),
        "methods": summarise(table, tasks, found),
        "ranks": rank_statistics(table),
        **longer,
    }
    path = write_result(f"simulate_{asked.table.stem}", figures, asked.out)
    path.with_suffix(".md").write_text(as_markdown(figures), encoding="utf-8")
    print(path.with_suffix(".md").read_text(encoding="utf-8"))


def ways_of(asked: argparse.Namespace) -> dict[str, Method]:
    """The ways to search that are compared, by name; where ours is to be chosen also what it is chosen among."""
    config = _config(asked.space, asked.size)
    return {**methods(config), **(choices(config) if asked.rows == "choose" else {})}


def half_of(table: Table, which: str) -> list[int]:
    """The numbers of the rows of a half; of both where all are asked for. The default's row is in each."""
    order = np.random.default_rng(0).permutation(len(table.rows)).tolist()
    middle = len(order) // 2
    half = {"choose": order[:middle], "report": order[middle:], "all": order}[which]
    return _with_default(table, half)


def make_tasks(table: Table, half: Sequence[int], replays: int, names: Sequence[str]) -> list[Task]:
    """The same resamples and seeds for every way to search, so that their differences are paired."""
    chance, kept = np.random.default_rng(1), len(half) - len(half) // 3
    resamples = min(RESAMPLES, replays)
    tasks = []
    for seeds in np.array_split(np.arange(replays), resamples):
        among = _with_default(table, chance.choice(half, kept, replace=False).tolist())
        tasks += [Task(name, among, seeds.tolist()) for name in names]
    return tasks


def summarise(
    table: Table, tasks: Sequence[Task], found: Sequence[list[list[Export]]]
) -> list[dict[str, Any]]:
    """For each way to search and each budget: regret, its difference from ours at half of it, what was exported."""
    default = (
        table.rows[table.default_row].true if table.default_row is not None and table.has_default else None
    )
    regrets: dict[tuple[str, int], list[np.ndarray]] = {}
    exports: dict[tuple[str, int], list[Export]] = {}
    for task, each in zip(tasks, found, strict=True):
        best = max(table.rows[number].true for number in task.among)
        for mark in range(2):
            at = [one[mark] for one in each]
            regrets.setdefault((task.method, mark), []).append(
                np.array([best - export.true for export in at])
            )
            exports.setdefault((task.method, mark), []).extend(at)
    ours = regrets[OURS, 0]
    summary = []
    for (name, mark), by_resample in regrets.items():
        mean, interval = _interval([float(one.mean()) for one in by_resample])
        paired = [float((mine - theirs).mean()) for mine, theirs in zip(ours, by_resample, strict=True)]
        difference, between = _interval(paired)
        there = exports[name, mark]
        summary.append(
            {
                "method": name,
                "budget": ("half", "full")[mark],
                "regret": mean,
                "interval": interval,
                "ours_at_half_minus_this": difference,
                "difference_interval": between,
                "worse_than_default": None
                if default is None
                else float(np.mean([export.true < default - WORSE for export in there])),
                "trials": float(np.mean([export.trials for export in there])),
                "complete": float(np.mean([export.complete for export in there])),
                "ran_out": float(np.mean([export.ran_out for export in there])),
            }
        )
    return summary


def settings_of(asked: argparse.Namespace, table: Table, half: Sequence[int]) -> dict[str, Any]:
    """What was asked, and what the table has."""
    return {
        "table": asked.table.name,
        "rows": len(table.rows),
        "rows_replayed": asked.rows,
        "rows_of_that_half": len(half),
        "rows_a_replay": len(half) - len(half) // 3,
        "space": asked.space,
        "value": asked.value,
        "lengths": asked.lengths,
        "replays": asked.replays,
        "default": None
        if table.default_row is None
        else {"row": table.rows[table.default_row].name, "is_the_default": table.has_default},
    }


def as_markdown(figures: dict[str, Any]) -> str:
    """Both tables, for people; everything is a percentage point but the counts and tau."""
    settings, ranks = figures["settings"], figures["ranks"]
    methods_table = [
        [
            one["method"],
            one["budget"],
            f"{100 * one['regret']:.2f} ({_points(one['interval'])})",
            f"{100 * one['ours_at_half_minus_this']:+.2f} ({_points(one['difference_interval'])})",
            "" if one["worse_than_default"] is None else f"{100 * one['worse_than_default']:.1f} %",
            f"{one['trials']:.0f}",
            f"{one['complete']:.0f}",
            f"{100 * one['ran_out']:.0f} %",
        ]
        for one in figures["methods"]
    ]
    head = [
        "search", "compute", "true regret", "ours at half minus this", f"{100 * WORSE:g} worse than default", "trials",
        "complete",
        "ran out of rows",
    ]  # fmt: skip
    rungs = [
        [
            one["value"],
            f"{one['eighth']}/8",
            f"{one['tau']:.2f} ({one['tau_interval'][0]:.2f} to {one['tau_interval'][1]:.2f})",
            f"{one['tau_of_best_third']:.2f}",
            f"{100 * one['slope']:+.1f} ({_points(one['slope_interval'])})",
        ]
        for one in ranks["rungs"]
    ]
    rungs_head = ["value", "after", "tau with the end", "among the best third", "leaning to twice the FLOPs"]
    top = ranks["ceiling"]
    most = "no row has several seeds"
    if top is not None:
        most = (
            f"between the ends of two seeds, over {top['rows']} rows, it is {top['tau']:.2f}, among the best third "
            f"{top['tau_of_best_third']:.2f}"
        )
    about = (
        f"{settings['replays']} replays of {settings['lengths']:g} full lengths, each on {settings['rows_a_replay']} "
        f"of the {settings['rows_of_that_half']} rows to {settings['rows_replayed']}, of {settings['rows']} in "
        f"{settings['table']}; pruned by the {settings['value']} value. In percentage points, with 95 % intervals over "
        "rows. How: `simulate.py`."
    )
    return (
        f"{about}\n\n{markdown(head, methods_table)}\n\n"
        f"Kendall's tau over all rows; {most}.\n\n{markdown(rungs_head, rungs)}\n"
        f"{_lasting_words(figures['longer']) if 'longer' in figures else ''}"
    )


def _lasting_words(found: dict[str, Any]) -> str:
    return (
        f"\nThe {found['rows']} configurations that were trained for longer as well, by their true values: tau "
        f"{found['tau']:.2f} ({found['tau_interval'][0]:.2f} to {found['tau_interval'][1]:.2f}), among the best third "
        f"{found['tau_of_best_third']:.2f}; twice the FLOPs gain {100 * found['slope']:+.1f} "
        f"({_points(found['slope_interval'])}) percent of the ranking. The best of the shorter training is "
        f"{100 * found['regret_of_best']:.2f} points behind the best of the longer.\n"
    )


def _check(asked: argparse.Namespace, table: Table, half: Sequence[int]) -> None:
    if asked.value not in table.values():
        raise TableError(
            f"--value {asked.value}: not every row of {asked.table} has it; expected one of {table.values()}"
        )
    if asked.value == "decayed" and not all(row.decay_share > 0 for row in table.rows):
        raise TableError(
            f"--value decayed: {asked.table} has no decay_share above 0, so that its copies would cost nothing"
        )
    kept = len(half) - len(half) // 3
    if asked.lengths >= kept:
        raise TableError(
            f"--lengths {asked.lengths:g}: a replay has {kept} rows, and would try all; expected fewer"
        )
    if asked.replays < 2:
        raise TableError(f"--replays {asked.replays}: expected at least 2, for an interval")


def _with_default(table: Table, numbers: Sequence[int]) -> list[int]:
    return sorted({*numbers, *([] if table.default_row is None else [table.default_row])})


def _begin(asked: argparse.Namespace, table: Table) -> None:
    """Give a process what all of its tasks need."""
    global _asked, _table
    _asked, _table = asked, table
    quiet()


def _run(task: Task) -> list[list[Export]]:
    ways, marks = ways_of(_asked), (_asked.lengths / 2, _asked.lengths)
    return [replay(_table, task.among, ways[task.method], _asked.value, marks, seed) for seed in task.seeds]


def _config(space: str, size: Sequence[int]) -> StudyConfig:
    height, width, channels, classes = size
    names = tuple(map(str, range(classes)))
    return StudyConfig("table", "table", "", names, height, width, channels, space=space, epochs=PARTS)


def _points(interval: Sequence[float]) -> str:
    return f"{100 * interval[0]:+.2f} to {100 * interval[1]:+.2f}"


def _interval(means: Sequence[float]) -> tuple[float, list[float]]:
    """The mean of the resamples' means, and its interval: each has two thirds of the rows."""
    middle, half = float(np.mean(means)), Z * float(np.std(means)) * 2**0.5
    return middle, [middle - half, middle + half]


if __name__ == "__main__":
    main()
