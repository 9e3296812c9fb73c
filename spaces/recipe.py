"""The training recipe: everything about a training that is not the net.

A space may have its own, by a function ``recipe(params, input_spec) -> Recipe``; what it leaves out has the defaults
here.
"""

from dataclasses import dataclass, fields
from typing import Literal, get_args

SMALLEST_BATCH = 8
# Averages that keep all of what was, and labels that say nothing, would train nothing.
MOST = 0.999999
# The numbers that make sense, both ends included.
BOUNDS = {
    "learning_rate": (1e-12, 1e300),
    "momentum": (0.0, MOST),
    "weight_decay": (0.0, 1e300),
    "warmup": (0.0, 1.0),
    "batch_size": (1, 10**12),
    "most_steps": (0, 10**12),
    "least_steps": (0, 10**12),
    "label_smoothing": (0.0, MOST),
    "ema": (0.0, MOST),
    "kernel_rate": (0.0, 1e300),
    "augmentation": (0.0, 2.0),
}
# Fields of later versions.
LATER = ("kernel_rate", "both_views")


@dataclass(frozen=True)
class Recipe:
    """How one trial is trained. Its values are plain, so that it can be stored and sent to another process.

    Attributes:
        optimizer: ``sgd`` for SGD with Nesterov momentum, ``adam`` for AdamW (with decoupled weight decay), or ``muon``
            for Muon on the kernels of convolutions, whose size stays the same, and SGD on all other weights. ``lbfgs``
            fits a head that is one dense layer exactly, at once: a logistic regression, by L-BFGS. Of the recipe it
            takes ``weight_decay``, which penalises half the squared kernel beside the sum of all images'
            cross-entropies (the inverse of scikit-learn's ``C``), and whether images are mirrored.
        learning_rate: The learning rate at the schedule's peak, for this ``batch_size``.
        momentum: The momentum of SGD. Adam keeps Keras's betas.
        weight_decay: The decoupled weight decay, as Keras's optimizers take it. It applies to kernels, but not to
            biases and batch normalisation.
        schedule: How the learning rate changes: ``constant``; ``cosine`` goes down to zero; ``one_cycle`` goes linearly
            up from a fifth of the peak over the first ``warmup`` of all steps, and then linearly down to zero.
        warmup: The fraction of all steps that ``one_cycle`` takes to its peak.
        batch_size: Images a step.
        most_steps: The most steps of an epoch; 0 for any number. Where an epoch would have more, ``batch`` doubles the
            batch size until it has not.
        least_steps: The fewest steps of an epoch; 0 for any number. Where an epoch would have fewer, ``batch`` halves
            the batch size until it has not, or is down to 8 images.
        label_smoothing: The label smoothing, 0 to 1.
        ema: The momentum a step of an exponential moving average of the weights; 0 for none. With it, the averaged
            weights are those that are validated, kept and exported.
        kernel_rate: The part of a convolution's kernel that ``muon`` changes in one step, at the schedule's peak.
        augmentation: The strength of flips and shifts, from 0 (off) to 2. Images are shifted by up to ``augmentation /
            16`` of their side, in whole pixels, and mirrored at their border. At any strength above 0, half of the
            images are flipped, unless the study forbids flips.
        both_views: Whether the exported net, which is the one that is validated, answers with the mean of its logits
            for an image and for its mirror image. It needs twice the time then, and does so only where training may
            flip the images.
        augmenter: What the strength applies to. ``shifts`` is described above; ``photographs`` also turns and zooms the
            images and changes their contrast (``search.training.augmentation``).
    """

    optimizer: Literal["sgd", "adam", "muon", "lbfgs"] = "sgd"
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
    kernel_rate: float = 0.1
    both_views: bool = False

    def __post_init__(self) -> None:
        """Refuse a word that names nothing, and a number that means nothing: it would be trained as something else.

        Raises:
            ValueError: An optimizer, a schedule or an augmenter is unknown, or a number is out of its range.
        """
        for field in fields(self):
            known, value = get_args(field.type), getattr(self, field.name)
            if known and value not in known:
                raise ValueError(f"recipe: {field.name} {value!r}: expected one of {', '.join(known)}")
        for name, (low, high) in BOUNDS.items():
            value, kind = getattr(self, name), "an int" if isinstance(low, int) else "a float"
            plain = isinstance(value, int if isinstance(low, int) else int | float)
            if not plain or isinstance(value, bool) or not low <= value <= high:
                raise ValueError(f"recipe: {name} {value!r}: expected {kind} from {low:g} to {high:g}")
        if not isinstance(self.both_views, bool):
            raise ValueError(f"recipe: both_views {self.both_views!r}: expected True or False")

    def __repr__(self) -> str:
        """All values, but for a field of a later version that has its default: studies keep digests of this text."""
        shown = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if field.name not in LATER or getattr(self, field.name) != field.default
        ]
        return f"Recipe({', '.join(shown)})"

    @property
    def is_exact(self) -> bool:
        """Whether it is no training by steps: the head is fitted to its optimum, at once."""
        return self.optimizer == "lbfgs"

    def batch(self, images: int) -> int:
        """The batch size of a training on ``images`` images: ``batch_size``, doubled or halved to fit the steps.

        What is fitted exactly takes all images at once.

        For example, on 40,000 images batches of 64 would be 625 steps an epoch; with at most 200 steps they are 256:

            >>> Recipe(batch_size=64, most_steps=200).batch(40_000)
            256
            >>> Recipe(batch_size=32, least_steps=15).batch(164)  # 5 steps of 32, or 20 of 8.
            8
        """
        if self.is_exact:
            return images
        size = self.batch_size
        while self.most_steps and images > self.most_steps * size:
            size *= 2
        while images < self.least_steps * size and size // 2 >= SMALLEST_BATCH:
            size //= 2
        return size
