"""A worker's loop, and a trial's life from claim to end.

``trial`` reads as a trial lives; ``planning`` says what it trains, ``endings`` how it ends. Which configuration comes
next is decided in ``samplers``, which trial ends early in ``pruning``, when a worker stops in ``stop_requests``. Which
trial a worker runs next is decided in ``storage.claims``; early stopping, by the validation loss, in
``search.training.training``.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.execution.pruning import make_pruner as make_pruner
    from search.execution.samplers import make_sampler as make_sampler
    from search.execution.stop_requests import Stop as Stop
    from search.execution.trial import run_trial as run_trial
    from search.execution.worker import Worker as Worker
    from search.execution.worker_loop import work as work

__getattr__ = lazily(
    __name__,
    pruning="make_pruner",
    samplers="make_sampler",
    stop_requests="Stop",
    trial="run_trial",
    worker="Worker",
    worker_loop="work",
)
