"""Which of several backbones a cross-validated study stands on: chosen before the search, by logistic regression.

On few images, a search that samples among backbones tells them apart by the luck of a few trials each. Logistic
regression on the features of each, in the study's folds, takes seconds and has no luck: the cheapest backbone within
one standard error of the best is taken.
"""

import dataclasses
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from search.config.study_config import StudyConfig
from search.data import Dataset
from search.errors import InputError, TrialFailed, TrialInterrupted
from search.formatting import percent
from search.study.proposal import recipe_of
from search.training.plan import TrainingPlan
from spaces.contract import Backbone, Space

if TYPE_CHECKING:
    from search.process.fork_server import ForkServer

logger = logging.getLogger(__name__)

# A share of the features that is worth a line.
STEP = 0.25


def can_choose(config: StudyConfig, space: Space) -> bool:
    """Whether a new study has folds, and several backbones that its space can name in a configuration of its own."""
    return bool(config.fold_of) and len(config.backbones) > 1 and hasattr(space, "first")


def choose_backbone(
    config: StudyConfig, space: Space, dataset: Dataset, server: "ForkServer"
) -> tuple[StudyConfig, dict[str, float]]:
    """Choose one of the backbones of a new study.

    Args:
        config: The study's, for which ``can_choose``.
        space: Its space.
        dataset: Its images.
        server: Starts the children that compute features.

    Returns:
        The config with this backbone alone, and the accuracy of logistic regression over each, by name.

    Raises:
        InputError: The features of a backbone cannot be computed.
    """
    _, labels = dataset.train()
    right = np.stack([_probe(config, space, dataset, one, server) == labels for one in config.backbones])
    chosen = config.backbones[cheapest_as_good(right, [one.parameters for one in config.backbones])]
    accuracies = {one.name: float(np.mean(hits)) for one, hits in zip(config.backbones, right, strict=True)}
    told = ", ".join(f"{name} {percent(value)}" for name, value in accuracies.items())
    logger.info(
        f"backbone {chosen.name}: by logistic regression in {config.folds} folds ({told}), the one with the fewest "
        "parameters within a standard error of the best"
    )
    return dataclasses.replace(config, backbones=(chosen,)), accuracies


def _probe(
    config: StudyConfig, space: Space, dataset: Dataset, backbone: Backbone, server: "ForkServer"
) -> Any:
    """What logistic regression on a backbone's features predicts of each image ``(N,)``."""
    spec = config.input_spec
    params = next(one for one in space.first(spec) if space.backbone(one, spec) == backbone)
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
                told = 0.0
                while (message := child.result())["kind"] != "done":
                    share = message.get("rows", 0) / max(1, message.get("of", 1))
                    if message["kind"] == "features" and share >= told + STEP:
                        told = share
                        logger.info(f"backbone {backbone.name}: features of {percent(share)} of the images")
        except (TrialFailed, TrialInterrupted) as error:
            raise InputError(
                f"--backbone {backbone.said}: its features cannot be computed ({error}); give others, or one alone"
            ) from error
    return np.array(message["predicted"])


def cheapest_as_good(right: npt.NDArray[np.bool_], costs: Sequence[float]) -> int:
    """Which of several to take: the cheapest that is within one standard error of the best.

    The error is that of the difference of two accuracies on the same N images. If the best is right about b images that
    another is wrong about, and wrong about c that the other has right, the difference is (b - c) / N, and its standard
    error, were both equally good, sqrt(b + c) / N. An example with N = 245: b = 6 and c = 2 make a difference of 1.6
    points and an error of 1.2 points, so that the best is taken; with b = 4 and c = 2, 0.8 and 1.0 points, the cheaper.

    Source of the rule: L. Breiman, J. Friedman, R. Olshen, C. Stone, "Classification and Regression Trees", 1984.

    Args:
        right: Whether each is right about each image, ``(several, N)``.
        costs: Of each.
    """
    best = int(right.sum(axis=1).argmax())
    as_good = []
    for one in range(len(right)):
        only_best, only_one = int((right[best] & ~right[one]).sum()), int((right[one] & ~right[best]).sum())
        if only_best - only_one <= np.sqrt(only_best + only_one):
            as_good.append(one)
    return min(as_good, key=lambda one: (costs[one], -int(right[one].sum())))
