"""What the one pass over the test images gave, as the exporting process reads it."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from search.errors import StudyStopped
from search.evaluation.baseline import figures, scores_of
from search.evaluation.scores import Integers, Scores

if TYPE_CHECKING:
    from search.child import ForkServer


class Mistakes(NamedTuple):
    """Test images that were classified wrong with the highest confidence, highest first.

    Attributes:
        indices: Which of the test images, ``(M,)``, int64.
        images: Their pixels, ``(M, H, W, C)``, uint8.
    """

    indices: Integers
    images: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Scored:
    """What the one pass gave.

    Attributes:
        test: Of the exported weights.
        validation: Of the exported weights; after a refit they were trained on these images.
        train_images: How many training images the search's split has.
        seen: Of some training images, as they are, by the weights that ``unseen`` is of; or None.
        unseen: Of the validation images, by weights not trained on them; None where none are kept.
        temperature: Fitted on ``unseen``; None where none could be.
        mistakes: For a picture.
        baselines: Figures of each, see ``search.evaluation.baseline.figures``.
        cached: Of a net over a frozen backbone: see ``search.evaluation.cached_path``.
    """

    test: Scores
    validation: Scores
    train_images: int
    seen: Scores | None
    unseen: Scores | None
    temperature: float | None
    mistakes: Mistakes
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)
    cached: dict[str, Any] | None = None

    @property
    def calibrated(self) -> Scores:
        """``test`` at the temperature, where there is one: the same classes, other confidences."""
        return replace(self.test, temperature=self.temperature or 1.0)


def score_in_child(server: "ForkServer", payload: dict[str, Any], log: Path, threads: int) -> Scored:
    """Run ``search.evaluation.score`` in a child.

    Args:
        server: Starts it.
        payload: See ``search.evaluation.score.score``.
        log: Gets what the child prints.
        threads: CPU threads, 0 for as many as there are cores.

    Raises:
        TrialFailed: The child crashed or memory ran out.
        StudyStopped: The outputs are no numbers, or the figures made from them contradict each other.
    """
    with server.start("search.evaluation.score:score", payload, log, threads) as child:
        told = child.result()
    with np.load(payload["out"]) as stored:
        found = {name: stored[name] for name in stored.files if not name.startswith("reload")}
    try:
        return read_scored(told, found, whole=bool(payload["unseen"]))
    except ValueError as error:
        raise StudyStopped(f"the model cannot be scored: {error}; nothing exported") from error


def read_scored(told: dict[str, Any], found: dict[str, npt.NDArray[Any]], *, whole: bool) -> Scored:
    """What the job stored and said, checked.

    Args:
        told: The message of its end.
        found: Its arrays.
        whole: Whether it had weights that were not trained on the validation images.

    Raises:
        ValueError: The outputs are no numbers, or the figures made from them contradict each other.
    """

    def scores(name: str) -> Scores:
        return Scores(found[f"{name}_labels"], found[f"{name}_logits"])

    test = scores("test")
    classes = test.logits.shape[1]
    _ = test.confusion_matrix  # checks itself against the accuracy
    return Scored(
        test,
        scores("validation"),
        told["train_images"],
        scores("seen") if whole else None,
        scores("unseen") if whole else None,
        told["temperature"],
        Mistakes(found["mistakes"], found["mistaken_images"]),
        {
            key: figures(**fitted, scores=scores_of(test.labels, found[f"baseline_{key}"], classes))
            for key, fitted in told["baselines"].items()
        },
        told["cached"],
    )
