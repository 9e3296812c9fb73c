"""The functions behind the commands that train.

``run`` searches and exports, ``export`` exports alone, ``join`` is a worker that joins a study, and ``sweep`` tries
every combination of given values. Each has two functions: one takes a record of options, which the command calls, the
other an argument for each option, for Python. ``searching`` is what they share, ``checks`` what comes before a
search, ``run_end`` what of its end there is time and compute for, ``results`` what they return, and ``sentences`` what
they say of a study. ``explanation`` says what a search would be.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.workflows.export import export_study as export_study
    from search.workflows.join import join_study as join_study
    from search.workflows.results import StudyResult as StudyResult
    from search.workflows.results import SweepResult as SweepResult
    from search.workflows.run import run_study as run_study
    from search.workflows.sweep import run_sweep as run_sweep

__getattr__ = lazily(
    __name__,
    export="export_study",
    join="join_study",
    results="StudyResult SweepResult",
    run="run_study",
    sweep="run_sweep",
)
