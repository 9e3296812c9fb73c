"""Engines start N workers and see them through, and do nothing else.

``local`` is the only one so far, and ``search.workflows`` uses it; another would have a ``run(stop)`` of its own, and
start processes that end in ``worker.run_worker``. ``resources`` divides a host among its workers.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.engines.local import LocalWorkers as LocalWorkers
    from search.engines.resources import make_slots as make_slots

__getattr__ = lazily(__name__, local="LocalWorkers", resources="make_slots")
