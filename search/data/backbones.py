"""Pretrained backbones: any ``.keras`` file, or one of ``keras.applications``, made ready once and found by content.

``<cache>/backbones/<digest>.keras`` takes raw RGB pixels and gives pooled features; ``<digest>.json`` holds its facts,
``<name>-<format>.json`` says which digest a name of ``keras.applications`` has here. This process never loads Keras.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from search.data import keras_backbone
from search.data.scripts import last_error, run_script
from search.data.source import Say
from search.errors import InputError
from spaces.contract import Backbone

# Of keras.applications, with what each wants done to pixels. Left out: those that need custom layers (ConvNeXt,
# InceptionResNetV2) or one size alone (NASNet), and those that nobody takes for features any more.
APPLICATIONS: dict[str, str] = {
    **dict.fromkeys(("MobileNet", "MobileNetV2", "Xception", "InceptionV3"), "tf"),
    **dict.fromkeys(("ResNet50V2", "ResNet101V2", "ResNet152V2"), "tf"),
    **dict.fromkeys(("ResNet50", "ResNet101", "ResNet152", "VGG16", "VGG19"), "caffe"),
    **dict.fromkeys(("DenseNet121", "DenseNet169", "DenseNet201"), "torch"),
    **dict.fromkeys(("MobileNetV3Small", "MobileNetV3Large"), "raw"),
    **dict.fromkeys((f"EfficientNetB{size}" for size in range(8)), "raw"),
    **dict.fromkeys((f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")), "raw"),
}
DEFAULT = "MobileNetV2"
# What ImageNet's nets were trained at.
IMAGE_SIZE = 224
MEMBERS = ("config.json", "model.weights.h5")
# Raise it when the same net would be made into another file.
FORMAT = b"1"


def check_backbone(said: str) -> str:
    """What was said, a file by its absolute path; looked at without Keras.

    Raises:
        InputError: It is neither a known name nor a ``.keras`` file.
    """
    if said in APPLICATIONS:
        return said
    path = Path(said).expanduser().absolute()
    if not path.is_file():
        names = [name for name in APPLICATIONS if name.lower() == said.lower()]
        hint = (
            f"did you mean {names[0]}?"
            if names
            else f"expected a .keras file, or one of {', '.join(APPLICATIONS)}"
        )
        raise InputError(f"--backbone {said}: no such file, and no such name in keras.applications; {hint}")
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"--backbone {said}: not a .keras file; save the net, without its head, with model.save('net.keras')"
        )
    return str(path)


def find_backbones(said: Sequence[str], cache: Path, say: Say = print) -> tuple[Backbone, ...]:
    """Backbones with their facts, each made ready in the cache unless it is there already.

    Args:
        said: Names of ``keras.applications``, or files.
        cache: Folder of prepared images and backbones.
        say: Gets lines for a person.

    Raises:
        InputError: One cannot be used, or two have one name.
    """
    found = [_find(check_backbone(one), cache, say) for one in said]
    names = [backbone.name for backbone in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"--backbone: two are called {twice}; give each once, files under different names")
    return tuple(found)


def backbone_file(cache: Path, digest: str) -> Path:
    """Where a backbone lies in a cache."""
    return cache / "backbones" / f"{digest}.keras"


def placed(backbones: Sequence[Backbone], cache: Path) -> tuple[Backbone, ...]:
    """The same backbones with their files on this host."""
    return tuple(dataclasses.replace(one, file=str(backbone_file(cache, one.digest))) for one in backbones)


def _find(said: str, cache: Path, say: Say) -> Backbone:
    folder = cache / "backbones"
    known = said in APPLICATIONS
    name = said if known else Path(said).stem
    entry = folder / f"{said}-{FORMAT.decode()}.json" if known else folder / f"{_digest(Path(said))}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{entry.stem}.lock"):
            facts = _read(entry, folder)
            if facts is None:
                say(f"backbone {name}: {'loading it through Keras' if known else 'reading it'}")
                facts = _make(said, entry, folder)
    except OSError as error:
        raise InputError(
            f"the cache folder {folder} cannot be written ({error.strerror or error}): make it writable, or set "
            "XDG_CACHE_HOME to a folder that is"
        ) from error
    return Backbone(name=name, said=said, **facts)


def _read(entry: Path, folder: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError, KeyError):
        facts: dict[str, Any] = json.loads(entry.read_text(encoding="utf-8"))
        if (folder / f"{facts['digest']}.keras").is_file():
            return facts
    return None


def _make(said: str, entry: Path, folder: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        out = Path(scratch) / "backbone.keras"
        facts: dict[str, Any] = {"digest": entry.stem, **_run(said, out)}
        if said in APPLICATIONS:  # Keras knows the weights, and nothing of what is made of them here.
            facts["digest"] = hashlib.sha256(FORMAT + facts["digest"].encode()).hexdigest()[:32]
        out.replace(folder / f"{facts['digest']}.keras")
    aside = entry.with_suffix(f".{os.getpid()}.tmp")
    aside.write_text(json.dumps(facts), encoding="utf-8")
    aside.replace(entry)
    return facts


def _run(said: str, out: Path) -> dict[str, Any]:
    """Let Keras make it, in a fresh Python."""
    run = run_script(keras_backbone, said, APPLICATIONS.get(said, "raw"), str(out))
    if run.returncode == 0:
        facts: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
        return facts
    reason = last_error(run)
    if said in APPLICATIONS:
        raise InputError(
            f"--backbone {said}: Keras has its weights not in its cache and could not download them ({reason}); run "
            f"python -m search.prefetch --backbone {said} once where there is a network, or pass a .keras file"
        )
    raise InputError(
        f"--backbone {said}: no backbone ({reason}); expected a net of Keras's own layers, without its head, from RGB "
        "pixels (0 to 255) to feature maps"
    )


def _digest(path: Path) -> str:
    """Of architecture and weights, not of the file: it also holds when it was saved."""
    digest = hashlib.sha256(FORMAT)
    try:
        with zipfile.ZipFile(path) as file:
            for member in MEMBERS:
                digest.update(file.read(member))
    except (KeyError, OSError, zipfile.BadZipFile) as error:
        raise InputError(
            f"--backbone {path}: not a .keras file that can be read ({error}); save the net again with model.save"
        ) from error
    return digest.hexdigest()[:32]
