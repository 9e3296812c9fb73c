"""The classes of images, predicted by the model of an export."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.config.value_types import of_type
from search.data.familiarity import read_familiarity
from search.data.image_files import without_pillow_warnings
from search.metrics.inference import below_last_layer
from search.prediction.loader import batches, classify, load_net, quiet_stderr, read_export, read_temperature
from search.prediction.output import Prediction
from search.prediction.pictures import list_pictures


@without_pillow_warnings()
def predict_images(model: str | Path, images: Any) -> list[Prediction]:
    """Classify images with an export.

    Args:
        model: The folder of an export.
        images: Images of any size, which become pixels as the training images did: a file, a folder (at any depth), an
            array ``(N, H, W)``, ``(N, H, W, C)`` or ``(H, W, C)`` in the range of the training images, a Pillow image;
            or several of these.

    Returns:
        One prediction an image, in the order given; the files of a folder are sorted by their paths. A file that cannot
        be read has its ``error``.

    Raises:
        InputError: ``model`` is no export, there are no images, or an array is not as the training images were.
    """
    folder: Path = of_type("--model", model, Path)
    labels, shape = read_export(folder)
    temperature = read_temperature(folder)
    pictures = list_pictures(images, shape)
    familiarity = read_familiarity(folder)
    with quiet_stderr():
        net = load_net(folder, labels, shape)
    if familiarity is None:
        return [
            prediction
            for batch in batches(pictures, shape)
            for prediction in classify(net, batch, labels, shape, temperature)
        ]
    watched = Watched(net)
    found: list[Prediction] = []
    for batch in batches(pictures, shape):
        answered = classify(watched, batch, labels, shape, temperature)
        readable = [each for each in answered if each.label is not None]
        unlike = iter(familiarity.unlike(watched.features(len(readable))).tolist() if readable else ())
        found += [each if each.label is None else replace(each, unlike=next(unlike)) for each in answered]
    return found


class Watched:
    """A net over a frozen backbone that remembers the features of the images it was last given.

    Args:
        net: The whole net, from pixels to logits.

    Attributes:
        layers: Those of the net.
    """

    def __init__(self, net: Any) -> None:
        import keras

        self.layers = net.layers
        self._both = keras.Model(net.input, [below_last_layer(net).output, net.output])
        self._seen: list[npt.NDArray[np.float32]] = []

    def predict_on_batch(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The logits of a batch, as Keras's own method gives them."""
        features, logits = self._both.predict_on_batch(images)
        self._seen.append(np.asarray(features, np.float32))
        return np.asarray(logits, np.float32)

    def features(self, count: int) -> npt.NDArray[np.float32]:
        """The features ``(count, F)`` of the images since the last call; the last batch may have been filled up."""
        found, self._seen = np.concatenate(self._seen)[:count], []
        return found
