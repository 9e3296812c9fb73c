"""A script that loads one of Keras's data sets; ``search.data.keras_datasets`` runs it in a process of its own.

It imports nothing of this package, so that it runs wherever the package lies.
"""

import importlib
import socket
import sys


def main(name: str, out: str) -> None:
    """Save the data set ``name`` to the ``.npz`` file ``out``; Keras downloads it unless its cache has it."""
    import keras
    import numpy as np

    socket.setdefaulttimeout(30)  # Without it, a network that never answers would be waited for.
    keras.config.set_image_data_format("channels_last")
    data = importlib.import_module(f"keras.datasets.{name}")
    (x_train, y_train), (x_test, y_test) = data.load_data()
    np.savez(out, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
