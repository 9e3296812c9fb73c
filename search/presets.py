"""The named studies: which images, which space and how long; of a sweep also what it varies."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """What ``--study NAME`` means when nothing else is said.

    Attributes:
        data: As ``--data`` takes it; None where the user must say.
        space: As ``--space`` takes it.
        trials: Finished trials.
        epochs: A trial's full length, where it counts epochs.
        final: The final training that is searched for, as ``--final`` takes it; None where trials count epochs.
        images: Training images of a trial; None for all.
        image_size: Side in pixels that images are resized to; None keeps theirs.
        resize: How they get it, as ``--resize`` takes it.
        validation: The fraction that is held out, as ``--validation`` takes it; None lets the number of images decide.
        base: Of a sweep: as ``--base`` takes it.
        vary: Of a sweep: the values of each varied parameter; empty for a search.
    """

    data: str | None
    space: str
    trials: int
    epochs: int
    final: str | None = None
    images: int | None = None
    image_size: int | None = None
    resize: str | None = None
    validation: float | None = None
    base: str | None = None
    vary: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def settings(self, names: Set[str]) -> dict[str, Any]:
        """What it says of settings of these names."""
        return {name: value for name, value in vars(self).items() if name in names and value is not None}


PRESETS = {
    "cifar_cnn": Preset(data="cifar10", space="cnn", trials=50, epochs=8, final="0.2PFLOP", images=10_000),
    # A demonstration of a minute, with no time for folds.
    "digits_cnn": Preset(data="digits", space="cnn", trials=20, epochs=12, final="16 epochs", validation=0.1),
    "folder_cnn": Preset(
        data=None, space="photo_cnn", trials=30, epochs=20, final="20 epochs", image_size=128
    ),
    "cifar_transfer": Preset(data="cifar10", space="transfer", trials=30, epochs=10, image_size=160),
    "folder_transfer": Preset(
        data=None, space="transfer", trials=12, epochs=20, image_size=224, resize="crop"
    ),
    "cifar_filters": Preset(
        data="cifar10",
        space="cnn_wide",
        trials=7,
        epochs=20,
        images=10_000,
        base="one layer",
        vary={"filters": (16, 32, 64, 128, 256, 512, 1024)},
    ),
    "cifar_dense": Preset(
        data="cifar10",
        space="cnn_wide",
        trials=6,
        epochs=20,
        images=10_000,
        base="64 filters",
        vary={"dense_width": (64, 128, 256, 512, 1024, 2048)},
    ),
}
