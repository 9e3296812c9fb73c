"""Presets of Keras-Hub as backbones, ``keras_hub:NAME`` or ``keras_hub:FOLDER``: checked and identified without Keras.

A folder is what ``save_to_preset`` of a net or its classifier leaves; a name is anything else that ``from_preset``
takes, such as ``resnet_18_imagenet``, whose weights Keras-Hub downloads.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from search.config.interpreter import to_install
from search.config.value_types import as_path
from search.errors import InputError

PREFIX = "keras_hub:"
CONFIG = "config.json"


def is_preset(requested: str) -> bool:
    """Whether a requested backbone is one of Keras-Hub's presets."""
    return requested.startswith(PREFIX)


def preset_handle(requested: str) -> str:
    """What ``from_preset`` takes: the preset's name or folder."""
    return requested.removeprefix(PREFIX)


def preset_folder(requested: str) -> Path | None:
    """The folder of a preset that lies on this host; None for a name."""
    folder = Path(preset_handle(requested))
    return folder if folder.is_absolute() else None


def check_preset(requested: str) -> str:
    """Check a preset, without Keras.

    Returns:
        It, with the absolute path of a folder.

    Raises:
        InputError: Keras-Hub is not installed, or the folder is not one of a preset.
    """
    handle = preset_handle(requested)
    if not handle:
        raise InputError(
            f"--backbone {requested}: expected a preset's name or folder behind it, such as {PREFIX}resnet_18_imagenet"
        )
    if find_spec("keras_hub") is None:
        raise InputError(f"--backbone {requested}: Keras-Hub is not installed here; {to_install('hub')}")
    folder = as_path("--backbone", handle)
    if not (folder.is_dir() or handle.startswith(("/", ".", "~"))):
        return requested
    if not (folder / CONFIG).is_file():
        raise InputError(
            f"--backbone {requested}: no folder of a preset (it has no {CONFIG}); expected what save_to_preset of a "
            "Keras-Hub net has made"
        )
    return f"{PREFIX}{folder.absolute()}"


def digest_of_request(requested: str) -> str:
    """A hash of all files of a preset's folder, or of its name."""
    digest, folder = hashlib.sha256(), preset_folder(requested)
    if folder is None:
        digest.update(requested.encode())
        return digest.hexdigest()[:32]
    try:
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            digest.update(path.name.encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise InputError(
            f"--backbone {requested}: cannot be read ({error.strerror or error}); make its files readable"
        ) from error
    return digest.hexdigest()[:32]
