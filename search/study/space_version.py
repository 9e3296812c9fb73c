"""Which version of its space a study was made with: told by what the space does and by its code.

Two hosts may have two versions of a space under one name, and mixing their trials would spoil the study.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

import spaces
from search.config.study_config import StudyConfig
from search.errors import InputError, SpaceFailed
from search.study.proposal import propose_some
from search.study.study import LoadedStudy
from search.study.sweep_cells import FIXED, REPEAT
from spaces import UserModel
from spaces.contract import Space
from storage.liveness import HEARTBEAT

SPACE, CODE = "space_digest", "space_code"
# Of a trial that failed: whether by an exception of the space's or the training's code.
RAISED = "raised"
PROBES = 3
# What a search can do beside bringing the same files.
INSTEAD = ", or choose another --study name"


def space_digest(space: Space, config: StudyConfig) -> str:
    """A digest of what a space does with a few seeded samples: ranges, costs and recipes.

    Two hosts may have two versions of a space under one name, and mixing their trials would spoil the study.

    Raises:
        InputError: None of the samples succeeds.
    """
    if isinstance(space, UserModel):  # It can be asked in a child alone; its code says more.
        return space.function
    seen: list[list[Any]] = []
    failed: list[SpaceFailed] = []
    for trial, found in propose_some(space, config.input_spec, PROBES):
        if isinstance(found, SpaceFailed):  # It will end the trials that meet it.
            seen.append([found.kind])
            failed.append(found)
            continue
        recipe = found.recipe if hasattr(space, "recipe") else None
        seen.append([found.params, list(found.cost), repr(recipe), _ranges(trial)])
    if len(failed) == PROBES:
        raise InputError(
            f"space {config.space}: {failed[0]}; mend the space, then run the same command again"
        )
    text = json.dumps(_rounded(seen), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def space_facts(space: Space, config: StudyConfig) -> dict[str, str]:
    """What a study stores of its space, for everybody who goes on with it to compare."""
    return {SPACE: space_digest(space, config), CODE: spaces.code_of(space)}


def has_trained(trials: Sequence[FrozenTrial]) -> bool:
    """Whether a net of a study has been trained, or may be in training."""
    begun = any(trial.state != TrialState.FAIL and HEARTBEAT in trial.system_attrs for trial in trials)
    return begun or any(trial.intermediate_values for trial in trials)


def renew_space(found: LoadedStudy, space: Space) -> None:
    """Let a space be mended whose nets have never been trained, for there is nothing then to mix its new nets with.

    What was queued, and failed by an exception, is queued again.
    """
    trials = found.optuna.get_trials(deepcopy=False)
    if has_trained(trials):
        return
    if found.optuna.user_attrs.get(SPACE) != space_digest(space, found.config):
        return  # What has been queued may be out of its ranges.
    if CODE in found.optuna.user_attrs:
        found.optuna.set_user_attr(CODE, spaces.code_of(space))
    queued = [trial for trial in trials if FIXED in trial.system_attrs and REPEAT not in trial.user_attrs]
    waiting = [trial.system_attrs[FIXED] for trial in queued if trial.state != TrialState.FAIL]
    for trial in queued:
        if trial.user_attrs.get(RAISED) and (values := trial.system_attrs[FIXED]) not in waiting:
            found.optuna.enqueue_trial(values)
            waiting.append(values)


def check_code(found: LoadedStudy, space: Space, instead: str = INSTEAD) -> None:
    """Refuse to train with another version of a study's space: two nets would stand under one name.

    A study from before its code was stored is compared by ``space_digest`` alone.

    Args:
        found: The study.
        space: Its space, as it is here.
        instead: What else mends it than to bring the same files, for the message.

    Raises:
        InputError: It is another version.
    """
    there, here = found.optuna.user_attrs.get(CODE), spaces.code_of(space)
    if there in (None, here):
        return
    ours = found.config.space in spaces.REGISTERED
    how = f"{there} there, {here} here" if ours else "its code differs, in build perhaps"
    raise _other_version(found.config, how, instead)


def check_space(found: LoadedStudy, space: Space) -> None:
    """Refuse to join a study with another version of its space, by what it does and by its code.

    Raises:
        InputError: The space of this name does something else here.
    """
    if found.optuna.user_attrs.get(SPACE) not in (None, space_digest(space, found.config)):
        raise _other_version(found.config, "its ranges, costs or recipe differ")
    check_code(found, space)


def _other_version(config: StudyConfig, how: str, instead: str = INSTEAD) -> InputError:
    ours = config.space in spaces.REGISTERED
    return InputError(
        f"space {config.space}: study {config.study} was made with another version of it ({how}); "
        f"{'go on with the version of this program that made it' if ours else 'bring the same files here'}{instead}"
    )


def _ranges(trial: optuna.Trial) -> list[str]:
    return sorted(f"{name} {distribution}" for name, distribution in trial.distributions.items())


def _rounded(value: Any) -> Any:
    """Round floats to six digits, for the last digits of a logarithm differ between platforms."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value
