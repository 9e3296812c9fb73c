"""The sections on parameters: which of them mattered, and the metric by each of them.

Idea of the importance (PED-ANOVA: Watanabe, Bansal and Hutter, IJCAI 2023, https://arxiv.org/abs/2304.10255, as Optuna
implements it): a parameter matters where its values in the best trials are distributed otherwise than in all trials.

Rule: for each parameter let ``q`` be the smoothed distribution of its values in all finished trials over a grid, and
``p`` that in the best part of them. Its importance is the Pearson divergence ``sum of q (p / q - 1)^2``, as a share of
the sum over all parameters. The best part is a tenth of the trials, but at least five trials and at most half of them.

Example: of 20 trials half have ``kind=a``. Of the best five, four have it: p = (0.8, 0.2), q = (0.5, 0.5), and the
divergence is 0.5 * 0.6^2 + 0.5 * 0.6^2 = 0.36. A parameter with p = (0.6, 0.4) and the same q has 0.04. Without
smoothing, their importances are 90 % and 10 %.
"""

import warnings
from collections.abc import Mapping

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from search.formatting import count, plain_value
from search.plotting.axes import are_numbers
from search.plotting.study import draw_slice
from search.reporting.elements import Bar, Block, Chart, Charts, Rows, Section, Table, Text
from search.reporting.facts import Facts
from search.reporting.formatting import metric_value
from search.reporting.trial_facts import TrialFacts
from search.study.finding import quiet

# Of fewer trials an order by importance would be one of chance.
LEAST_TRIALS = 4
# Of fewer trials the order is called a hint.
FEW_TRIALS = 30
# The part of the trials that is best, and the trials that it has at least, as Optuna advises.
BEST_PART, BEST_TRIALS = 0.1, 5
MOST_SLICES = 24


def parameter_sections(facts: Facts) -> list[Section]:
    """Importance of the parameters, and the metric by each of them, the most important first."""
    varied, fixed = _varied(facts)
    shares: Mapping[str, float] = {}
    if varied and len(facts.ranked) >= LEAST_TRIALS and not _scored_the_same(facts):
        shares = importances(facts, varied)
    return [_importance(facts, varied, shares, fixed), _slices(facts, [*shares] or varied)]


def _importance(facts: Facts, varied: list[str], shares: Mapping[str, float], fixed: list[str]) -> Section:
    title = "Parameter importance"
    if why_none := _why_no_importance(facts, varied):
        return Section("importance", title, [why_none])
    longest = max(shares.values()) or 1.0
    rows: Rows = [
        [name, Bar(f"{100 * share:.1f} %", share / longest), _reach(facts, name)]
        for name, share in shares.items()
    ]
    finished = len(facts.ranked)
    blocks: list[Block] = [
        Table(
            "Importance of each parameter",
            ["parameter", "importance", "finished trials had"],
            rows,
            text_columns=(2,),
        ),
        Text(
            f"PED-ANOVA over {count(finished, 'finished trial')}: how far the values of the best "
            f"{100 * best_part(finished):.0f} % differ from those of all, in shares of the whole. Pruned trials are "
            "left out: they were ended before they could score. It says what set good trials apart in this search, "
            "not what would help further.",
            "note",
        ),
    ]
    if finished < FEW_TRIALS:
        blocks.append(Text(f"Of {count(finished, 'trial')} the order is a hint at most.", "warning"))
    some = [name for name in shares if any(name not in trial.params for trial in facts.ranked)]
    if some:
        blocks.append(Text(f"Only some trials have {', '.join(some)}: compared among those that do.", "note"))
    if fixed:
        blocks.append(
            Text(f"The same in all finished trials, and so not ranked: {', '.join(fixed)}.", "note")
        )
    return Section("importance", title, blocks)


def _why_no_importance(facts: Facts, varied: list[str]) -> Text | None:
    if len(facts.ranked) < LEAST_TRIALS:
        few = count(len(facts.ranked), "finished trial")
        why = f"{few} cannot tell which parameter matters: at least {LEAST_TRIALS} are needed."
        return Text(why, "note")
    if not varied:
        return Text("No parameter was varied.", "note")
    if _scored_the_same(facts):
        value = metric_value(facts.config.metric, facts.ranked[0].value)
        why = f"All finished trials scored the same, {value}, so that no parameter can be told to matter."
        return Text(why, "note")
    return Text(facts.undecided, "warning") if facts.undecided else None


def _scored_the_same(facts: Facts) -> bool:
    return len({trial.value for trial in facts.ranked}) == 1


def _slices(facts: Facts, order: list[str]) -> Section:
    title = "Slices: the metric by each parameter"
    trials = [trial for trial in facts.trials if trial.value is not None]
    if not order or not trials:
        return Section("slices", title, [Text("There is nothing to draw.", "note")])
    metric = facts.config.metric
    charts = []
    for place, name in enumerate(order[:MOST_SLICES]):
        best = "" if facts.undecided else _best_of(facts, name)
        log = bool(getattr(facts.distributions[name], "log", False))
        svg = draw_slice(trials, name, log, metric, place, f"Validation {metric} by {name}. {best}".strip())
        charts.append(Chart(svg, best, wide=False))
    blocks: list[Block] = [
        Text(
            "Each point is a trial: dark ones finished, pale ones were pruned and stand where they were then. All "
            "parameters change together, so that a shape in one drawing may be the work of another parameter."
        ),
        Charts(charts),
    ]
    if len(order) > MOST_SLICES:
        blocks.append(Text(f"Left out: {', '.join(order[MOST_SLICES:])}.", "note"))
    return Section("slices", title, blocks)


def best_part(finished: int) -> float:
    """The part of so many finished trials that is taken for the best."""
    return min(0.5, max(BEST_PART, BEST_TRIALS / finished))


def importances(facts: Facts, names: list[str]) -> Mapping[str, float]:
    """The share of each parameter, largest first, by the rule at the head of this module."""
    finished = {trial.number for trial in facts.ranked}
    # In a study in memory: this one may be running, and all of the report must be of the same trials.
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        copied = optuna.create_study(direction=facts.config.direction)
        for trial in facts.frozen:
            if trial.number in finished:
                copied.add_trial(
                    optuna.trial.create_trial(
                        params=trial.params, distributions=trial.distributions, value=trial.value
                    )
                )
        evaluator = PedAnovaImportanceEvaluator(target_quantile=best_part(len(finished)))
        shares = get_param_importances(copied, evaluator=evaluator, params=names)
    return {name: float(share) for name, share in shares.items()}


def _varied(facts: Facts) -> tuple[list[str], list[str]]:
    """The parameters with several values in finished (or else in any) trials, and those with one value."""
    trials = facts.ranked or [trial for trial in facts.trials if trial.value is not None]
    values = {
        name: {repr(trial.params[name]) for trial in trials if name in trial.params}
        for name in facts.distributions
    }
    varied = [name for name, distinct in values.items() if len(distinct) > 1]
    return varied, [name for name, distinct in values.items() if len(distinct) == 1]


def _reach(facts: Facts, name: str) -> str:
    """The values that finished trials had of a parameter."""
    values = [trial.params[name] for trial in facts.ranked if name in trial.params]
    if are_numbers(values):
        return f"{plain_value(min(values))} to {plain_value(max(values))}"
    return ", ".join(sorted({str(value) for value in values}))


def _best_of(facts: Facts, name: str) -> str:
    """The value of a parameter in the best trial that has it."""
    ranked: list[TrialFacts] = [trial for trial in facts.ranked if name in trial.params]
    if not ranked:
        return "No finished trial has it."
    best, metric = ranked[0], facts.config.metric
    return (
        f"Best: {plain_value(best.params[name])} ({metric_value(metric, best.value)}, trial {best.number})."
    )
