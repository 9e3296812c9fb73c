"""Engines start N workers, say how they are, and stop them, and do nothing else.

``local`` is what a command uses that runs workers itself: processes (``local_worker``) that share its fork server and
end with it. The others are of ``base.Engine``, and their workers outlive the command: ``detached`` on this host,
``slurm`` and ``ray_engine`` on a cluster. ``started`` keeps what was started on record, ``ordering`` says which workers
a search has, and ``attending`` waits for them. ``kubernetes`` writes what a cluster is to start, and leaves the rest to
it. ``resources`` divides a host among its workers.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.engines.local import LocalWorkers as LocalWorkers
    from search.engines.resources import make_slots as make_slots

__getattr__ = lazily(__name__, local="LocalWorkers", resources="make_slots")
