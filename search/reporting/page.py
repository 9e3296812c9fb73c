"""The page itself: all sections, put by the template into one file that needs nothing else."""

from datetime import UTC, datetime
from importlib import metadata

from search.reporting.elements import MARK, Section
from search.reporting.facts import Facts
from search.reporting.sections.baselines import baseline_section
from search.reporting.sections.classes import classes_section, matrix_section, mistakes_section
from search.reporting.sections.cost import cost_section
from search.reporting.sections.curves import curves_section
from search.reporting.sections.images import images_section
from search.reporting.sections.parameters import parameter_sections
from search.reporting.sections.race import race_section
from search.reporting.sections.repeat import repeat_section
from search.reporting.sections.result import result_section
from search.reporting.sections.sweep import sweep_section
from search.reporting.sections.timing import time_section
from search.reporting.sections.trials import search_section
from search.templates.loader import environment


def write_page(facts: Facts, why_no_export: str) -> str:
    """The report as HTML.

    Args:
        facts: What the report knows of the study.
        why_no_export: Why the study has no export; empty where it has one.
    """
    made = datetime.fromtimestamp(facts.made_at, UTC)
    return (
        environment()
        .get_template("report.html")
        .render(
            mark=MARK,
            study=facts.config.study,
            made=f"{made:%Y-%m-%d %H:%M} UTC",
            version=metadata.version("keras-image-search"),
            sections=sections(facts, why_no_export),
        )
    )


def sections(facts: Facts, why_no_export: str) -> list[Section]:
    """All sections, in the order of a reader's questions; see ``write_page``."""
    raced = facts.exported is not None and facts.exported.summary.get("confirm")
    cost = cost_section(facts)
    return [
        result_section(facts, why_no_export),
        *([sweep_section(facts)] if facts.sweep is not None else []),
        *([race_section(facts.exported)] if facts.exported is not None and raced else []),
        *([cost] if cost is not None else []),
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
