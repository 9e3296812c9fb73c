"""An ``.npz`` file with ``x_train``, ``y_train``, ``x_test`` and ``y_test``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from search.data.arrays import Arrays, load_arrays
from search.data.base import Loaded, Say
from search.data.class_order import wanted_request
from search.data.groups import named
from search.data.pixel_range import RULE
from search.data.resizing import Sizing
from search.errors import InputError

EXPECTED = "expected one saved with np.savez(file, x_train=..., y_train=..., x_test=..., y_test=...)"


@dataclass(frozen=True)
class NpzSource:
    """Four arrays in one file, from which nothing pickled is ever loaded."""

    path: Path
    sizing: Sizing
    wanted: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The absolute path."""
        return str(self.path)

    def request(self) -> dict[str, Any]:
        """The file's path, size and time of change."""
        status = self.path.stat()
        return {
            "kind": "npz",
            "file": [str(self.path), status.st_size, status.st_mtime_ns],
            "range_rule": RULE,
            **self.sizing.request(),
            **wanted_request(self.wanted),
        }

    def read(self, say: Say) -> Loaded:
        """Load the four arrays and check them."""
        try:
            file = np.load(self.path, allow_pickle=False)
        except Exception as error:  # zipfile, zlib and numpy each have their own.
            raise InputError(f"--data {self.path}: not an .npz file that can be read; {EXPECTED}") from error
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise InputError(f"--data {self.path}: holds one array, not an .npz archive; {EXPECTED}")
        with file:
            if missing := [name for name in Arrays._fields if name not in file.files]:
                there = named(file.files) or "nothing"
                raise InputError(
                    f"--data {self.path}: has no {', '.join(missing)} (only {there}); {EXPECTED}"
                )
            arrays = Arrays(*(self._array(file, name) for name in Arrays._fields))
            others = [name for name in file.files if name not in Arrays._fields]
        loaded = load_arrays(arrays, f"--data {self.path}", self.sizing, wanted=self.wanted)
        if not others:
            return loaded
        note = f"warning: {named(others)} of {self.path} {'is' if len(others) == 1 else 'are'} not used"
        return replace(loaded, notes=(*loaded.notes, note))

    def _array(self, file: Any, name: str) -> Any:
        try:
            array = file[name]
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise InputError(f"--data {self.path}: {name} is damaged ({error}); save it again") from error
            raise InputError(
                f"--data {self.path}: {name} is pickled, which is not loaded as it could run code: expected plain "
                "arrays (all images of one size, dtype uint8; labels as integers); save it again so"
            ) from error
        except Exception as error:
            raise InputError(f"--data {self.path}: {name} is damaged ({error}); save it again") from error
        if not isinstance(array, np.ndarray):  # NumPy gives the bytes of a file that is no .npy.
            raise InputError(f"--data {self.path}: {name} in it is a file and no array; {EXPECTED}")
        return array
