"""The drawing job without matplotlib: files of the same names, each a picture of one grey pixel.

Tests of trials run it in the place of ``search.web.drawing``, which takes most of a second a trial.
"""

from pathlib import Path

from PIL import Image

from search.web.picture_names import CURVES, MATRIX, SAMPLES


def draw(payload, channel):
    wanted = {CURVES: "history" in payload, MATRIX: payload.get("matrix"), SAMPLES: "dataset" in payload}
    files = [name for name, there in wanted.items() if there]
    for name in files:
        Image.new("L", (1, 1)).save(Path(payload["folder"]) / name)
    channel.send({"kind": "done", "files": files})
