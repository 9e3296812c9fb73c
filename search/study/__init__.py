"""A study as it lies in the database.

``study`` is one that is open, ``finding`` stores it with its config and finds it again, ``compute`` says what it has
taken; ``request``, ``creation`` and ``opening`` have what is asked of it, ``compatibility`` and ``space_version`` say
who may join. ``first_trials`` has what is tried first, ``seeds`` the seed of a trial, ``sweep_request`` and
``sweep_cells`` what is asked of a sweep and its cells, ``length``, ``final_length`` and ``ending`` how long trials, the
final training and the race are. ``snapshot`` says how a study stands and how long it may still take, ``status`` who is
at work, ``fold_results`` what folds came to, ``backbones`` and ``class_balance`` what is said of nets and images.
``listing`` and ``deletion`` serve the commands of that kind.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.study.finding import load_study as load_study
    from search.study.opening import open_study as open_study
    from search.study.snapshot import read_snapshot as read_snapshot
    from search.study.study import LoadedStudy as LoadedStudy

__getattr__ = lazily(
    __name__, opening="open_study", snapshot="read_snapshot", finding="load_study", study="LoadedStudy"
)
