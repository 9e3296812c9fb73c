"""A race in the report: the best few configurations, trained anew with fresh seeds (``search.export --confirm``)."""

from collections.abc import Mapping
from typing import Any

from search.reporting.blocks import Block, Rows, Section, Table, Text
from search.reporting.classes import png
from search.reporting.exported import Exported
from search.reporting.figures import NONE, count, decimal, fraction


def race_section(exported: Exported) -> Section:
    """What the race came to; call it where there was one."""
    race: Mapping[str, Any] = exported.summary["confirm"]
    blocks: list[Block] = [
        Text(
            "Before the export the best configurations of the search were trained anew, all with the same seeds. Only "
            "these values count: those of the search were selected for being good. "
            f"{count(race['rounds'], 'round')}, {fraction(race['share_of_search_compute'])} of the search's compute; "
            f"{'decided' if race['decided'] else 'not decided'}."
        )
    ]
    picture = png(
        exported,
        "confirm.png",
        "The validation values of each raced configuration and its value in the search, as in the table below.",
        "Each configuration's fresh values, their mean, and what the search had promised",
    )
    blocks += [picture] if picture else []
    rows: Rows = [
        [
            f"trial {racer['trial']}{' (exported)' if racer['trial'] == race['winner'] else ''}",
            decimal(racer["mean"]),
            decimal(racer["standard_deviation"]),
            ", ".join(map(decimal, racer["values"])) or NONE,
            decimal(racer["search_value"]),
            str(racer["why_dropped"] or "raced to the end"),
        ]
        for racer in race["configurations"]
    ]
    head = [
        "configuration",
        f"mean validation {race['metric']}",
        "standard deviation",
        "values",
        "in the search",
        "then",
    ]
    blocks.append(Table("The race", head, rows, words=(3, 5)))
    return Section("race", "Confirmation", blocks)
