"""What other programs' trackers are told of trials: TensorBoard and MLflow.

``listener`` passes on what happens to a worker's trials, in a thread of its own; a tracker that fails harms no trial.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.tracking.listener import Listener as Listener
    from search.tracking.listener import listening as listening

__getattr__ = lazily(__name__, listener="Listener listening")
