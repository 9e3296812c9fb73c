"""The names of the classes inside an exported model's own file, so that the file alone says what its outputs are.

``model.keras`` is a zip archive, whose ``metadata.json`` gets the key ``class_names``. ``model.tflite`` gets an archive
at its end, as TensorFlow Lite packs the files that belong to a model, in which ``labels.txt`` has a name a line.
``model.onnx`` gets the metadata property ``class_names``, as JSON. ``saved_model/`` gets ``assets.extra/labels.txt``,
where a SavedModel keeps what TensorFlow itself does not read. ``docs/export.md`` shows how each is read.
"""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

from search.prediction.class_names import KEY, METADATA
from storage.atomic import atomic_write

LABELS = "labels.txt"


def embed_class_names(file_format: str, file: Path, names: Sequence[str]) -> None:
    """Write the class names, in the order of the outputs, into an exported file that has none yet.

    Args:
        file_format: ``keras``, or a key of ``search.exporting.formats.FORMATS``.
        file: The exported file; a folder for ``saved_model``.
        names: Of the classes.
    """
    {"keras": _keras, "litert": _litert, "onnx": _onnx, "saved_model": _saved_model}[file_format](file, names)


def _keras(file: Path, names: Sequence[str]) -> None:
    with atomic_write(file) as aside, zipfile.ZipFile(file) as old, zipfile.ZipFile(aside, "w") as new:
        for member in old.infolist():
            if member.filename == METADATA:
                facts = {**json.loads(old.read(member)), KEY: list(names)}
                new.writestr(member, json.dumps(facts))
                continue
            with old.open(member) as source, new.open(member, "w", force_zip64=True) as target:
                while part := source.read(1 << 20):
                    target.write(part)


def _litert(file: Path, names: Sequence[str]) -> None:
    # At the end of a file that is none; LiteRT reads from the beginning.
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(LABELS, _lines(names))


def _onnx(file: Path, names: Sequence[str]) -> None:
    import onnx

    model = onnx.load(str(file))
    onnx.helper.set_model_props(model, {KEY: json.dumps(list(names))})
    onnx.save(model, str(file))


def _saved_model(folder: Path, names: Sequence[str]) -> None:
    (folder / "assets.extra").mkdir(exist_ok=True)
    (folder / "assets.extra" / LABELS).write_text(_lines(names), encoding="utf-8")


def _lines(names: Sequence[str]) -> str:
    """A name a line; one that has lines of its own is put on one."""
    return "".join(f"{' '.join(name.splitlines())}\n" for name in names)
