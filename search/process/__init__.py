"""The child processes that train: who forks them, and the messages between them and their worker.

The worker never loads a deep-learning framework, the child never talks to the database. ``fork_server`` is what a
worker holds and asks, ``fork_server_main`` the process that forks; ``child`` is a child as its worker sees it,
``channel`` the worker as a child sees it.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.process.channel import Channel as Channel
    from search.process.child import Child as Child
    from search.process.choice import check_backend as check_backend
    from search.process.fork_server import ForkServer as ForkServer

__getattr__ = lazily(
    __name__, channel="Channel", child="Child", choice="check_backend", fork_server="ForkServer"
)
