"""The settings of studies, searches, workers and exports, each option in one place.

``option`` says what an option is, ``settings`` has those of each command, made of the groups in ``study_settings``,
``host_settings`` and ``request_settings``, ``arguments`` makes functions of them, and ``study_config`` is the record of
a study, which ``search.study.finding`` stores in the database.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.config.settings import ExportOptions as ExportOptions
    from search.config.settings import RunOptions as RunOptions
    from search.config.settings import SweepOptions as SweepOptions
    from search.config.settings import WorkerOptions as WorkerOptions
    from search.config.study_config import StudyConfig as StudyConfig

__getattr__ = lazily(
    __name__, settings="ExportOptions RunOptions SweepOptions WorkerOptions", study_config="StudyConfig"
)
