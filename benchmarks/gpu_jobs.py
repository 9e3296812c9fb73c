"""What the children of ``gpu.py`` run: a trial's own training, its device, precision and images set; and plain ``fit``.

There is no command and no result file: what they find arrives in ``gpu.py``.
"""

import time
from collections.abc import Mapping
from typing import Any

import three_layers
from timed_channel import TimedChannel

from search.process.channel import Channel


def train(payload: dict[str, Any], channel: Channel) -> None:
    """``search.training.job:train`` of the ``plan`` in ``payload``, under the conditions that stand beside it.

    Each is None for the trial's own choice. ``platform``: ``cpu``, to compute there although there is a GPU. ``exact``:
    whether products are of whole float32, not of the shorter numbers that GPUs round them to. ``precision``: Keras's
    policy. ``on_device``: whether images lie on the device. The last message has ``memory``, what JAX says of the
    device's.
    """
    import jax
    import keras

    from search.training import job, training

    if payload["platform"]:
        jax.config.update("jax_platforms", payload["platform"])
    if payload["exact"]:
        jax.config.update("jax_default_matmul_precision", "highest")
    if payload["precision"]:
        job._set_precision = lambda device: keras.mixed_precision.set_dtype_policy(payload["precision"])
    if payload["on_device"] is not None:
        training.fits_device = lambda device, images: payload["on_device"]
    job.train(payload["plan"], TimedChannel(channel, _facts))  # type: ignore[arg-type]


def plain(payload: dict[str, Any], channel: Channel) -> None:
    """Plain ``fit`` of a net as Keras's users write it: float32, all images in memory as floats, no augmentation.

    ``payload`` has the ``task`` of ``three_layers.py``; beside it a ``plan``, whose net and batch are taken instead.
    """
    import keras

    from search.training.models import net_of
    from search.training.plan import TrainingPlan

    task = three_layers.Task(**payload["task"])
    (x, y), validation = three_layers._load(task, keras)
    keras.utils.set_random_seed(three_layers.SEED)
    if payload["plan"] is None:
        model, batch, from_logits = three_layers._plain_net(keras), three_layers.BATCH, False
    else:
        plan = TrainingPlan.from_payload(payload["plan"])
        model, batch, from_logits = net_of(plan).build(), plan.recipe.batch(len(x)), True
    model.compile(
        optimizer="adam",
        loss=keras.losses.CategoricalCrossentropy(from_logits=from_logits),
        metrics=["accuracy"],
    )
    clock = three_layers._clock(keras)
    model.fit(
        x, y, batch_size=batch, epochs=task.epochs, validation_data=validation, verbose=0, callbacks=[clock]
    )
    channel.send({"kind": "done", "ends": clock.ends, "seconds": clock.training, "images": len(x)})


def _facts(message: Mapping[str, Any]) -> dict[str, Any]:
    """When a message is sent, and with the last one how much memory the device has and had."""
    more = {"memory": _memory()} if message["kind"] == "done" else {}
    return {"sent": time.monotonic(), **more}


def _memory() -> dict[str, int]:
    """Bytes of the device that this process had at most, and may have; nothing on a CPU."""
    import jax

    said = jax.devices()[0].memory_stats() or {}
    return {name: int(said[name]) for name in ("peak_bytes_in_use", "bytes_limit") if name in said}
