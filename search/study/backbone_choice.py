"""Which of several backbones a cross-validated study stands on, and at which size of image: chosen before the search.

On few images, a search that samples among backbones tells them apart by the luck of a few trials each. Logistic
regression on the features of each, in the study's folds, takes seconds and has no luck: the cheapest backbone and size
within one standard error of the best is taken, if it is no more than half a point behind. Beside each alone stand those
that the best one makes joined with another, or with itself at another size: their features lie side by side, and cost
what both do.
"""

import dataclasses
import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from optuna.trial import FixedTrial

from search.config.study_config import StudyConfig
from search.data import Dataset
from search.data.joined_backbones import join, label_of, told_apart
from search.errors import InputError, TrialFailed, TrialInterrupted
from search.formatting import percent
from search.study.proposal import propose, recipe_of
from search.training.plan import TrainingPlan
from spaces.contract import Space, sides

if TYPE_CHECKING:
    from search.process.fork_server import ForkServer

logger = logging.getLogger(__name__)

# Seconds of computing features that are worth a line.
STEP = 15.0
# So much of the images' classes a cheaper one may miss.
MOST_BEHIND = 0.005


def can_choose(config: StudyConfig, space: Space, sizes: Sequence[int] = ()) -> bool:
    """Whether a new study has folds, and several backbones or sizes that its space can name in a configuration."""
    several = len(config.backbones) > 1 or len(sizes) > 1
    return bool(config.fold_of) and several and hasattr(space, "first")


def choose_backbone(
    config: StudyConfig, space: Space, dataset: Dataset, server: "ForkServer", sizes: Sequence[int] = ()
) -> tuple[StudyConfig, dict[str, float]]:
    """Choose one of the backbones of a new study, and the size at which it sees the images.

    What a backbone costs at a size is taken for its parameters times the pixels; joined ones cost what their parts do.

    Args:
        config: The study's, for which ``can_choose``.
        space: Its space.
        dataset: Its images, at the config's own size.
        server: Starts the children that compute features.
        sizes: Sides in pixels to compare; by default the config's own alone.

    Returns:
        The config with this backbone alone and at this size, and the accuracy of logistic regression over each, by
        name, and by size if there are several.

    Raises:
        InputError: The features of a backbone cannot be computed.
    """
    _, labels = dataset.train()
    each = [
        dataclasses.replace(config, backbones=(one,), image_size=size)
        for one in config.backbones
        for size in sizes or (config.image_size,)
        if not isinstance(size, int) or size >= one.least
    ]
    hits = [_probe(one, space, dataset, server) == labels for one in each]
    if config.space == "transfer":
        best = each[int(np.argmax([one.sum() for one in hits]))]
        joined = [_joined(best, one) for one in each if _can_join(best, one)]
        hits += [_probe(one, space, dataset, server) == labels for one in joined]
        each += joined
    right = np.stack(hits)
    chosen = each[cheapest_as_good(right, [_cost(one) for one in each])]
    names = [_label(one, with_size=bool(sizes)) for one in each]
    accuracies = {name: float(np.mean(one)) for name, one in zip(names, right, strict=True)}
    told = ", ".join(
        f"{name} {percent(value)}"
        for name, value in zip(told_apart(accuracies), accuracies.values(), strict=True)
    )
    taken = names[each.index(chosen)]
    logger.info(
        f"backbone {taken}: by logistic regression in {config.folds} folds ({told}), the one that costs least within a "
        "standard error, and half a point, of the best"
    )
    return chosen, accuracies


def _can_join(first: StudyConfig, second: StudyConfig) -> bool:
    """Whether two differ, see squares, and are not joined already."""
    squares = all(isinstance(one.stored_size, int) for one in (first, second))
    return first is not second and squares and not (first.backbones[0].parts or second.backbones[0].parts)


def _joined(first: StudyConfig, second: StudyConfig) -> StudyConfig:
    """The config with the backbones of two joined, each at its size."""
    parts = [
        dataclasses.replace(one.backbones[0], at=sides(one.stored_size or 0)[0]) for one in (first, second)
    ]
    joined = join(sorted(parts, key=lambda part: (part.name, part.at)))
    return dataclasses.replace(first, backbones=(joined,), image_size=joined.side)


def _label(config: StudyConfig, *, with_size: bool) -> str:
    """What a config's only backbone is called among those that are compared; the name of a joined one has the sizes."""
    (backbone,) = config.backbones
    return label_of(backbone.name, config.stored_size if with_size and not backbone.parts else None)


def _cost(config: StudyConfig) -> float:
    (backbone,), (high, wide) = config.backbones, sides(config.stored_size or 1)
    return float(sum(part.parameters * (part.at**2 or high * wide) for part in backbone.nets))


def _probe(config: StudyConfig, space: Space, dataset: Dataset, server: "ForkServer") -> Any:
    """What logistic regression on the features of a config's only backbone predicts of each image ``(N,)``."""
    spec, (backbone,) = config.input_spec, config.backbones
    name = _label(config, with_size=True)
    params = propose(space, FixedTrial(space.first(spec)[0]), spec).params
    plan = TrainingPlan(
        space=config.space,
        params=params,
        recipe=recipe_of(space, params, spec),
        input_spec=spec,
        dataset=str(dataset.folder),
        validation=config.validation,
        images=None,
        split_seed=config.seed,
        seed=config.seed,
        epochs=config.epochs,
        flip=False,  # The mirror images wait for the backbone that is taken.
        folds=config.folds,
        fold_of=config.fold_of,
    )
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log.txt"
        try:
            with server.start("search.training.probe:probe", plan.to_payload(), log) as child:
                told = time.monotonic()
                while (message := child.result())["kind"] != "done":
                    if message["kind"] == "features" and time.monotonic() - told >= STEP:
                        told = time.monotonic()
                        share = message["rows"] / max(1, message["of"])
                        logger.info(f"backbone {name}: features of {percent(share)} of the images")
        except (TrialFailed, TrialInterrupted) as error:
            raise InputError(
                f"--backbone {backbone.said}: its features cannot be computed ({error}); give others, or one alone"
            ) from error
    return np.array(message["predicted"])


def cheapest_as_good(right: npt.NDArray[np.bool_], costs: Sequence[float]) -> int:
    """Which of several to take: the cheapest within one standard error of the best, and within half a point.

    The error is that of the difference of two accuracies on the same N images. If the best is right about b images that
    another is wrong about, and wrong about c that the other has right, the difference is (b - c) / N, and its standard
    error, were both equally good, sqrt(b + c) / N. An example with N = 245: b = 6 and c = 2 make a difference of 1.6
    points and an error of 1.2 points, so that the best is taken; with b = 3 and c = 2, 0.4 and 0.9 points, the cheaper.

    The half point is for few images, of which the error alone is points: those are worth more than what is saved.

    Source of the rule: L. Breiman, J. Friedman, R. Olshen, C. Stone, "Classification and Regression Trees", 1984.

    Args:
        right: Whether each is right about each image, ``(several, N)``.
        costs: Of each.
    """
    best = int(right.sum(axis=1).argmax())
    as_good = []
    for one in range(len(right)):
        only_best, only_one = int((right[best] & ~right[one]).sum()), int((right[one] & ~right[best]).sum())
        if only_best - only_one <= min(np.sqrt(only_best + only_one), MOST_BEHIND * right.shape[1]):
            as_good.append(one)
    return min(as_good, key=lambda one: (costs[one], -int(right[one].sum())))
