"""``--calibrated``: the temperature inside the exported file, so that the softmax of its outputs is calibrated."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.metrics.inference import TEMPERATURE

if TYPE_CHECKING:
    from search.process.channel import Channel
    from search.process.fork_server import ForkServer


def bake(payload: dict[str, Any], channel: "Channel") -> None:
    """Write a net once more, with its outputs divided by a temperature; a child's job.

    Args:
        payload: ``model`` (its file, which is replaced) and ``temperature``.
        channel: Gets ``done``.
    """
    import keras

    file = Path(payload["model"])
    net = keras.models.load_model(file)
    cooled = keras.layers.Rescaling(1 / payload["temperature"], name=TEMPERATURE, dtype="float32")(net.output)
    aside = file.with_name(f"aside-{file.name}")
    keras.Model(net.input, cooled).save(aside)
    aside.replace(file)
    channel.send({"kind": "done"})


def bake_temperature(server: "ForkServer", model: Path, temperature: float, log: Path) -> None:
    """Have a child put the temperature into a net's file.

    Raises:
        TrialFailed: The child crashed, or memory ran out.
    """
    payload = {"model": str(model), "temperature": temperature}
    with server.start("search.exporting.baking:bake", payload, log) as child:
        child.result()


def with_temperature(stored: Path, temperature: float, out: Path) -> Path:
    """What the baked file is to answer, for the check in a fresh process: the scored net's answers, divided.

    Args:
        stored: The ``.npz`` of the scoring job.
        temperature: The temperature.
        out: The file to write.
    """
    with np.load(stored) as found:
        images, logits = found["reload_images"], found["reload_logits"]
    np.savez(out, reload_images=images, reload_logits=logits / temperature)
    return out
