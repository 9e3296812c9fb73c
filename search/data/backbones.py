"""Pretrained backbones, of ``keras.applications``, Keras-Hub or any ``.keras`` file: made once, identified by content.

``<cache>/backbones/<digest>.keras`` is a net from raw RGB pixels to pooled features and ``<digest>.json`` has facts
about it; ``<name>-<format>.json`` says which digest a name of ``keras.applications`` has on this host, and
``<hash>-<format>.json`` the same of what a preset of Keras-Hub is made from. This process never loads Keras.
``<digest>.name`` is what people call it.
"""

import contextlib
import dataclasses
import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from filelock import FileLock

from search.config.value_types import as_path
from search.data import backbone_script
from search.data.base import Say, log_line
from search.data.cache import unwritable
from search.data.hub_presets import check_preset, digest_of_request, is_preset, preset_folder, preset_handle
from search.data.joined_backbones import AT, BETWEEN, join, split_joined
from search.data.subprocesses import last_error, run_script
from search.errors import InputError
from spaces.contract import Backbone
from storage.atomic import atomic_write

# Names of keras.applications with how each preprocesses pixels. Left out are those that need custom layers (ConvNeXt,
# InceptionResNetV2) or take one size only (NASNet), and those that are no longer used for features.
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
# The size of image that ImageNet's nets were trained on.
IMAGE_SIZE = 224
# The members of a .keras file that make up its content.
MEMBERS = ("config.json", "model.weights.h5")
# So many backbones at hand are named to who asks for one that is not there.
MOST_NAMED = 3
# To be raised when the same net would be made into another file.
FORMAT = b"1"


def check_backbone(requested: str, cache: Path) -> str:
    """Check a requested backbone, without Keras.

    Args:
        requested: A name of ``keras.applications``, the path of a ``.keras`` file, or a preset of Keras-Hub (see
            ``search.data.hub_presets``); or several of these joined (see ``search.data.joined_backbones``).
        cache: The folder of prepared images and backbones, of which those that are there are named.

    Returns:
        The name, or the file's absolute path; of joined ones those of the parts.

    Raises:
        InputError: It is none of these.
    """
    if parts := split_joined(requested):
        return BETWEEN.join(f"{check_backbone(name, cache)}{AT}{side}" for name, side in parts)
    if is_preset(requested):
        return check_preset(requested)
    if requested in APPLICATIONS:
        return requested
    path = as_path("--backbone", requested).absolute()
    if not path.is_file():
        raise InputError(
            f"--backbone {requested}: no such file, and no such name in keras.applications; "
            f"{_instead(requested, path, cache)}"
        )
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"--backbone {requested}: not a .keras file; save the net, without its head, with model.save('net.keras')"
        )
    return str(path)


def _instead(requested: str, path: Path, cache: Path) -> str:
    """What may be meant by a backbone that is not there, or could be taken in its place."""
    names = {name.lower(): name for name in APPLICATIONS}
    if close := get_close_matches(requested.lower(), names, 1, 0.8):
        return f"did you mean {names[close[0]]}?"
    beside = {file.name: file for file in path.parent.glob("*.keras")}
    if close := get_close_matches(path.name, beside, 1):
        return f"did you mean {Path(requested).with_name(close[0])}?"
    ready = [f"{asked} ({name})" for asked, name, _ in ready_backbones(cache) if asked != name]
    at_hand = f"at hand: {', '.join(ready[:MOST_NAMED])}; " if ready else ""
    is_file = path.suffix or path.name != requested
    known = f"a name such as {DEFAULT}" if is_file else f"one of {', '.join(APPLICATIONS)}"
    return (
        f"{at_hand}expected a .keras file, or {known}; python -m search.prefetch --backbone "
        f"{DEFAULT} fetches one where there is a network"
    )


def ready_backbones(cache: Path) -> Iterator[tuple[str, str, Path]]:
    """The backbones in a cache that were made ready, and files that lie beside them.

    Yields:
        As ``--backbone`` takes it, what people call it, and its file.
    """
    folder, prepared = backbones_folder(cache), {}
    for name in APPLICATIONS:
        try:
            facts = json.loads(_entry(folder, name).read_text(encoding="utf-8"))
            prepared[str(facts["digest"])] = name
        except (OSError, ValueError, KeyError):
            continue
    for file in filter(zipfile.is_zipfile, sorted(folder.glob("*.keras"))):
        name = prepared.get(file.stem, "")
        yield name or str(file), name or backbone_name(file), file


def find_backbones(requested: Sequence[str], cache: Path, say: Say = log_line) -> tuple[Backbone, ...]:
    """Find backbones in the cache, and prepare those that are not there.

    Args:
        requested: As ``check_backbone`` takes them.
        cache: The folder of prepared images and backbones.
        say: Takes lines for people.

    Raises:
        InputError: One of them cannot be used, or two have the same name.
    """
    backbones = [_found(check_backbone(name, cache), cache, say) for name in requested]
    names = [backbone.name for backbone in backbones]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"--backbone: two are called {twice}; give each once, files under different names")
    return tuple(backbones)


def backbones_folder(cache: Path) -> Path:
    """The folder of backbones in a cache."""
    return cache / "backbones"


def backbone_file(cache: Path, digest: str) -> Path:
    """The path of a backbone's file in a cache."""
    return backbones_folder(cache) / f"{digest}.keras"


def backbone_name(file: Path) -> str:
    """What a backbone's file is called: of one in a cache, as the file was that it was made from."""
    try:
        return file.with_suffix(".name").read_text(encoding="utf-8").strip() or file.stem
    except OSError:
        return file.stem


def with_files(backbones: Sequence[Backbone], cache: Path) -> tuple[Backbone, ...]:
    """The backbones with the paths of their files, or of their parts' files, on this host."""
    return tuple(
        dataclasses.replace(backbone, parts=with_files(backbone.parts, cache))
        if backbone.parts
        else dataclasses.replace(backbone, file=str(backbone_file(cache, backbone.digest)))
        for backbone in backbones
    )


def _found(requested: str, cache: Path, say: Say) -> Backbone:
    """The backbone that is asked for, joined if several are."""
    parts = split_joined(requested)
    if not parts:
        return _find(requested, cache, say)
    return join([dataclasses.replace(_find(name, cache, say), at=side) for name, side in parts])


def _find(requested: str, cache: Path, say: Say) -> Backbone:
    folder = backbones_folder(cache)
    name = _name(requested)
    if requested in APPLICATIONS:
        entry = _entry(folder, requested)
    elif is_preset(requested):
        entry = _entry(folder, digest_of_request(requested))
    elif Path(requested).parent == folder.absolute() and _read(Path(requested).with_suffix(".json"), folder):
        entry = Path(requested).with_suffix(".json")  # It is one that was made ready before.
    else:
        entry = folder / f"{_digest(Path(requested))}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{entry.stem}.lock"):
            facts = _read(entry, folder)
            if facts is None:
                say(
                    f"backbone {name}: {'loading it through Keras' if _is_named(requested) else 'reading it'}"
                )
                facts, note = _make(requested, entry, folder)
                if note:
                    say(f"warning: backbone {name}: {note}")
    except OSError as error:
        raise unwritable(folder, error) from error
    return Backbone(name=name, said=requested, **facts)


def _entry(folder: Path, name: str) -> Path:
    """The file that says which digest a name, or what a preset is made from, has on this host."""
    return folder / f"{name}-{FORMAT.decode()}.json"


def _is_named(requested: str) -> bool:
    """Whether a backbone is known by a name alone, so that its weights may have to be downloaded."""
    return requested in APPLICATIONS or (is_preset(requested) and preset_folder(requested) is None)


def _name(requested: str) -> str:
    """What people call a backbone."""
    if requested in APPLICATIONS:
        return requested
    return Path(preset_handle(requested)).name if is_preset(requested) else backbone_name(Path(requested))


def _read(entry: Path, folder: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError, KeyError):
        facts: dict[str, Any] = json.loads(entry.read_text(encoding="utf-8"))
        if (folder / f"{facts['digest']}.keras").is_file():
            return facts
    return None


def _make(requested: str, entry: Path, folder: Path) -> tuple[dict[str, Any], str]:
    """Make a backbone's file and its facts, and say what is odd about it."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        out = Path(scratch) / "backbone.keras"
        facts: dict[str, Any] = {"digest": entry.stem, **_run(requested, out)}
        # That of a name or a preset is of the weights, not yet of the file made here.
        if requested in APPLICATIONS or is_preset(requested):
            facts["digest"] = hashlib.sha256(FORMAT + facts["digest"].encode()).hexdigest()[:32]
        note = str(facts.pop("note", ""))
        file = folder / f"{facts['digest']}.keras"
        out.replace(file)
    with atomic_write(file.with_suffix(".name")) as aside:
        aside.write_text(_name(requested), "utf-8")
    with atomic_write(entry) as aside:
        aside.write_text(json.dumps(facts), encoding="utf-8")
    return facts, note


def _run(requested: str, out: Path) -> dict[str, Any]:
    """Have Keras make the file ``out``, in a Python of its own."""
    way = "keras_hub" if is_preset(requested) else APPLICATIONS.get(requested, "raw")
    run = run_script(backbone_script, preset_handle(requested), way, str(out))
    if run.returncode == 0:
        facts: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
        return facts
    reason = last_error(run)
    if requested in APPLICATIONS:
        raise InputError(
            f"--backbone {requested}: Keras does not have its weights in its cache and could not download them "
            f"({reason}); run python -m search.prefetch --backbone {requested} once where there is a network, or pass "
            "a .keras file"
        )
    if _is_named(requested):
        raise InputError(
            f"--backbone {requested}: Keras-Hub has no such net for images, or could not download it ({reason}); "
            "expected the name of a preset, with a network, or its folder"
        )
    raise InputError(
        f"--backbone {requested}: no backbone ({reason}); expected a net of Keras's own layers, without its head, from "
        "RGB pixels (0 to 255) to feature maps"
    )


def _digest(path: Path) -> str:
    """A hash of architecture and weights, but not of the file, which also holds the time at which it was saved."""
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
