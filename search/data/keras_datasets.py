"""Data sets that Keras loads by name, through its own cache."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from search.data import download_script
from search.data.arrays import Arrays, load_arrays
from search.data.base import Loaded, Say
from search.data.resizing import Sizing
from search.data.subprocesses import last_error, run_script
from search.errors import InputError

CIFAR10 = """airplane automobile bird cat deer dog frog horse ship truck"""
CIFAR100 = """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"""


class KerasSet(NamedTuple):
    """What Keras's loader does not tell.

    Attributes:
        classes: The names of the classes, in label order.
        flip: As in ``search.data.base.Loaded``.
    """

    classes: tuple[str, ...]
    flip: bool


KERAS_SETS = {
    "cifar10": KerasSet(tuple(CIFAR10.split()), True),
    "cifar100": KerasSet(tuple(CIFAR100.split()), True),
    "mnist": KerasSet(tuple("0123456789"), False),
    "fashion_mnist": KerasSet(
        (
            "t-shirt",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        True,
    ),
}


@dataclass(frozen=True)
class KerasSource:
    """One of ``KERAS_SETS``, loaded in a Python of its own, since this process never loads Keras."""

    name: str
    sizing: Sizing

    def request(self) -> dict[str, Any]:
        """The name; what is published under it never changes, for Keras checks its hash."""
        return {"kind": "keras", "name": self.name, **self.sizing.request()}

    def read(self, say: Say) -> Loaded:
        """Load the arrays; Keras downloads them unless its cache has them."""
        say(f"loading {self.name} through Keras (downloaded once, into Keras's own cache)")
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "data.npz"
            self._download(out)
            with np.load(out, allow_pickle=False) as file:
                arrays = Arrays(*(file[name] for name in Arrays._fields))
        known = KERAS_SETS[self.name]
        return load_arrays(arrays, f"--data {self.name}", self.sizing, known.classes, known.flip)

    def _download(self, out: Path) -> None:
        run = run_script(download_script, self.name, str(out))
        if run.returncode == 0:
            return
        raise InputError(
            f"--data {self.name}: Keras does not have it in its cache and could not download it ({last_error(run)}); "
            "connect to the network once, or pass what needs none: digits, a folder of images, or an .npz file"
        )
