"""The job of a child that draws the pictures that the dashboard shows of a trial and of the data."""

from pathlib import Path
from typing import Any

import numpy as np

# Here, and not where they are needed: the fork server imports this module, and its children find them loaded.
from matplotlib.backends import backend_agg as _agg  # noqa: F401
from matplotlib.figure import Figure as _Figure  # noqa: F401

from search.data import open_dataset, split
from search.formatting import percent
from search.plotting.confusion_matrix import write_matrix_png
from search.plotting.curves import write_curves
from search.plotting.image_grid import write_samples
from search.process.channel import Channel
from search.web.picture_names import CURVES, MATRIX, SAMPLES

# A note shows a picture as large as it is, beside a list of trials.
DPI = 80


def draw(payload: dict[str, Any], channel: Channel) -> None:
    """Draw the pictures whose figures are in ``payload``.

    Args:
        payload: ``folder``; for a trial its ``history``, ``kept`` epoch, ``unit``, ``title`` and, where wanted, its
            ``matrix`` with ``classes``; for a study its ``dataset``, ``classes``, ``validation``, ``images``, ``seed``.
        channel: Gets ``done`` with the names of the ``files``.
    """
    folder, files = Path(payload["folder"]), []
    if "history" in payload:
        write_curves(
            folder / CURVES, payload["history"], payload["kept"], payload["title"], DPI, payload["unit"]
        )
        files.append(CURVES)
    if payload.get("matrix"):
        matrix = np.asarray(payload["matrix"], dtype=np.int64)
        accuracy = matrix.trace() / max(1, matrix.sum())
        title = f"{payload['title']}\nvalidation accuracy {percent(accuracy)}"
        write_matrix_png(folder / MATRIX, matrix, payload["classes"], title)
        files.append(MATRIX)
    if "dataset" in payload:
        dataset = open_dataset(Path(payload["dataset"]))
        _, labels = dataset.train()
        chosen = np.arange(len(labels))
        if payload["validation"]:
            settings = (payload["validation"], payload["images"], payload["seed"])
            chosen = split(labels, *settings, rule=dataset.rule(), race=payload.get("race", 0)).train
        write_samples(folder / SAMPLES, dataset, chosen, payload["classes"])
        files.append(SAMPLES)
    channel.send({"kind": "done", "files": files})
