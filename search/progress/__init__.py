"""What a person watches while a study runs: a live table in the terminal, lines without one, a table in a notebook.

The figures come from ``search.study.snapshot``, their words from ``search.study.snapshot_words``.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.progress.terminal import Progress as Progress

__getattr__ = lazily(__name__, terminal="Progress")
