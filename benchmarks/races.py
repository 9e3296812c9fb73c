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
    """

    mean: float
    spread: float
    search: float
    race: float
    others: int = 5


# As on some 170 photographs to validate and 170 to race on, and on 1,000 and 1,000 images of CIFAR-10.
PHOTOGRAPHS, CIFAR10 = (2.0, 2.9), (0.7, 0.6)
CASES = (
    *(
        Case(mean, spread, *PHOTOGRAPHS)
        for mean, spread in ((-3, 1.5), (-1, 1), (0, 0.5), (0, 2), (1, 1), (3, 2))
    ),
    *(Case(mean, spread, *CIFAR10) for mean, spread in ((-1, 0.7), (-0.5, 0.5), (0, 0.5), (0.5, 0.7))),
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--races", type=int, default=3000, help="of each case (default: %(default)s)")
    asked = parser.parse_args(arguments)
    found = [{**case._asdict(), **simulate(case, asked.races)} for case in CASES]
    path = write_result("races", {"races": asked.races, "cases": found}, asked.out)
    Path(path.with_suffix(".md")).write_text(as_markdown(found, asked.races), encoding="utf-8")
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
    return {
        "best": fmean(best),
        "points": {rule: fmean(points) for rule, points in gained.items()},
        "worse": {rule: fmean(one < -WORSE for one in points) for rule, points in gained.items()},
    }


def exports(seen: np.ndarray, drawn: np.ndarray) -> Mapping[str, int]:
    """Which configuration each rule exports, by its number; the default's is 0.

    Args:
        seen: What the search has seen of each, shape (configurations,).
        drawn: What each would have in each round of a race, shape (configurations, rounds).
    """
    ranked = sorted(range(len(seen)), key=lambda number: -seen[number])
    first = ranked[: ranked.index(DEFAULT)][: RACERS - 1]
    if not first:
        return MappingProxyType(dict.fromkeys(RULES, DEFAULT))
    ended = _race([*first, DEFAULT], drawn, ACCURATE)
    whole = _race([*first, DEFAULT], drawn, BALANCED).most_accurate.trial.number
    winner = ended.most_accurate.trial.number
    ahead = ended.advantage_of(winner)
    beyond_noise = ahead is not None and ahead.gap > ahead.error
    dropped = all(racer.trial.number != DEFAULT for racer in ended.racing)
    return MappingProxyType(
        {
            "best mean": winner,
            "to the end": whole,
            "by its noise": winner if beyond_noise or dropped else DEFAULT,
            "no race": ranked[0],
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
        [
            f"{case['mean']:+g}",
            f"{case['spread']:g}",
            f"{case['search']:g}, {case['race']:g}",
            f"{case['best']:.2f}",
            *(f"{case['points'][rule]:+.2f} ({100 * case['worse'][rule]:.1f} %)" for rule in RULES),
        ]
        for case in found
    ]
    return (
        f"{races} races a case. In points beyond the default; in brackets how often the export is more than "
        f"{WORSE} behind it. How: `races.py`.\n\n{markdown(head, table)}\n"
    )


if __name__ == "__main__":
    main()
