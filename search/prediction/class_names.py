"""The class names that a ``model.keras`` carries; ``search.exporting.class_names`` writes them there."""

import json
import zipfile
import zlib
from pathlib import Path

# The member of the archive that has them, and their key in it.
METADATA, KEY = "metadata.json", "class_names"


def read_class_names(file: Path) -> list[str] | None:
    """The class names that a ``model.keras`` carries; None where it carries none, as one of an older version.

    A file that is no archive carries none, either: whoever loads it says so.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = json.loads(archive.read(METADATA)).get(KEY)
    except (OSError, ValueError, LookupError, AttributeError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return None
    return names if isinstance(names, list) else None
