"""The training pictures that an export keeps on request, see ``search.data.examples``: written in a child."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.data import open_dataset
from search.data.examples import FILE, write_examples
from search.data.image_names import read_names
from search.metrics.baselines import evenly_spaced
from search.metrics.inference import below_last_layer, logits

if TYPE_CHECKING:
    from search.exporting.request import ExportRequest
    from search.metrics.classification import Integers
    from search.process.channel import Channel
    from search.process.fork_server import ForkServer

# Their pictures are some kilobytes each.
MOST = 1000


def write_in_child(
    server: "ForkServer", request: "ExportRequest", model: Path, folder: Path, trained_on: "Integers"
) -> None:
    """Write ``examples.npz`` into an export's folder, from training images alone.

    Args:
        server: Starts the child.
        request: What is exported.
        model: The file of the whole net.
        folder: The export's.
        trained_on: Indices of the training images that the weights were fitted on, ``(N,)``.

    Raises:
        TrialFailed: The child crashed, or memory ran out.
    """
    loaded = request.loaded
    chosen = evenly_spaced(np.sort(trained_on), MOST)
    payload = {
        "model": str(model),
        "dataset": str(loaded.dataset().folder),
        "source": loaded.config.data,
        "chosen": chosen.tolist(),
        "out": str(folder / FILE),
        "gpu_memory": request.options.gpu_memory,
    }
    log = loaded.paths.worker_log("export")
    with server.start("search.exporting.examples:write", payload, log) as child:
        child.result()
    request.say(f"{FILE} keeps {len(chosen):,} training pictures, of which search.demo shows the most alike")


def write(payload: dict[str, Any], channel: "Channel") -> None:
    """Write the examples: the job of a child.

    Args:
        payload: ``model`` (its file), ``dataset`` (folder of the prepared images) and their ``source``, ``chosen``
            (numbers of training images), ``out`` (the file to write), ``gpu_memory`` (GB or None).
        channel: Gets ``done``.
    """
    import keras

    from search.process import backends

    backends.current().use_device(payload["gpu_memory"])
    dataset = replace(open_dataset(Path(payload["dataset"])), source=payload["source"])
    images, labels = dataset.train()
    chosen = np.asarray(payload["chosen"], np.int64)
    features = logits(below_last_layer(keras.models.load_model(payload["model"])), images, chosen)
    names = read_names(dataset.folder, dataset.source, len(labels)).images
    write_examples(
        Path(payload["out"]),
        features,
        np.asarray(labels[chosen], np.int64),
        [names[index] for index in payload["chosen"]] if names else [],
        dataset.thumbnails(payload["chosen"]),
    )
    channel.send({"kind": "done"})
