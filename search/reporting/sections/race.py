"""The section on a race: the best configurations, trained again with fresh seeds (``search.export --confirm``)."""

from collections.abc import Mapping
from typing import Any

from search.exporting.preference import gap_words
from search.formatting import count
from search.reporting.elements import Block, Rows, Section, Table, Text
from search.reporting.export_reader import ExportReader
from search.reporting.formatting import DASH, metric_value, percent_or_dash
from search.reporting.pictures import png_picture


def race_section(exported: ExportReader) -> Section:
    """What the race came to; for an export that had one."""
    race: Mapping[str, Any] = exported.summary["confirm"]
    metric = race["metric"]
    blocks: list[Block] = [
        Text(
            "Before the export the best configurations of the search were trained again, all with the same seeds. Only "
            "these values count: those of the search were selected for being good. "
            f"{count(race['rounds'], 'round')}, {percent_or_dash(race['share_of_search_compute'])} of the search's "
            f"compute; {'decided' if race['decided'] else 'not decided'}."
        )
    ]
    picture = png_picture(
        exported.picture("confirm.png"),
        "The validation values of each raced configuration and its value in the search, as in the table below.",
        "Each configuration's fresh values, their mean, and what the search had promised",
    )
    blocks += [picture] if picture else []
    rows: Rows = [
        [
            f"trial {racer['trial']}{' (exported)' if racer['trial'] == race['winner'] else ''}",
            metric_value(metric, racer["mean"]),
            DASH if racer["standard_deviation"] is None else gap_words(metric, racer["standard_deviation"]),
            ", ".join(metric_value(metric, value) for value in racer["values"]) or DASH,
            "pruned" if racer.get("pruned") else metric_value(metric, racer["search_value"]),
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
        "outcome",
    ]
    blocks.append(Table("The race", head, rows, text_columns=(3, 5)))
    return Section("race", "Confirmation", blocks)
