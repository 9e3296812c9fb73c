"""How long a trial is: an amount of compute that is the same for every configuration of a study.

The idea: at equal epochs the larger net wins, since it is given more compute, and a search finds "larger". At equal
compute a small net sees its images more often, a large one less often, each on a schedule made for its own steps.

The rule: a trial trains for C = 3 F B S floating-point operations, F those of an image's forward pass, B the batch
size of its recipe, S its steps; so S = C / (3 F B). It is derived backwards from the final training that is searched
for: with n of all N training images in the search, C = C_final n / N, so that a configuration makes the same passes
over its images in both, and the best size is not that of a smaller budget.

An example: the final training is 10 epochs of the default configuration, 2 MFLOP an image, on 50,000 images:
C_final = 3 * 2e6 * 10 * 50,000 = 3e12. A search on 10,000 of them has C = 6e11. A net of 4 MFLOP makes 5 passes then,
one of 1 MFLOP makes 20. One of 15 MFLOP would make 1.3: fewer than two are refused.
"""

import dataclasses
import logging
import math
from typing import TYPE_CHECKING

from optuna.trial import FixedTrial

from search.config.settings import RunOptions
from search.config.study_config import StudyConfig
from search.config.value_types import Final, as_final
from search.data import Dataset
from search.errors import InputError
from search.formatting import EPOCH, count, flops, rough_duration
from search.study.class_balance import split_counts
from search.study.final_length import fits
from search.study.first_trials import first_trials
from search.study.proposal import Proposal, propose, propose_some
from search.study.race_images import race_images
from search.study.request import compute_of_all, preset_of, time_of_all
from search.study.speed import HELD_OUT, longest_final, paid_compute, training_speed
from spaces import UserModel, has_backbone
from spaces.contract import Cost, Space
from spaces.recipe import Recipe

if TYPE_CHECKING:
    from search.training.plan import TrainingPlan

logger = logging.getLogger(__name__)

# Into how many parts a trial's compute is divided: it reports, and may be pruned, after each.
PARTS = 8
LEAST_PASSES = 2
# A final training that is cut to fit in a time makes at least so many passes, and a trial takes so much longer with its
# validations than its training does.
LEAST_PASSES_IN_TIME, VALIDATED = 4, 1.1
DEFAULT_FINAL = "12 epochs"
PROBES = 9


def is_by_compute(options: RunOptions, space: Space) -> bool:
    """Whether the trials of a new study are to have equal compute.

    Raises:
        InputError: It is asked for, and cannot be.
    """
    if isinstance(space, UserModel):  # What else is asked for has been refused.
        return False
    if options.length == "compute" or options.final is not None:
        flag = "--length compute" if options.final is None else f"--final {options.final}"
        if has_backbone(space):
            raise InputError(
                f"{flag}: over a frozen backbone heads are trained, whose compute is about alike, so that their trials "
                "count epochs; leave the flag out"
            )
        if "epochs" in options.requested:
            raise InputError(
                f"{flag}: says how long a trial is, as --epochs {options.epochs} does; leave one of the two out"
            )
        return True
    return options.length is None and "epochs" not in options.requested and not has_backbone(space)


def with_length(config: StudyConfig, options: RunOptions, space: Space, dataset: Dataset) -> StudyConfig:
    """The config with a trial's compute, derived from the final training.

    Raises:
        InputError: The default configuration could not see its images twice.
    """
    preset = preset_of(options)
    said = options.final or (preset.final if preset else None) or DEFAULT_FINAL
    default = _typical_flops(space, config)
    if not default:  # Of a space that does not count its operations there is no compute to divide.
        if options.final is not None or options.length is not None:
            raise InputError(
                f"space {config.space}: its cost is 0 operations an image, so that trials cannot have equal compute; "
                "mend its cost, or pass --length epochs"
            )
        return config
    images, asked = sum(dataset.train_counts), as_final("--final", said)
    final, time = _final_flops(asked, default, images), time_of_all(options)
    speed = None if time is None else training_speed()
    if config.folds and "folds" not in options.requested:
        config = _with_folds_that_fit(config, options, final, final / (3 * default), speed)
    config = dataclasses.replace(config, race_images=race_images(config, dataset))
    training = sum(split_counts(config, dataset)["training"])
    _check_sees_twice(said, final, default, images)
    share = training / images
    if time is not None and speed is not None and options.final is None and not config.folds:
        final = _in_time(final, 3 * default * images, share, time, speed)
    config = dataclasses.replace(
        config,
        epochs=PARTS,
        length=round(final * share),
        final=round(final),
        sized=asked.flops > 0,
        training_images=training,
    )
    default = _typical_flops(space, config)
    # What nobody has bounded has room for the default that the compute asks for.
    most = config.max_cost if "max_cost" in options.requested else max(config.max_cost, round(default))
    config = dataclasses.replace(
        config, final_epochs=float(f"{final / (3 * default * images):.9g}"), max_cost=most
    )
    is_cut = final < _final_flops(asked, default, images)
    _check_some_have_steps(
        space, config, f"--timeout {rough_duration(time or 0)}" if is_cut else f"--final {said}"
    )
    return config


def _check_sees_twice(said: str | int | float, final: float, default: float, images: int) -> None:
    """Refuse a final training in which the default configuration would not see all training images twice.

    Args:
        said: How long it is, in the user's words.
        final: The same, in FLOPs.
        default: What the default configuration costs, operations an image.
        images: Number of training images.

    Raises:
        InputError: It is too short.
    """
    least = LEAST_PASSES * 3 * default * images
    if final < least:
        raise InputError(
            f"--final {said}: the default configuration costs {default / 1e6:,.3g} MFLOP an image, and would not see "
            f"all {images:,} training images twice; expected at least {LEAST_PASSES} epochs, which are "
            f"{math.ceil(least / 1e6):,} MFLOP"
        )


def _check_some_have_steps(space: Space, config: StudyConfig, said: str) -> None:
    """Refuse trials so short that all of a space's configurations would be refused, one after another.

    Args:
        space: The space, of which its default and some samples are looked at.
        config: The study's.
        said: What has made them so short.

    Raises:
        InputError: They are.
    """
    found = [*_default(space, config), *_drawn(space, config)]
    lacking = [violations(config, one.cost, one.recipe).get("passes", 0.0) for one in found]
    if lacking and min(lacking) > 0:
        raise InputError(
            f"{said}: in a trial on {count(config.training_images, 'image')} the default configuration would have less "
            f"than {PARTS} steps, or not see them twice, and so would all others; expected --final "
            f"{math.ceil(math.exp(lacking[0]) * config.final_epochs)} epochs, or more"
        )


def _with_folds_that_fit(
    config: StudyConfig, options: RunOptions, final: float, looks: float, speed: float | None
) -> StudyConfig:
    """The config, without the folds that nobody has asked for if they leave too little for the rest; this is said."""
    time = time_of_all(options)
    whole = paid_compute(time, compute_of_all(options), speed, in_folds=True)
    if options.final is not None or options.refit_epochs is not None:
        looks = math.inf  # It has the length that somebody has said.
    if fits(final, config.folds - 1, whole, looks):
        return config
    by_time = whole != options.budget
    bound = (
        f"--timeout {rough_duration(time or 0)} on this machine" if by_time else f"--budget {flops(whole)}"
    )
    logger.info(
        f"a part is held out (--validation {HELD_OUT}): two trials in {config.folds} folds, a race and the final "
        f"training do not fit in {bound}; --folds {config.folds} has it otherwise"
    )
    return dataclasses.replace(config, folds=0, fold_of="", validation=HELD_OUT)


def _in_time(final: float, a_pass: float, share: float, timeout: float, speed: float) -> float:
    """The final training's FLOPs, or those of the longest that fits in a time, which is said then."""
    longest = max(longest_final(timeout, VALIDATED * share, speed), LEAST_PASSES_IN_TIME * a_pass)
    if longest >= final:
        return final
    logger.info(
        f"final training: {flops(longest)}, all that fits in --timeout {rough_duration(timeout)} on this "
        f"machine; without it {flops(final)}; --final has it otherwise"
    )
    return longest


def _final_flops(final: Final, default: float, images: int) -> float:
    return final.flops or 3 * default * final.epochs * images


def _typical_flops(space: Space, config: StudyConfig) -> float:
    """Operations an image of the space's default configuration, or the median of some samples where it has none."""
    costs = sorted(found.cost.flops for found in _default(space, config) or _drawn(space, config))
    return float(costs[len(costs) // 2]) if costs else 0.0


def _default(space: Space, config: StudyConfig) -> list[Proposal]:
    """The space's default configuration; none where it has none."""
    own = first_trials(space, config, ())[:1]
    return [propose(space, FixedTrial(values), config.input_spec) for values in own]


def _drawn(space: Space, config: StudyConfig) -> list[Proposal]:
    """Some samples of the space, without those at which it fails."""
    drawn = (found for _, found in propose_some(space, config.input_spec, PROBES))
    return [found for found in drawn if isinstance(found, Proposal)]


def length_words(config: StudyConfig) -> str:
    """How long a trial is: ``12 epochs``, or ``0.45 TFLOP``."""
    return f"{config.length / 1e12:,.3g} TFLOP" if config.length else count(config.epochs, EPOCH)


def set_length(plan: "TrainingPlan", compute: float, flops: float, images: int) -> "TrainingPlan":
    """The plan for as many steps as ``compute`` allows.

    Args:
        plan: The training, in epochs.
        compute: Training FLOPs.
        flops: Operations of an image's forward pass.
        images: Number of images that it trains on.
    """
    batch = _batch(plan.recipe, images)
    # Said in so many words: of folds that differ by an image all have the same batches.
    recipe = dataclasses.replace(plan.recipe, batch_size=batch, most_steps=0, least_steps=0)
    return dataclasses.replace(plan, recipe=recipe, epochs=PARTS, steps=_steps(compute, flops, batch))


def violations(config: StudyConfig, cost: Cost, recipe: Recipe) -> dict[str, float]:
    """What a configuration cannot have in its study, and by how much: the logarithm of how many times too large.

    Args:
        config: The study's.
        cost: Of the configuration.
        recipe: Of the configuration.

    Returns:
        ``cost`` or ``parameters`` above the study's bound, or too few ``passes`` over the images; often nothing.
    """
    ratios = {"cost": cost.flops / config.max_cost, "parameters": cost.parameters / config.max_parameters}
    if config.length and not recipe.is_exact:
        batch = _batch(recipe, config.training_images)
        steps = _steps(config.length, cost.flops, batch)
        # Whole batches: a final training of just two passes is the default's own.
        least = max(PARTS, LEAST_PASSES * config.training_images // batch)
        if steps < least:
            ratios["passes"] = least / max(steps, 0.5)
    return {name: math.log(ratio) for name, ratio in ratios.items() if ratio > 1}


def _batch(recipe: Recipe, images: int) -> int:
    return min(recipe.batch(images), images)


def _steps(compute: float, flops: float, batch: int) -> int:
    return int(compute / (3 * max(flops, 1.0) * batch) + 1e-6)  # The length is rounded to a whole number.
