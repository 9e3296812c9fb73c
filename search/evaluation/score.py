"""One pass over the test images, in a child: the only place that opens them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.errors import StudyStopped
from search.evaluation.scores import Scores

if TYPE_CHECKING:
    from search.child import ForkServer
from search.server import Channel

# Enough to tell a spoilt file from a good one; few enough to take a moment in the fresh process.
RELOAD_IMAGES = 256


def score(payload: dict[str, Any], channel: "Channel") -> None:
    """Score a model on the sealed test images and on the study's validation images.

    Args:
        payload: ``model`` (file), ``dataset`` (folder of the prepared images), ``validation``, ``images``,
            ``split_seed`` (the study's split), ``out`` (an ``.npz`` to write), ``gpu_memory`` (GB or None).
        channel: Gets ``done`` with ``train_images``, the size of the search's training split.
    """
    import keras

    from search.data import open_dataset, split
    from search.evaluation.forward import logits
    from search.training import backends

    backends.current().use_device(payload["gpu_memory"])
    model = keras.models.load_model(payload["model"])
    dataset = open_dataset(Path(payload["dataset"]))
    test_images, test_labels = dataset.test()
    images, labels = dataset.train()
    parts = split(labels, payload["validation"], payload["images"], payload["split_seed"])
    # Sorted, so that the memory-mapped file is read in order.
    validation = np.sort(parts.validation)
    validation_logits = logits(model, images, validation)
    np.savez(
        payload["out"],
        test_logits=logits(model, test_images),
        test_labels=np.asarray(test_labels, np.int64),
        validation_logits=validation_logits,
        validation_labels=np.asarray(labels[validation], np.int64),
        reload_images=np.asarray(images[validation[:RELOAD_IMAGES]]),
        reload_logits=validation_logits[:RELOAD_IMAGES],
    )
    channel.send(
        {
            "kind": "done",
            "train_images": len(parts.train),
        }
    )


@dataclass(frozen=True)
class Scored:
    """Outputs for test and validation images, and how many training images the search's split has."""

    test: Scores
    validation: Scores
    train_images: int


def score_in_child(server: "ForkServer", payload: dict[str, Any], log: Path, threads: int) -> Scored:
    """Run ``score`` in a child.

    Args:
        server: Starts it.
        payload: See ``score``.
        log: Gets what the child prints.
        threads: CPU threads, 0 for as many as there are cores.

    Raises:
        TrialFailed: The child crashed or memory ran out.
        StudyStopped: The outputs are no numbers, or the figures made from them contradict each other.
    """
    with server.start("search.evaluation.score:score", payload, log, threads) as child:
        counts = child.result()
    with np.load(payload["out"]) as stored:
        found = {name: stored[name] for name in stored.files if not name.startswith("reload")}
    try:
        test = Scores(found["test_labels"], found["test_logits"])
        validation = Scores(found["validation_labels"], found["validation_logits"])
        _ = test.confusion_matrix  # checks itself against the accuracy
    except ValueError as error:
        raise StudyStopped(f"the model cannot be scored: {error}; nothing exported") from error
    return Scored(test, validation, counts["train_images"])
