"""The section on accuracy beside what it costs: operations, parameters, measured time."""

from collections.abc import Sequence

from search.exporting.preference import gap_words
from search.formatting import count, metric_words, percent, si_units
from search.metrics.preference import BALANCED, SMALL, Priced, front, preferred
from search.plotting.cost import CostAxis, Marks, axes_that_vary, draw_cost
from search.reporting.elements import Block, Chart, Charts, Rows, Section, Table, Text
from search.reporting.facts import Facts
from search.reporting.formatting import DASH, metric_value
from search.study.prices import has_points, in_one_view, of_what, operations_words

MOST_ROWS = 12
TIMED = (
    "Time of an image, in batches, as it was validated: the least of all batches. Trials of other hosts or devices do "
    "not compare."
)
ONE_BACKBONE = (
    "Parameters are those of backbone and head; operations and time are of the head alone, which is all that "
    "differs."
)
SEVERAL_BACKBONES = (
    "Parameters are those of backbone and head. The heads' operations and time do not compare between backbones, so "
    "that they are left out."
)


def cost_section(facts: Facts) -> Section | None:
    """Which trials are worth what they cost; None where fewer than two have finished, or all cost the same."""
    nets, metric = facts.priced, facts.config.metric
    shown = axes_that_vary(nets)
    if not shown:
        return None
    config = facts.config
    marks = Marks(facts.default, facts.summary.get("trial"), of_what(config), in_one_view(config))
    names = preferences(facts, nets)
    charts = [
        Chart(
            draw_cost(nets, axis, marks, metric, _label(facts, nets, axis, marks)),
            TIMED if axis.name == "milliseconds" else "",
            wide=False,
        )
        for axis in shown
    ]
    blocks: list[Block] = [Text(_words(facts, nets)), Charts(charts), _table(facts, nets, marks, names)]
    if facts.config.backbones:
        blocks.append(Text(ONE_BACKBONE if len(facts.config.backbones) == 1 else SEVERAL_BACKBONES, "note"))
    return Section("cost", "Accuracy beside cost", blocks)


def preferences(facts: Facts, nets: Sequence[Priced]) -> dict[int, list[str]]:
    """What ``--prefer`` would export, by the search's values: the words of each trial that is one of these."""
    lower, best = facts.minimize, nets[0]
    found: dict[int, list[str]] = {best.number: ["best"]}
    kinds = [
        *([BALANCED] if best.error is not None else []),
        *([SMALL] if has_points(facts.config.metric) else []),
    ]
    for what in kinds:
        chosen = preferred(nets, best, what, best.error, lower_is_better=lower)
        found.setdefault(chosen.number, []).append(what)
    return found


def _words(facts: Facts, nets: Sequence[Priced]) -> str:
    best, metric = nets[0], facts.config.metric
    error = (
        "" if best.error is None else f", give or take {gap_words(metric, best.error)} (one standard error)"
    )
    text = (
        f"{count(len(nets), 'finished trial')}, by validation {metric_words(metric)} and by what an image costs. Those "
        "on the line are worth their cost: no other is as good and cheaper. The best, "
        f"trial {best.number}, has {metric_value(metric, best.value)}{error}."
    )
    names = preferences(facts, nets)
    for number, words in names.items():
        chosen = next(net for net in nets if net.number == number)
        if number != best.number and best.cost[0]:
            what = " and ".join(f"--prefer {word}" for word in words)
            cost = "of its parameters" if chosen.flops is None else "of its operations"
            cost = "of the operations of its head" if chosen.flops and of_what(facts.config) else cost
            text += (
                f" Trial {number} ({what}) has {percent(chosen.cost[0] / best.cost[0])} {cost} and "
                f"{metric_value(metric, chosen.value)}."
            )
    return text


def _label(facts: Facts, nets: Sequence[Priced], axis: CostAxis, marks: Marks) -> str:
    costs = [cost for net in nets if (cost := axis.of(net)) is not None]
    known = [net for net in nets if axis.of(net) is not None]
    best = front(known, lambda net: axis.of(net) or 0.0, lower_is_better=facts.minimize)
    listed = ", ".join(
        f"trial {net.number} {metric_value(facts.config.metric, net.value)} at {axis.ticks(axis.of(net) or 0.0)}"
        for net in best[:MOST_ROWS]
    )
    return (
        f"Validation {metric_words(facts.config.metric)} by {marks.label(axis)}, from {axis.ticks(min(costs))} to "
        f"{axis.ticks(max(costs))}; worth their cost: {listed}."
    )


def _table(facts: Facts, nets: Sequence[Priced], marks: Marks, names: dict[int, list[str]]) -> Table:
    on_front = front(nets, lambda net: net.cost[0], lower_is_better=facts.minimize)[-MOST_ROWS:]
    named = {*names, marks.default, marks.exported}
    chosen = sorted(
        {net for net in (*on_front, *(n for n in nets if n.number in named))}, key=lambda net: net.cost
    )
    metric, timed = facts.config.metric, any(net.milliseconds for net in chosen)
    rows: Rows = [
        [
            net.number,
            ", ".join(
                [
                    *names.get(net.number, ()),
                    *(["default"] if net.number == marks.default else []),
                    *(["exported"] if net.number == marks.exported else []),
                ]
            )
            or DASH,
            metric_value(metric, net.value),
            DASH if net.error is None else f"± {gap_words(metric, net.error)}",
            DASH if net.flops is None else si_units(net.flops, "FLOP"),
            si_units(net.parameters),
            *([DASH if net.milliseconds is None else f"{net.milliseconds:g} ms"] if timed else []),
        ]
        for net in chosen
    ]
    head = [
        "trial",
        "which",
        f"validation {metric_words(metric)}",
        "one standard error",
        operations_words(facts.config),
        "parameters",
    ]
    head += ["measured, an image"] if timed else []
    return Table("Trials that are worth their cost, the cheapest first", head, rows, text_columns=(1,))
