"""TensorFlow's own calls."""

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


def steps_per_call(on_gpu: bool) -> int:
    """See ``Backend``."""
    return 16 if on_gpu else 4
