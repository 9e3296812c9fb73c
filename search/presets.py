"""The named studies: data, space and budget, nothing else."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """What ``--study NAME`` means when nothing else is said.

    Attributes:
        data: As ``--data`` takes it; None where the user must say.
        space: As ``--space`` takes it.
        trials: Finished trials.
        epochs: A trial's full length.
        images: Training images of a trial; None for all.
        image_size: Side in pixels that images are resized to; None keeps theirs.
    """

    data: str | None
    space: str
    trials: int
    epochs: int
    images: int | None = None
    image_size: int | None = None


PRESETS = {
    "cifar_cnn": Preset(data="cifar10", space="cnn", trials=50, epochs=8, images=10_000),
    "digits_cnn": Preset(data="digits", space="cnn", trials=20, epochs=12),
    "folder_cnn": Preset(data=None, space="photo_cnn", trials=30, epochs=20, image_size=128),
}
