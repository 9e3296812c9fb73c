"""TensorFlow's own calls."""

from typing import Any

import numpy as np
import tensorflow as tf


def use_threads(threads: int) -> None:
    """See ``Backend``."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)


def use_device(gpu_memory: float | None) -> str:
    """See ``Backend``."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "cpu"
    tf.config.set_visible_devices(gpus[:1], "GPU")  # Growth may not differ between those that are visible.
    if gpu_memory:
        limit = tf.config.LogicalDeviceConfiguration(memory_limit=int(gpu_memory * 1024))
        tf.config.set_logical_device_configuration(gpus[0], [limit])
    else:
        tf.config.experimental.set_memory_growth(gpus[0], True)
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "gpu"))


def use_cpu() -> None:
    """See ``Backend``."""
    tf.config.set_visible_devices([], "GPU")


def batches(feed: Any) -> Any:
    """See ``Backend``.

    Keras would read a ``PyDataset`` through ``from_generator``, whose TensorFlow 2.21 kernel sets malloc's trim
    threshold to 128 kB for the whole process: every large tensor is then mapped and zeroed anew, and half of the
    time goes to the system (measured). A map over positions has no such kernel.
    """
    first = feed[0]
    flat = tf.nest.flatten(first)

    def read(index: Any) -> list[np.ndarray]:
        return list(tf.nest.flatten(feed[int(index)]))

    def batch(index: Any) -> Any:
        tensors = tf.numpy_function(read, [index], [array.dtype for array in flat])
        for tensor, array in zip(tensors, flat, strict=True):
            tensor.set_shape(array.shape)
        return tf.nest.pack_sequence_as(first, tensors)

    return tf.data.Dataset.range(len(feed)).map(batch).prefetch(2)


def steps_per_call(on_gpu: bool) -> int:
    """See ``Backend``."""
    return 16 if on_gpu else 4


def settle(model: Any) -> None:
    """See ``Backend``; they always are."""
