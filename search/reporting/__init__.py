"""The report of a study: one HTML file that needs no network.

A section is a file in ``sections`` and a line in ``page``; what it may know of the study is in ``facts``.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.reporting.facts import Facts as Facts
    from search.reporting.facts import read_facts as read_facts
    from search.reporting.page import write_page as write_page
    from search.reporting.report import report_study as report_study
    from search.reporting.sweep_report import report_sweep as report_sweep

__getattr__ = lazily(
    __name__, facts="Facts read_facts", page="write_page", report="report_study", sweep_report="report_sweep"
)
