"""A child's job of ``winner.py``: score a model on the training images that a study left out.

Neither its trials nor its choice have seen them. There is no command and no result file: ``winner.py`` starts it and
takes its one message.
"""

from pathlib import Path
from typing import Any

import keras

from search.data import open_dataset
from search.process import backends
from search.process.channel import Channel
from search.training.validation import validate


def score(payload: dict[str, Any], channel: Channel) -> None:
    """Load ``payload["model"]`` and score it on the images whose indices lie in the file ``payload["chosen"]``."""
    import numpy as np

    backends.current().use_device(payload["gpu_memory"])
    images, labels = open_dataset(Path(payload["dataset"])).train()
    chosen = np.load(payload["chosen"])
    model = keras.models.load_model(payload["model"])
    channel.send({"kind": "done", **validate(model, images, labels, chosen).figures})
