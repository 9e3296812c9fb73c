"""Which parameters mattered, and the metric by each of them."""

import warnings
from collections.abc import Mapping

from search.reporting.blocks import Bar, Block, Chart, Charts, Rows, Section, Table, Text
from search.reporting.charts import draw_slice
from search.reporting.figures import count, plain, scored
from search.reporting.study import Facts, Trial

# Fewer tell nothing: an order by importance would be one of chance.
LEAST_TRIALS = 4
FEW_TRIALS = 30
# The best part that parameters are compared for; Optuna advises at least five trials in it.
BEST_PART, BEST_TRIALS = 0.1, 5
MOST_SLICES = 24


def parameter_sections(facts: Facts) -> list[Section]:
    """Importance of the parameters, and the metric by each of them, the most important first."""
    varied, fixed = _varied(facts)
    found: Mapping[str, float] = {}
    quantile = 0.0
    if varied and len(facts.ranked) >= LEAST_TRIALS:
        found, quantile = importances(facts, varied)
    return [_importance(facts, found, quantile, fixed), _slices(facts, [*found] or varied)]


def _importance(facts: Facts, found: Mapping[str, float], quantile: float, fixed: list[str]) -> Section:
    title = "Parameter importance"
    if len(facts.ranked) < LEAST_TRIALS:
        few = count(len(facts.ranked), "finished trial")
        why = f"{few} cannot tell which parameter matters: at least {LEAST_TRIALS} are needed."
        return Section("importance", title, [Text(why, "note")])
    if not found:
        return Section("importance", title, [Text("No parameter was varied.", "note")])
    longest = max(found.values(), default=0.0) or 1.0
    rows: Rows = [
        [name, Bar(f"{100 * value:.1f} %", value / longest), _reach(facts, name)]
        for name, value in found.items()
    ]
    finished = len(facts.ranked)
    blocks: list[Block] = [
        Table(
            "Importance of each parameter",
            ["parameter", "importance", "finished trials had"],
            rows,
            words=(2,),
        ),
        Text(
            f"PED-ANOVA over {count(finished, 'finished trial')}: how far the values of the best {100 * quantile:.0f} "
            "% differ from those of all, in shares of the whole. Pruned trials are left out: they were ended before "
            "they could score. It says what set good trials apart in this search, not what would help further.",
            "note",
        ),
    ]
    if finished < FEW_TRIALS:
        blocks.append(Text(f"Of {count(finished, 'trial')} the order is a hint at most.", "warning"))
    some = [name for name in found if any(name not in trial.params for trial in facts.ranked)]
    if some:
        blocks.append(Text(f"Only some trials have {', '.join(some)}: compared among those that do.", "note"))
    if fixed:
        blocks.append(
            Text(f"The same in all finished trials, and so not ranked: {', '.join(fixed)}.", "note")
        )
    return Section("importance", title, blocks)


def _slices(facts: Facts, order: list[str]) -> Section:
    title = "Slices: the metric by each parameter"
    trials = [trial for trial in facts.trials if trial.value is not None]
    if not order or not trials:
        return Section("slices", title, [Text("There is nothing to draw.", "note")])
    metric = facts.config.metric
    charts = []
    for place, name in enumerate(order[:MOST_SLICES]):
        label = f"Validation {metric} by {name}. {_best_of(facts, name)}"
        log = bool(getattr(facts.distributions[name], "log", False))
        charts.append(
            Chart(draw_slice(trials, name, log, metric, place, label), _best_of(facts, name), wide=False)
        )
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


def importances(facts: Facts, names: list[str]) -> tuple[Mapping[str, float], float]:
    """Shares of each parameter, largest first, and which best part of the trials they are of."""
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    from search.study import quiet

    finished = {trial.number for trial in facts.ranked}
    quantile = min(0.5, max(BEST_PART, BEST_TRIALS / len(finished)))
    # Aside: the study may be running, and this must be of the trials that all else here is of.
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        aside = optuna.create_study(direction=facts.config.direction)
        for trial in facts.frozen:
            if trial.number in finished:
                aside.add_trial(
                    optuna.trial.create_trial(
                        params=trial.params, distributions=trial.distributions, value=trial.value
                    )
                )
        evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
        found = get_param_importances(aside, evaluator=evaluator, params=names)
    return {name: float(value) for name, value in found.items()}, quantile


def _varied(facts: Facts) -> tuple[list[str], list[str]]:
    """The parameters of which finished (or else any) trials had several values, and those of which they had one."""
    trials = facts.ranked or [trial for trial in facts.trials if trial.value is not None]
    values = {
        name: {repr(trial.params[name]) for trial in trials if name in trial.params}
        for name in facts.distributions
    }
    varied = [name for name, found in values.items() if len(found) > 1]
    return varied, [name for name, found in values.items() if len(found) == 1]


def _reach(facts: Facts, name: str) -> str:
    values = [trial.params[name] for trial in facts.ranked if name in trial.params]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return f"{plain(min(values))} to {plain(max(values))}"
    return ", ".join(sorted({str(value) for value in values}))


def _best_of(facts: Facts, name: str) -> str:
    ranked: list[Trial] = [trial for trial in facts.ranked if name in trial.params]
    if not ranked:
        return "No finished trial has it."
    best, metric = ranked[0], facts.config.metric
    return f"Best: {plain(best.params[name])} ({scored(metric, best.value)}, trial {best.number})."
