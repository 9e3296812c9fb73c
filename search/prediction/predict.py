"""The classes of images, predicted by the model of an export."""

from pathlib import Path
from typing import Any

from search.config.value_types import of_type
from search.prediction.loader import batches, classify, load_net, quiet_stderr, read_export, read_temperature
from search.prediction.output import Prediction
from search.prediction.pictures import list_pictures


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
    pictures = list_pictures(images, shape.depth)
    with quiet_stderr():
        net = load_net(folder)
    return [
        prediction
        for batch in batches(pictures, shape)
        for prediction in classify(net, batch, labels, shape, temperature)
    ]
