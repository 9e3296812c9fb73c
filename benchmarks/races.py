"""What should be exported of a race? Races of made-up configurations, by the product's own rules and by others.

Result, versions: results/races.json, as a table results/races.md. A search has trained the default and some other
configurations to their end. Their true values are drawn about ``mean`` beyond the default's, with the deviation
``spread``; what the search sees of each has a noise, and so has each training of the race. As in the product the two
that the search ranks highest race against the default, unless they were behind it there. Points are those of accuracy.

Of the true value beyond the default's of what is exported (``points``) the mean is given, and the part of the races in
which it is more than half a point behind (``worse``), for exporting

- ``best mean``: the product's rule; the race ends, too, after a round in which nobody is ahead of the default;
- ``to the end``: the same, but the race goes on then;
- ``by its noise``: the best mean only where it leads the default by more than one standard error;
- ``no race``: what the search ranks highest.

A second table asks how long a race's trainings should be, where the final training is four times as long as a trial:
what is true after a trial's length is another value than what is true after the final's, and has the correlation
``lasting`` with it. A training of the race that is t times as long as a trial has log(t) / log(4) of the way from the
one to the other. All these races take at most as much as nine trials that are not pruned.

    python benchmarks/races.py [--races 3000]
"""

import math
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from optuna.trial import FrozenTrial, create_trial
from record import make_parser, markdown, write_result

from search.config.study_config import StudyConfig
from search.exporting.confirm import run_race
from search.exporting.entrants import Course
from search.exporting.race import Race, Racer
from search.exporting.race_runs import RaceRun
from search.metrics.preference import ACCURATE, BALANCED
from search.study.ending import RACERS, SEEDS
from search.study.final_length import MOST_LONGER

DEFAULT = 0
# Points by which an export that is behind the default has failed.
WORSE = 0.5
RULES = ("best mean", "to the end", "by its noise", "no race")
CONFIG = StudyConfig("races", "made up", "", ("0", "1"), 8, 8, 1, epochs=1)


class Case(NamedTuple):
    """How configurations and measurements are spread, in points.

    Attributes:
        mean: Of the configurations' true values, beyond the default's.
        spread: Deviation of these.
        search: Deviation of what the search sees of one, about its true value.
        race: The same of a training of the race.
        others: Number of configurations beside the default.
        lasting: Correlation of the true values after a trial's length with those after the final training's.
    """

    mean: float
    spread: float
    search: float
    race: float
    others: int = 5
    lasting: float = 1.0


class Shape(NamedTuple):
    """Whom a race trains, and how long.

    Attributes:
        racers: Number of configurations, the default among them.
        rounds: Number of trainings of each.
        times: So many times as long as a trial's each of them is.
    """

    racers: int
    rounds: int
    times: float

    def __str__(self) -> str:
        return f"{self.racers} x {self.rounds}, {self.times:g} times as long"


# As on some 170 photographs to validate and 170 to race on, and on 1,000 and 1,000 images of CIFAR-10.
PHOTOGRAPHS, CIFAR10 = (2.0, 2.9), (0.7, 0.6)
CASES = (
    *(
        Case(mean, spread, *PHOTOGRAPHS)
        for mean, spread in ((-3, 1.5), (-1, 1), (0, 0.5), (0, 2), (1, 1), (3, 2))
    ),
    *(Case(mean, spread, *CIFAR10) for mean, spread in ((-1, 0.7), (-0.5, 0.5), (0, 0.5), (0.5, 0.7))),
)
# As on 1,000 images in three folds, each of which is a round, and on 333 of them held out.
IN_FOLDS, HELD_OUT = (0.8, 1.2), (1.2, 1.2)
# Of each the first is as before races were longer, the second what ``search.study.ending`` takes.
SHAPES = {
    IN_FOLDS: (Shape(3, 9, 1), Shape(3, 3, 3), Shape(2, 3, 4), Shape(2, 6, 2.25), Shape(4, 3, 2.25)),
    HELD_OUT: (Shape(3, 3, 1), Shape(2, 2, 2.25), Shape(3, 2, 1.5), Shape(2, 3, 1.5)),
}
LENGTHS = tuple(
    Case(mean, 1.2, *noise, others=10, lasting=lasting)
    for noise in SHAPES
    for mean in (-1.5, -0.5, 0.5)
    for lasting in (0.3, 0.6, 0.9)
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--races", type=int, default=3000, help="of each case (default: %(default)s)")
    asked = parser.parse_args(arguments)
    found = [{**case._asdict(), **simulate(case, asked.races)} for case in CASES]
    lengths = [{**case._asdict(), **simulate_lengths(case, asked.races)} for case in LENGTHS]
    path = write_result("races", {"races": asked.races, "cases": found, "lengths": lengths}, asked.out)
    text = f"{as_markdown(found, asked.races)}\n{lengths_as_markdown(lengths)}"
    Path(path.with_suffix(".md")).write_text(text, encoding="utf-8")
    print(path.with_suffix(".md").read_text(encoding="utf-8"))


def simulate(case: Case, races: int) -> dict[str, Any]:
    """The mean of what there was to gain, and what each rule has made of it."""
    chance = np.random.default_rng(0)
    gained: dict[str, list[float]] = {rule: [] for rule in RULES}
    best = []
    for _ in range(races):
        true = np.array([0.0, *(case.mean + case.spread * chance.standard_normal(case.others))])
        seen = true + case.search * chance.standard_normal(len(true))
        drawn = true[:, None] + case.race * chance.standard_normal((len(true), SEEDS))
        best.append(float(true.max()))
        for rule, number in exports(seen, drawn).items():
            gained[rule].append(float(true[number]))
    return {"best": fmean(best), **_outcome(gained)}


def simulate_lengths(case: Case, races: int) -> dict[str, Any]:
    """The mean of what there was to gain, and what races of each shape have made of it."""
    chance = np.random.default_rng(0)
    gained: dict[str, list[float]] = {str(shape): [] for shape in SHAPES[case.search, case.race]}
    best = []
    for _ in range(races):
        long, other = chance.standard_normal((2, case.others))
        short = case.lasting * long + math.sqrt(1 - case.lasting**2) * other
        long, short = (np.array([0.0, *(case.mean + case.spread * one)]) for one in (long, short))
        first = ahead(short + case.search * chance.standard_normal(len(short)))
        best.append(float(long.max()))
        for shape in SHAPES[case.search, case.race]:
            way = math.log(shape.times) / math.log(MOST_LONGER)
            noise = case.race * chance.standard_normal((len(long), shape.rounds))
            drawn = ((1 - way) * short + way * long)[:, None] + noise
            racers = [*first[: shape.racers - 1], DEFAULT]
            winner = _race(racers, drawn, ACCURATE).most_accurate.trial.number if first else DEFAULT
            gained[str(shape)].append(float(long[winner]))
    return {"best": fmean(best), **_outcome(gained)}


def _outcome(gained: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    return {
        "points": {rule: fmean(points) for rule, points in gained.items()},
        "worse": {rule: fmean(one < -WORSE for one in points) for rule, points in gained.items()},
    }


def ahead(seen: np.ndarray) -> list[int]:
    """The configurations that the search has seen ahead of the default, the best first."""
    ranked = sorted(range(len(seen)), key=lambda number: -seen[number])
    return ranked[: ranked.index(DEFAULT)]


def exports(seen: np.ndarray, drawn: np.ndarray) -> Mapping[str, int]:
    """Which configuration each rule exports, by its number; the default's is 0.

    Args:
        seen: What the search has seen of each, shape (configurations,).
        drawn: What each would have in each round of a race, shape (configurations, rounds).
    """
    first = ahead(seen)[: RACERS - 1]
    if not first:
        return MappingProxyType(dict.fromkeys(RULES, DEFAULT))
    ended = _race([*first, DEFAULT], drawn, ACCURATE)
    whole = _race([*first, DEFAULT], drawn, BALANCED).most_accurate.trial.number
    winner = ended.most_accurate.trial.number
    lead = ended.advantage_of(winner)
    beyond_noise = lead is not None and lead.gap > lead.error
    dropped = all(racer.trial.number != DEFAULT for racer in ended.racing)
    return MappingProxyType(
        {
            "best mean": winner,
            "to the end": whole,
            "by its noise": winner if beyond_noise or dropped else DEFAULT,
            "no race": first[0],
        }
    )


def _race(numbers: Sequence[int], drawn: np.ndarray, prefer: str) -> Race:
    """A race whose trainings score as drawn; it ends early, where nobody is ahead, only for the most accurate."""
    rounds = {number: count() for number in numbers}

    def train(trial: FrozenTrial, seed: int, keep: bool) -> RaceRun:
        number = trial.number
        return RaceRun(seed, {}, float(drawn[number, next(rounds[number])]), 1.0, None)

    course = Course((), drawn.shape[1], math.inf, 1.0, DEFAULT, prefer=prefer)
    racers = [Racer(_trial(number)) for number in numbers]
    return run_race(CONFIG, racers, 1.0, 0.0, train, lambda line: None, course)


def _trial(number: int) -> FrozenTrial:
    made = create_trial(value=0.0, user_attrs={"compute": 1.0, "epochs": 1})
    made.number = number
    return made


def as_markdown(found: Sequence[Mapping[str, Any]], races: int) -> str:
    """A row for each case."""
    head = ["mean", "spread", "noise: search, race", "best there is", *RULES]
    table = [
        [*_cells(case, "mean", "spread"), ", ".join(_cells(case, "search", "race")), *_gained(case, RULES)]
        for case in found
    ]
    return (
        f"{races} races a case. In points beyond the default; in brackets how often the export is more than "
        f"{WORSE} behind it. How: `races.py`.\n\n{markdown(head, table)}\n"
    )


def lengths_as_markdown(found: Sequence[Mapping[str, Any]]) -> str:
    """A table for each kind of noise, and a row in it for each case."""
    parts = ["Races of nine trials' compute, where the final training is four times as long as a trial.\n"]
    for noise, shapes in SHAPES.items():
        names = [str(shape) for shape in shapes]
        table = [
            [*_cells(case, "mean", "spread", "lasting"), *_gained(case, names)]
            for case in found
            if (case["search"], case["race"]) == noise
        ]
        head = ["mean", "spread", "lasting", "best there is", *names]
        parts.append(f"Noise of search and race {noise[0]:g}, {noise[1]:g}:\n\n{markdown(head, table)}\n")
    return "\n".join(parts)


def _cells(case: Mapping[str, Any], *names: str) -> list[str]:
    return [f"{case[name]:+g}" if name == "mean" else f"{case[name]:g}" for name in names]


def _gained(case: Mapping[str, Any], rules: Sequence[str]) -> list[str]:
    points, worse = case["points"], case["worse"]
    return [
        f"{case['best']:.2f}",
        *(f"{points[rule]:+.2f} ({100 * worse[rule]:.1f} %)" for rule in rules),
    ]


if __name__ == "__main__":
    main()
