"""The page itself: all sections, written by the template into one file that needs nothing else."""

from datetime import UTC, datetime
from importlib import metadata

from search.reporting.baselines import baseline_section
from search.reporting.blocks import MARK, Section
from search.reporting.classes import classes_section, matrix_section, mistakes_section
from search.reporting.images import images_section
from search.reporting.parameters import parameter_sections
from search.reporting.raced import race_section
from search.reporting.repeat import repeat_section
from search.reporting.result import result_section
from search.reporting.searched import search_section
from search.reporting.study import Facts
from search.reporting.swept import sweep_section
from search.reporting.timing import time_section
from search.reporting.trained import curves_section
from search.templating import environment


def write_page(facts: Facts, why_none: str) -> str:
    """The report as HTML.

    Args:
        facts: Of the study.
        why_none: Why there is no export; empty where there is one.
    """
    made = datetime.fromtimestamp(facts.time, UTC)
    return (
        environment()
        .get_template("report.html")
        .render(
            mark=MARK,
            study=facts.config.study,
            made=f"{made:%Y-%m-%d %H:%M} UTC",
            version=metadata.version("keras-image-search"),
            sections=sections(facts, why_none),
        )
    )


def sections(facts: Facts, why_none: str) -> list[Section]:
    """All parts of the page, in the order of a reader's questions; see ``write_page``."""
    return [
        result_section(facts, why_none),
        *([sweep_section(facts)] if facts.sweep is not None else []),
        *(
            [race_section(facts.exported)]
            if facts.exported is not None and facts.exported.summary.get("confirm")
            else []
        ),
        matrix_section(facts),
        classes_section(facts),
        mistakes_section(facts),
        curves_section(facts),
        baseline_section(facts),
        search_section(facts),
        *parameter_sections(facts),
        time_section(facts),
        images_section(facts),
        repeat_section(facts),
    ]
