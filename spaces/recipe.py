"""The training recipe: everything about training that is not the net.

A space may name its own with ``recipe(params, input_spec) -> Recipe``; what it leaves open keeps these defaults.
"""

from dataclasses import dataclass
from typing import Literal

SMALLEST_BATCH = 8


@dataclass(frozen=True)
class Recipe:
    """How one trial is trained; plain values, so that it can be sent to another process and stored.

    Attributes:
        optimizer: ``sgd`` is Nesterov momentum, ``adam`` is AdamW (decoupled weight decay).
        learning_rate: The peak of the schedule, for this ``batch_size``.
        momentum: Of SGD; Adam keeps Keras's own betas.
        weight_decay: Decoupled, as Keras optimizers take it, on kernels only (not on biases or batch normalisation).
        schedule: ``constant``; ``cosine`` to zero; ``one_cycle``: linearly up from a fifth of the peak over
            the first ``warmup`` of all steps, then linearly down to zero.
        warmup: Fraction of all steps, for ``one_cycle``.
        batch_size: Images a step.
        most_steps: Of an epoch: where it would have more, batches are larger, by a power of two; 0 for no bound.
        least_steps: Of an epoch: where it would have fewer, batches are smaller, by a power of two, down to 8 images;
            0 for no bound.
        label_smoothing: 0 to 1.
        ema: Momentum of the averaged weights, per step; 0 keeps no average. Where it is on, the averaged weights
            are the ones validated, kept and exported.
        augmentation: Strength of flips and shifts, 0 (off) to 2. Images are shifted, mirrored at their border, by up to
            ``augmentation / 16`` of their side, in whole pixels. At any strength above 0 half of them are flipped,
            if the study allows flips at all.
        augmenter: What that strength does: ``shifts`` are those above; ``photographs`` turns, zooms, moves and changes
            the contrast as well (``search.training.photographs``), flips as above.
    """

    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = 0.075
    momentum: float = 0.85
    weight_decay: float = 5e-4
    schedule: Literal["constant", "cosine", "one_cycle"] = "one_cycle"
    warmup: float = 0.2
    batch_size: int = 64
    most_steps: int = 0
    least_steps: int = 0
    label_smoothing: float = 0.1
    ema: float = 0.0
    augmentation: float = 1.0
    augmenter: Literal["shifts", "photographs"] = "shifts"

    def batch(self, images: int) -> int:
        """Images a step in a training on so many."""
        size = self.batch_size
        while self.most_steps and images > self.most_steps * size:
            size *= 2
        while images < self.least_steps * size and size // 2 >= SMALLEST_BATCH:
            size //= 2
        return size
