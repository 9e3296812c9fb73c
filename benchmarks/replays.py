"""A search replayed on a table: its sampler and its pruner choose, and the table says what came of it."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import NamedTuple

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState
from table_rows import PARTS, Row, Table

from search.config.study_config import StudyConfig
from search.execution.pruning import Sparing, make_pruner
from search.execution.samplers import make_sampler
from search.study.sweep_cells import FIXED

OURS = "ours"
# The first rung, in eighths, and of how many trials at a rung one goes on: what ours is chosen among.
RUNGS = ((2, 2), (2, 3), (3, 2), (3, 3), (4, 2), (4, 3), (5, 2))
NAMES = ("random", "TPE", "TPE, median", "TPE, halving", "TPE, Hyperband", OURS)


class Method(NamedTuple):
    """A way to search.

    Attributes:
        sampler: Gives the sampler of a trial, by the replay's seed and the trial's number.
        pruner: Gives the pruner of a replay.
        begins_with_default: Whether the first trial is the space's default.
    """

    sampler: Callable[[int, int], BaseSampler]
    pruner: Callable[[], BasePruner]
    begins_with_default: bool = False


def methods(config: StudyConfig) -> dict[str, Method]:
    """The ways that are compared: Optuna's, with its own defaults, and the product's, made by its own code.

    Args:
        config: A study of the table's space; of it the product's sampler and pruner are made.
    """

    def tpe(seed: int, number: int) -> BaseSampler:
        return TPESampler(seed=1000 * seed + number)

    def ours(seed: int, number: int) -> BaseSampler:
        return make_sampler(dataclasses.replace(config, seed=seed), number).chooser

    ways = (
        Method(lambda seed, number: RandomSampler(seed=1000 * seed + number), NopPruner),
        Method(tpe, NopPruner),
        Method(tpe, MedianPruner),
        Method(tpe, SuccessiveHalvingPruner),
        Method(tpe, lambda: HyperbandPruner(min_resource=1, max_resource=PARTS)),
        Method(ours, lambda: make_pruner(config), begins_with_default=True),
    )
    return dict(zip(NAMES, ways, strict=True))


def choices(config: StudyConfig) -> dict[str, Method]:
    """Ours with other rungs, and without any.

    They do not begin with the default: where that is among the best of a table, it would hide what the rungs lose.
    """

    def with_pruner(pruner: Callable[[], BasePruner]) -> Method:
        return methods(config)[OURS]._replace(pruner=pruner, begins_with_default=False)

    found = {f"{OURS}, none pruned": with_pruner(NopPruner)}
    for first, reduction in RUNGS:
        found[f"{OURS}, from {first}/8 one of {reduction}"] = with_pruner(
            partial(SuccessiveHalvingPruner, min_resource=first, reduction_factor=reduction)
        )
    return found


@dataclass(frozen=True)
class Export:
    """What a search would export after so much compute.

    Attributes:
        true: Its true value: the mean over rows that tie.
        trials: How many trials had ended by then.
        complete: How many of them had their whole length.
        ran_out: Whether no row was left to try before the compute was spent.
    """

    true: float
    trials: int
    complete: int
    ran_out: bool = False


class _Ended(NamedTuple):
    spent: float
    part: int
    value: float
    row: Row


def replay(
    table: Table,
    among: Sequence[int],
    method: Method,
    value: str,
    marks: Sequence[float],
    seed: int,
) -> list[Export]:
    """Search once.

    Args:
        table: The table.
        among: Numbers of the rows that there are.
        method: How to search.
        value: What is reported on the way, and pruned by: ``plain``, ``averaged`` or ``decayed``. At the end, and so
            for the choice of what to export, it is the plain one.
        marks: Budgets, in full lengths, ascending.
        seed: Of the whole replay.

    Returns:
        What would be exported at each mark: of the trials that ended by then the complete one that validates best,
        or, where none is complete, the one that came furthest.
    """
    chance, unused = np.random.default_rng(seed), list(among)
    pruner = method.pruner()
    # Hyperband deals trials by the study's name.
    study = optuna.create_study(study_name=f"replay {seed}", direction="maximize", pruner=pruner)
    if method.begins_with_default and table.default is not None:
        study.enqueue_trial(dict(table.default))
    spent, ended = 0.0, list[_Ended]()
    while unused and spent < marks[-1]:
        study.sampler = method.sampler(seed, len(study.get_trials(deepcopy=False)))
        trial = study.ask()
        number = _choose(study, trial, table, unused)
        unused.remove(number)
        row = table.rows[number]
        run = row.runs[int(chance.integers(len(row.runs)))]
        curve = [*run.curves[value][:-1], run.curves["plain"][-1]]
        spared = method.begins_with_default and trial.number == 0
        study.pruner = Sparing(pruner) if spared else pruner
        part = _train(trial, curve)
        copies = min(part, PARTS - 1) if value == "decayed" else 0
        spent += part / PARTS + copies * row.decay_share
        state = TrialState.COMPLETE if part == PARTS else TrialState.PRUNED
        study.tell(trial, curve[-1] if part == PARTS else None, state=state)
        ended.append(_Ended(spent, part, curve[part - 1], row))
    found = [_export([one for one in ended if one.spent <= mark + 1e-9]) for mark in marks]
    return [
        dataclasses.replace(export, ran_out=not unused and export.trials == len(ended)) for export in found
    ]


def _train(trial: optuna.Trial, curve: Sequence[float]) -> int:
    """Report eighth by eighth; after how many the trial ends."""
    for part, reported in enumerate(curve, start=1):
        trial.report(reported, part)
        if part < PARTS and trial.should_prune():
            return part
    return PARTS


def _choose(study: optuna.Study, trial: optuna.Trial, table: Table, unused: Sequence[int]) -> int:
    """The unused row nearest to what the sampler proposes; the trial has that row's values from then on.

    So a sampler proposes as it would, and meets what there is. Random search takes any row instead: the nearest to a
    point drawn evenly would be, more often than others, a row that lies alone.
    """
    found = study._storage.get_trial(trial._trial_id)
    if FIXED in found.system_attrs:
        number = table.nearest(found.system_attrs[FIXED], unused)
        values = dict(found.system_attrs[FIXED])
    else:
        if isinstance(study.sampler, RandomSampler):
            number = int(np.random.default_rng(study.sampler._rng.rng.randint(2**31)).choice(unused))
        else:
            number = table.nearest(_propose(study, found, table), unused)
        values = dict(table.rows[number].params)
    for name, distribution in table.distributions.items():
        internal = distribution.to_internal_repr(values[name])
        study._storage.set_trial_param(trial._trial_id, name, internal, distribution)
    return number


def _propose(study: optuna.Study, trial: FrozenTrial, table: Table) -> dict[str, object]:
    """A configuration as Optuna has a sampler make one: some values together, the others one by one."""
    seen = optuna.pruners._filter_study(study, trial)
    together = study.sampler.infer_relative_search_space(seen, trial)
    values = study.sampler.sample_relative(seen, trial, together)
    for name, distribution in table.distributions.items():
        if name not in values:
            values[name] = study.sampler.sample_independent(seen, trial, name, distribution)
    return values


def _export(ended: Sequence[_Ended]) -> Export:
    furthest = max((one.part for one in ended), default=0)
    candidates = [one for one in ended if one.part == furthest]
    best = max((one.value for one in candidates), default=0.0)
    true = [one.row.true for one in candidates if one.value == best]
    complete = sum(one.part == PARTS for one in ended)
    return Export(fmean(true) if true else 0.0, len(ended), complete)


def quiet() -> None:
    """Have Optuna say nothing of its trials, in this process."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
