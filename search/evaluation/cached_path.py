"""Whether a whole net says what the search saw of it: its head on features that were cached in 16 bits."""

from typing import Any

import numpy as np
import numpy.typing as npt

from search.evaluation.fit import percent
from search.evaluation.scores import log_probabilities

# The whole net's probabilities may differ from the cached path's by so much: features are cached in 16 bits.
TOLERANCE = 1e-2
# Of the images, whose class must be the same.
SAME_CLASS = 0.999


def cached_path(cached: npt.NDArray[np.float32], whole: npt.NDArray[np.float32]) -> dict[str, Any]:
    """How far the whole net is from what the search saw, on the validation images.

    Args:
        cached: Logits ``(N, classes)`` of the head on cached features.
        whole: Of the whole net on pixels.
    """
    seen, found = np.exp(log_probabilities(cached)), np.exp(log_probabilities(whole))
    return {
        "largest_probability_difference": float(np.abs(seen - found).max()),
        "same_class": float((seen.argmax(1) == found.argmax(1)).mean()),
        "images": len(seen),
    }


def differs(figures: dict[str, Any]) -> str:
    """What is wrong with ``cached_path``'s figures; empty where nothing is. One image is no fault."""
    most, same, images = (
        figures[name] for name in ("largest_probability_difference", "same_class", "images")
    )
    if most <= TOLERANCE and round((1 - same) * images) <= max(1, (1 - SAME_CLASS) * images):
        return ""
    return (
        f"the whole net's probabilities differ from the search's by up to {most:.2g}, and {percent(same)} of "
        f"{images:,} validation images keep their class; expected at most {TOLERANCE} and {100 * SAME_CLASS} %"
    )
