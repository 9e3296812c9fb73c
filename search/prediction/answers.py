"""A child's job: an export that stays loaded and answers about pictures for as long as it is asked."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from search.data.examples import Examples, read_examples
from search.data.familiarity import read_familiarity
from search.errors import InputError
from search.metrics.inference import below_last_layer, logits
from search.prediction.loader import classify, load_net, read_export, read_temperature
from search.prediction.output import Prediction
from search.prediction.pictures import Picture
from search.process import backends

if TYPE_CHECKING:
    from search.process.channel import Channel

MOST_ALIKE = 4


def answer(payload: dict[str, Any], channel: "Channel") -> None:
    """Load an export, and answer until nobody asks any more.

    Args:
        payload: ``model``, the folder of the export.
        channel: Gets ``ready``, or ``refused`` with the ``reason`` where the export cannot be loaded; and from then on
            an ``answers`` for each request. A request has ``pictures``, a list of the paths of files; an answer has
            ``answers``, one for each, see ``answer_of``.
    """
    folder = Path(payload["model"])
    try:
        labels, shape = read_export(folder)
        temperature, examples = read_temperature(folder), read_examples(folder, len(labels))
        familiarity = read_familiarity(folder)
        backends.current().use_device(None)
        net = load_net(folder, labels, shape)
    except InputError as error:
        channel.send({"kind": "refused", "reason": str(error)})
        return
    below = below_last_layer(net) if examples or familiarity else None
    # The first pass compiles, before anybody waits for it.
    blank = np.zeros((1, shape.height, shape.width, shape.channels), np.uint8)
    for part in filter(None, (net, below)):
        logits(part, blank)
    message: dict[str, Any] = {"kind": "ready"}
    while True:
        pictures = [Picture(path, Path(path)) for path in channel.ask(message)["pictures"]]
        features: list[npt.NDArray[np.float32]] = []

        def seen(pixels: npt.NDArray[np.uint8], features: list[Any] = features) -> None:
            if below is not None:
                features.extend(logits(below, pixels))

        found = classify(net, pictures, labels, shape, temperature, seen)
        answers = []
        for one in found:
            own = features.pop(0) if features and not one.error else None
            if familiarity is not None and own is not None:
                one = replace(one, unlike=bool(familiarity.unlike(own[None])[0]))
            answers.append(answer_of(one, examples, own))
        message = {"kind": "answers", "answers": answers}


def answer_of(
    prediction: Prediction, examples: Examples | None = None, features: npt.NDArray[np.float32] | None = None
) -> dict[str, Any]:
    """One answer, as JSON has it.

    Args:
        prediction: What the model predicts.
        examples: The training pictures that the export holds, if any.
        features: What the net makes of the image, ``(F,)``.

    Returns:
        ``class``, ``confidence``, ``error``, ``unlike`` and ``top`` as ``search.predict --json`` has them, ``unlike``
        being None where the export cannot tell; and ``alike``, the most alike training pictures, each with ``class``,
        ``image`` (its name), ``similarity`` (a cosine) and ``picture`` (where it is served).
    """
    return {
        "class": prediction.label,
        "confidence": prediction.confidence,
        "error": prediction.error,
        "unlike": prediction.unlike,
        "top": [{"class": name, "confidence": p} for name, p in prediction.top(len(prediction.labels))],
        "alike": []
        if examples is None or features is None
        else [
            {
                "class": prediction.labels[int(examples.labels[place])],
                "image": examples.names[place] if examples.names else "",
                "similarity": cosine,
                "picture": f"/examples/{place}.jpg",
            }
            for place, cosine in examples.nearest(features, MOST_ALIKE)
        ],
    }
