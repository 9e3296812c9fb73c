"""What a new study is where nobody says: chosen by a look at its images and at the backbones that this host has.

Whatever is asked for stays as it is asked for. What is chosen is said as the options that would ask for it, so that a
person can change one of them. A study stores what it was made with: no later command chooses again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.config.option import flag_of
from search.config.settings import RunOptions
from search.data.backbones import DEFAULT, IMAGE_SIZE, find_backbones
from search.data.backbones_at_hand import AtHand, backbones_at_hand
from search.data.base import Say, log_line
from search.data.cache import cache_root
from search.data.folds import LEAST_FOLDS, default_folds
from search.data.look import Look, look_at
from search.errors import InputError
from search.formatting import count, flops, rough_duration
from search.presets import PRESETS
from search.study.photograph_settings import EPOCHS, SIDES, fit
from search.study.request import compute_of_all, load_space, preset_of, time_of_all
from search.study.speed import HELD_OUT
from spaces import has_backbone

# Up to this side, images of one size are pictures such as CIFAR-10's, for which the space ``cnn`` is made.
SMALL = 48
# From so many training images on, features at the smaller size save minutes and cost little.
MANY_IMAGES, SMALLER = 20_000, 160
# Of few images, features at each of these sides are compared, as backbones are. Logistic regression in ten folds on
# those of EfficientNet-Lite2 has 93.7, 97.4 and 98.0 % of 245 ants and bees, on those of Lite0 92.0, 96.2 and 95.1 %.
COMPARED_SIDES = (160, 224, 288)
# Of more backbones the features would take longer than the search.
MOST_COMPARED = 3
# Of a space of somebody's own nothing is known.
ANY_SIDE = 64


@dataclass
class Choice:
    """What was chosen, and how that is said.

    Attributes:
        options: What was asked for, with what was chosen beside it.
        lines: In words, for a person; empty where nothing was chosen.
        given: What was asked for where something would have been chosen.
        sides: The sides in pixels that are compared by features over the backbones; empty where one is chosen.
        look: What the images look like; None where nobody has looked, or only their preparation can judge.
    """

    options: RunOptions
    lines: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    sides: tuple[int, ...] = ()
    look: Look | None = None

    def put(self, name: str, value: Any, words: str, instead: Sequence[str] = ()) -> None:
        """Choose a value for an option, unless it is asked for, or one of those that say the same otherwise."""
        for asked in (name, *instead):
            if asked in self.options.requested:
                said = getattr(self.options, asked)
                self.given.append(_as_flags(flag_of(self.options, asked), said))
                return
        self.options = self.options.also(**{name: value})
        self.lines.append(f"  {_as_flags(flag_of(self.options, name), value)}: {words}")


def choose_settings(options: RunOptions, say: Say = log_line, *, only_look: bool = False) -> Choice:
    """Choose what nobody has asked for, in a new study that has no preset.

    Args:
        options: What is asked for.
        say: Takes lines for people, about what takes long.
        only_look: Whether nothing may be downloaded; then the images of a preset are looked at, too.

    Raises:
        InputError: The images cannot be used.
    """
    choice = Choice(options)
    preset = preset_of(options)
    data = options.data if preset is None or options.data is not None else preset.data
    if data is None or (preset is not None and not only_look):
        return choice
    cache = cache_root() if options.cache is None else Path(options.cache)
    look = choice.look = look_at(data, test=options.test, groups=options.groups, cache=cache, say=say)
    if preset is not None:
        return choice
    if look is None:
        # What is wrong with the images is said where they are prepared; their net is known by its backbone.
        if options.backbones and "space" not in options.requested:
            choice.options = options.also(space="transfer")
        return choice
    _choose_space(choice, look, cache, None if only_look else say)
    over_backbone = has_backbone(load_space(choice.options.space))
    if over_backbone:
        ready = () if only_look else find_backbones(choice.options.backbones or (DEFAULT,), cache, say)
        _choose_for_heads(choice, look, max((backbone.side for backbone in ready), default=0))
    elif choice.options.space == "photo_cnn":
        _choose_for_photographs(choice, look)
    elif not look.equal:
        choice.put("image_size", ANY_SIDE, "their sizes differ")
    if choice.lines:
        _frame(choice, look, over_backbone)
    return choice


def pick_backbones(at_hand: Sequence[AtHand], options: RunOptions, look: Look) -> Sequence[AtHand]:
    """Those to use: in folds the cheapest few, of which logistic regression tells one; else the cheapest alone."""
    told = _folds(options, look, over_backbone=True) and not options.try_first
    return at_hand[: MOST_COMPARED if told else 1]


def _choose_space(choice: Choice, look: Look, cache: Path, say: Say | None) -> None:
    """Choose the space, and its backbone, which is made ready unless ``say`` is None."""
    options = choice.options
    small = look.equal and look.most <= SMALL and "image_size" not in options.requested
    wanted = has_backbone(load_space(options.space)) if "space" in options.requested else not small
    found: Sequence[AtHand] = ()
    if wanted and not options.backbones:
        found = pick_backbones(backbones_at_hand(cache), options, look)
        if say is not None:
            found = [one for one in found if one.size or _downloaded(one, cache, say)]
    if found or options.backbones:
        choice.put("space", "transfer", "a small head on a pretrained net goes furthest with photographs")
        names = " or ".join(one.name for one in found)
        words = f"{names}, as logistic regression on their features tells"
        if len(found) == 1:
            words = f"{names} {found[0].where}"
        choice.put("backbones", tuple(one.requested for one in found), words)
    elif small:
        choice.put("space", "cnn", f"small nets, for images of {look.most} pixels")
    else:
        choice.put(
            "space",
            "photo_cnn",
            "nets that begin from nothing, since no pretrained one is at hand; one would go further (--backbone FILE, "
            "or python -m search.prefetch --backbone MobileNetV2 where there is a network)",
        )


def _downloaded(backbone: AtHand, cache: Path, say: Say) -> bool:
    try:
        find_backbones([backbone.requested], cache, say)
    except InputError as error:
        say(f"warning: {error}")
        return False
    return True


def _choose_for_heads(choice: Choice, look: Look, side: int) -> None:
    """Choose what suits heads on features; ``side`` is the only one that the backbone takes, 0 for any."""
    preset, known = PRESETS["folder_transfer"], len(choice.lines)
    if side:
        choice.put("image_size", side, "the only one that this backbone takes")
    elif look.training >= MANY_IMAGES:
        choice.put("image_size", SMALLER, f"half the work of {IMAGE_SIZE}, of so many images")
    elif _folds(choice.options, look, over_backbone=True) and not choice.options.try_first:
        words = (
            f"at most; {', '.join(map(str, COMPARED_SIDES))} are compared, and the best joined with each other one, as "
            "logistic regression on features tells"
        )
        choice.put("image_size", COMPARED_SIDES[-1], words)
        if choice.options.image_size == COMPARED_SIDES[-1] and len(choice.lines) > known:
            choice.sides = COMPARED_SIDES
    else:
        choice.put("image_size", IMAGE_SIZE, "what such nets were trained at")
    choice.put("resize", preset.resize, "the middle of each picture, undistorted")
    choice.put("epochs", preset.epochs, "of features that are computed once", ("final", "length"))
    choice.put("trials", preset.trials, "heads are few and alike")


def _choose_for_photographs(choice: Choice, look: Look) -> None:
    """Choose what suits nets that begin from nothing."""
    options, folds = choice.options, _folds(choice.options, look, over_backbone=False)
    size = look.most if look.equal and look.most <= SIDES[-1] else None
    said = options.final is not None or options.refit_epochs is not None
    # What trials of a length of their own take of a budget is not known by the final training's.
    own = said or options.length == "epochs" or "epochs" in options.requested
    timeout, budget = time_of_all(options), None if own else compute_of_all(options)
    found = fit(
        look.training,
        look.classes,
        options.folds or folds,
        size=options.stored_size or size,
        open_folds=folds > 0,
        timeout=timeout,
        budget=budget,
        said=said,
    )
    if size is None:
        takes = (
            "" if found.seconds is None else f", where a trial takes about {rough_duration(found.seconds)}"
        )
        choice.put("image_size", found.side, f"of {SIDES[0]} to {SIDES[-1]}{takes}")
    is_timed = timeout is not None and found.seconds is not None
    in_time = f"--timeout {rough_duration(timeout or 0)}" if is_timed else ""
    in_compute = "" if budget is None else f"--budget {flops(budget)}"
    if folds and not found.folds:
        choice.put(
            "validation",
            HELD_OUT,
            f"a part held out, since folds leave too little of {' and '.join(filter(None, (in_time, in_compute)))}",
        )
    words = "the length of the final training" if found.epochs == EPOCHS else f"all that fits in {in_time}"
    choice.put("final", f"{found.epochs} epochs", words, ("epochs", "length"))
    choice.put("trials", PRESETS["folder_cnn"].trials, "for its eight parameters")


def _frame(choice: Choice, look: Look, over_backbone: bool) -> None:
    """Say before the lines what was seen, and after them what is as it was asked for, and how few images are used."""
    sizes = (
        f"of {look.most} pixels"
        if look.least == look.most
        else f"of {look.least} to {look.most} pixels a side"
    )
    seen = f"{count(look.training, 'training image')} of {count(look.classes, 'class', 'classes')}, {sizes}"
    if folds := _folds(choice.options, look, over_backbone):
        choice.lines.append(f"  --folds {folds}: a part held out of so few images would say little")
    choice.lines.insert(0, f"chosen for {seen} (pass any of these to have it otherwise):")
    if choice.given:
        choice.lines.append(f"as given: {', '.join(choice.given)}")


def _folds(options: RunOptions, look: Look, over_backbone: bool) -> int:
    """The number of folds that the study will have by default; 0 for none, or where something asked for decides."""
    if {"folds", "validation", "images"} & options.requested or options.confirm or look.validated:
        return 0
    folds = default_folds(look.training, over_backbone)
    if look.fewest:  # Else only the images would tell.
        folds = min(folds, look.fewest)
    return folds if folds >= LEAST_FOLDS else 0


def _as_flags(flag: str, value: Any) -> str:
    """A value as it is typed, the flag before each of several."""
    return " ".join(f"{flag} {one}" for one in (value if isinstance(value, tuple) else (value,)))
