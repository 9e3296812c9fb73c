"""The cells of a sweep, one for each combination of the varied values: how they are queued, and which are retried."""

import ast
import itertools
import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.config.study_config import StudyConfig
from search.errors import InputError, SpaceFailed
from search.formatting import describe
from search.study.first_trials import check_trial
from search.study.proposal import own_configurations, propose
from search.study.seeds import FIRST_TRY, seed_number
from search.study.study import WANTED
from spaces.contract import Params, Space

logger = logging.getLogger(__name__)

SWEEP, REPEAT, FIXED = "sweep", "repeat", "fixed_params"
# In one run of the command; run again, it gives a cell that was given up another chance.
MOST_TRIES = 2
Values = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Sweep:
    """What is asked of a sweep; when one goes on, what is not asked for is as the study has it.

    Attributes:
        vary: Values of each varied parameter.
        repeat: Runs of each cell, each with a seed of its own.
        base: Where all other values come from, in the user's words.
        values: A value for each parameter of the space; None for the space's own default.
    """

    vary: Values = field(default_factory=dict)
    repeat: int | None = None
    base: str | None = None
    values: Params | None = None

    def queueing(
        self, space: Space, config: StudyConfig, stored: Mapping[str, Any] | None = None
    ) -> Callable[[optuna.Study], None]:
        """Check the sweep, and return what queues the cells that its study does not have yet; call that under its lock.

        Args:
            space: The study's space.
            config: The study's config.
            stored: What the study has stored of an earlier run of the sweep.

        Raises:
            InputError: A parameter is unknown, a value out of range, or no cell is left.
        """
        earlier = dict(stored or {"base": self.base, "vary": {}, "repeat": 1, "left_out": []})
        if self.base is not None and self.base != earlier["base"]:
            raise InputError(
                f"--base {self.base}: study {config.study} was made with {earlier['base']}; leave the flag out, or "
                "choose another --study name"
            )
        params = earlier.get("params") or self.values or _default(space, config)
        vary, repeat = self.vary or earlier["vary"], self.repeat or earlier["repeat"]
        # Asked for nothing, it goes on with the study's own cells: values added one list at a time are not crossed.
        cells, left_out = (None, []) if stored and not self.vary else _cells(space, config, params, self.vary)
        sweep = _together(earlier, params, vary, repeat, left_out)
        for one in left_out:
            logger.info("left out: %s: %s", describe(one["values"]), one["why"])

        def queue(study: optuna.Study) -> None:
            tries = _by_cell(study.get_trials(deepcopy=False))
            own = {cell: of_cell[0].system_attrs[FIXED] for (cell, _), of_cell in tries.items()}
            for run, values in itertools.product(range(repeat), own.values() if cells is None else cells):
                before = tries.get((_key(values), run), [])
                if all(trial.state == TrialState.FAIL for trial in before):
                    study.enqueue_trial(values, user_attrs=_about(run, before))
            study.set_user_attr(SWEEP, sweep)
            study.set_user_attr(WANTED, len(_by_cell(study.get_trials(deepcopy=False))))

        return queue


def cells_wanted(trials: Sequence[FrozenTrial]) -> int:
    """How many finished trials a sweep shall have: one for each cell and repeat, but for those given up."""
    return sum(
        len(tries) < MOST_TRIES or any(trial.state != TrialState.FAIL for trial in tries)
        for tries in _by_cell(trials).values()
    )


def next_retry(trials: Sequence[FrozenTrial]) -> dict[str, Any] | None:
    """The attributes of the next retry, of a cell whose tries have all failed; None where there is none to retry."""
    for tries in _by_cell(trials).values():
        if len(tries) < MOST_TRIES and all(trial.state == TrialState.FAIL for trial in tries):
            failed = tries[0]
            return {
                "system_attrs": {FIXED: failed.system_attrs[FIXED]},
                "user_attrs": _about(failed.user_attrs[REPEAT], tries),
            }
    return None


def _cells(
    space: Space, config: StudyConfig, params: Params, vary: Values
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All values of each cell that can be run; and the varied values of each that is too large, with the reason."""
    if not vary:
        raise InputError("--vary: nothing is varied; expected such as --vary filters=16,32,64")
    if unknown := [name for name in vary if name not in params]:
        raise InputError(
            f"--vary {unknown[0]}: no parameter of space {config.space}; expected one of "
            f"{', '.join(sorted(params))}"
        )
    for name, listed in vary.items():
        if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
            raise InputError(
                f"--vary { {name: listed}!r}: expected a list of values for {name}, such as [16, 32, 64]"
            )
        # By their words, for to Python 1 and True are the same.
        if len({repr(_as(value, params[name])) for value in listed}) < len(listed):
            raise InputError(f"--vary { {name: list(listed)}!r}: a value is said twice; expected each once")
    cells, left_out = [], []
    for combination in itertools.product(*vary.values()):
        varied = {name: _as(value, params[name]) for name, value in zip(vary, combination, strict=True)}
        values = {**params, **varied}
        if why := _too_large(space, config, values):
            left_out.append({"values": varied, "why": why})
        else:
            cells.append(check_trial(space, values, config.input_spec, f"--vary {describe(varied)}"))
    if not cells:
        raise InputError(f"--vary: every cell is too large, such as {left_out[0]['why']}")
    return cells, left_out


def _together(
    earlier: Mapping[str, Any],
    params: Params,
    vary: Values,
    repeat: int,
    left_out: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What the study shall store of the sweep, this run and earlier ones together.

    A parameter that one of them leaves alone has the base's value there.
    """
    names = dict.fromkeys([*earlier["vary"], *vary])
    base = {name: [params[name]] for name in names}
    before = {**base, **earlier["vary"]} if earlier["vary"] else {}
    now = {**base, **vary}
    return {
        "base": earlier["base"],
        "params": dict(params),
        "vary": {name: _merged(before.get(name, []), now[name], params[name]) for name in names},
        "repeat": max(repeat, earlier["repeat"]),
        "left_out": [*earlier["left_out"], *(one for one in left_out if one not in earlier["left_out"])],
    }


def _too_large(space: Space, config: StudyConfig, values: Params) -> str:
    """Why a cell exceeds the study's bounds; empty where it does not, or where its values are wrong anyway."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Values out of range are refused later, in words.
            cost = propose(space, optuna.trial.FixedTrial(dict(values)), config.input_spec).cost
    except SpaceFailed:  # The check of the values says it in words.
        return ""
    if cost.flops > config.max_cost:
        most = f"{config.max_cost / 1e6:,.6f}".rstrip("0").rstrip(".")
        return f"{cost.flops / 1e6:,.1f} MFLOP an image, over --max-cost {most}MFLOP"
    if cost.parameters > config.max_parameters:
        return f"{cost.parameters:,} parameters, over --max-parameters {config.max_parameters}"
    return ""


def _default(space: Space, config: StudyConfig) -> Params:
    try:
        own = own_configurations(space, config)
    except SpaceFailed as failed:
        raise InputError(f"space {config.space}: {failed}") from None
    if not own:
        raise InputError(
            f"--base: space {config.space} has no configuration of its own; expected a net of the notebooks, "
            "a preset, or study:NAME"
        )
    return own[0]


def _as(value: Any, like: Any) -> Any:
    """A value in the type of the base's value, so that 1 and 1.0 are one cell, and the text 1 stays a text."""
    if isinstance(value, str) and not isinstance(like, str):
        value = _read(value)
    both = (value, like)
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in both):
        return value
    try:
        same = type(like)(value)
    except (OverflowError, ValueError):  # No integer is infinite, and no float as large as some integers.
        return value
    return same if same == value else value


def _read(word: str) -> Any:
    """A number, or true or false, of its word; any other word as it is."""
    try:
        value = ast.literal_eval(word.capitalize() if word.lower() in ("true", "false") else word)
    except (ValueError, SyntaxError):
        return word
    return value if isinstance(value, int | float | str) else word


def _merged(earlier: Sequence[Any], now: Sequence[Any], like: Any) -> list[Any]:
    return list(dict.fromkeys([*earlier, *(_as(value, like) for value in now)]))


def _about(run: int, tries: Sequence[FrozenTrial]) -> dict[str, Any]:
    """The attributes of another try of a cell's run, whose seed is that of its first try."""
    return {REPEAT: run, **({FIRST_TRY: seed_number(tries[0])} if tries else {})}


def _key(values: Params) -> str:
    return json.dumps(dict(values), sort_keys=True)


def _cell(trial: FrozenTrial) -> tuple[str, int]:
    return _key(trial.system_attrs[FIXED]), trial.user_attrs[REPEAT]


def _by_cell(trials: Sequence[FrozenTrial]) -> dict[tuple[str, int], list[FrozenTrial]]:
    found: dict[tuple[str, int], list[FrozenTrial]] = {}
    for trial in trials:
        if REPEAT in trial.user_attrs:
            found.setdefault(_cell(trial), []).append(trial)
    return found
