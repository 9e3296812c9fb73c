"""What is asked of a study after ``chaos.py``, and which of its promises a run did not keep."""

import contextlib
import itertools
import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import optuna
from chaos_faults import Monkey
from chaos_processes import NO_ROOM, marked

import spaces
from search.execution.planning import plan_training
from search.exporting.weights import find_weights
from search.process import backends
from search.study.proposal import recipe_of
from search.study.study import LoadedStudy
from storage.claims import INTERRUPTIONS
from storage.process_identity import hostname

# A child that hangs has ten seconds to end (``fork_server_main.ENDING_SECONDS``), and is killed then.
ENDING_SECONDS = 20.0
KEPT = 3
# How many curves of interrupted trials are trained again, undisturbed.
CURVES = 10
# What stands in the output of a process that did not foresee how it ended.
FAULTS = ("Traceback (most recent call last)", "a fault of this program")


def account(monkey: Monkey, epochs: int, numpy_training: bool) -> dict[str, Any]:
    """What the study, its files, its logs and its processes say once the command has ended."""
    study, command, place = monkey.study, monkey.command, monkey.place
    processes = processes_left(monkey.mark)
    others = [name for name in monkey.others if monkey.delete(name) and _is_there(study, name)]
    trials = study.optuna.get_trials(deepcopy=False)
    finished = [trial for trial in trials if trial.state.name in ("COMPLETE", "PRUNED")]
    lost = Counter[str]()
    for trial in trials:
        text = study.paths.log(trial.number).read_text(errors="replace")
        printed = [int(epoch) for epoch in re.findall(r"^epoch (\d+):", text, re.MULTILINE)]
        lost.update(epochs_lost(printed, monkey.excused[trial.number]))
    ranked = study.ranked()
    left = [path.name for path, _, _ in study.paths.trial_files()]
    return {
        "finished": len(finished),
        "states": dict(Counter(trial.state.name for trial in trials)),
        "distinct": len({json.dumps(trial.params, sort_keys=True) for trial in finished}),
        "whole": sum(sorted(trial.intermediate_values) == [*range(1, epochs + 1)] for trial in finished),
        "faults": dict(monkey.done),
        "interruptions": sum(trial.system_attrs.get(INTERRUPTIONS, 0) for trial in trials),
        "starts": command.starts,
        **{name: lost[name] for name in ("redone", "begun_again", "beyond")},
        "other_curves": other_curves(study, trials) if numpy_training else [],
        "unexpected_ends": command.unexpected,
        "said": faults_said(monkey),
        "export": export_of(monkey),
        "processes_left": processes,
        "others_left": others,
        "checkpoints_left": sum(name.endswith(".npz") for name in left),
        "weights_left": sum(name.endswith(".keras") for name in left),
        "best_is_kept": bool(ranked) and find_weights(study, ranked[0]) is not None,
        "temporary_left": temporary_left(monkey),
        "small_disk": place.small,
    }


def epochs_lost(printed: Sequence[int], excused: int) -> dict[str, int]:
    """How many epochs a trial trained again, by the numbers of the epochs in its log.

    A number that is no larger than the one before it begins what an interruption has cost: ``1 2 3 3 4`` costs one
    epoch, ``1 2 3 2 3`` two.

    Args:
        printed: The numbers, in order.
        excused: For how many of the interruptions there may be a larger cost: those that tore the checkpoint.

    Returns:
        ``redone``: epochs trained again; ``begun_again``: how many of these in the interruptions that are excused;
        ``beyond``: how many of the rest are more than one an interruption.
    """
    costs = sorted(
        (before - after + 1 for before, after in itertools.pairwise(printed) if after <= before),
        reverse=True,
    )
    repeated = len(printed) - len(set(printed))
    # Where two children of a trial print at once, for the worker of one is stopped, steps back are no repetitions.
    beyond = min(sum(cost - 1 for cost in costs[excused:]), max(0, repeated - len(costs)))
    again = sum(cost for cost in costs[:excused] if cost > 1)
    return {"redone": repeated, "begun_again": min(again, repeated), "beyond": beyond}


def other_curves(study: LoadedStudy, trials: Sequence[optuna.trial.FrozenTrial]) -> list[int]:
    """The most interrupted trials that, trained once more and undisturbed, come out otherwise."""
    with patch.object(backends, "use_threads", backends.use_threads):  # For good, it would do without.
        from numpy_training import train

    config = study.config
    space = spaces.load(config.space)
    most = sorted(trials, key=lambda trial: -trial.system_attrs.get(INTERRUPTIONS, 0))[:CURVES]
    found = []
    for trial in most:
        if trial.state.name != "COMPLETE":
            continue
        params = trial.user_attrs["params"]
        recipe = recipe_of(space, params, config.input_spec)
        plan = plan_training(study, trial.number, params, recipe, trial.user_attrs["flops"])
        channel = _Undisturbed(plan.value_name)
        with patch("builtins.print"):
            train(plan.to_payload(), channel)
        if channel.values != trial.intermediate_values:
            found.append(trial.number)
    return found


class _Undisturbed:
    """A worker's end that always says to go on, and keeps the values."""

    stopped = False

    def __init__(self, name: str) -> None:
        self.values: dict[int, float] = {}
        self._name = name

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self.values[message["epoch"]] = message[self._name]
        return {"go": True}

    def pulse(self, **facts: Any) -> None:
        pass

    def send(self, message: dict[str, Any]) -> None:
        pass


def processes_left(mark: str) -> dict[str, int]:
    """The processes of a run that live on after it, by what they are; they are ended."""
    over = time.monotonic() + ENDING_SECONDS
    while (left := marked(mark)) and time.monotonic() < over:
        time.sleep(0.2)
    counted = {role: len(pids) for role, pids in left.items()}
    for pids in left.values():
        for pid in pids:
            _kill(pid)
    return counted


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def faults_said(monkey: Monkey) -> list[str]:
    """The last lines of the commands and workers that printed a traceback, or owned to a fault."""
    logs = [*monkey.place.folder.glob("*.log"), *(monkey.study.paths.folder / "logs").glob("*.log")]
    said = []
    for path in sorted(logs):
        text = path.read_text(errors="replace")
        if any(words in text for words in FAULTS):
            name = path.name.replace(hostname(), "HOST")  # The table is published.
            said.append(f"{name}: {text.strip().splitlines()[-1][:300]}")
    return said


def export_of(monkey: Monkey) -> str:
    """How the export that was made meanwhile ended: empty if well, or there was none."""
    if monkey.export is None or monkey.export.returncode == 0:
        return ""
    last = (monkey.place.folder / "export.log").read_text(errors="replace").strip().splitlines()[-1:]
    words = (last or ["nothing"])[0]
    return (
        "" if monkey.done["full disk"] and NO_ROOM in words else f"status {monkey.export.returncode}: {words}"
    )


def temporary_left(monkey: Monkey) -> list[str]:
    """Files that were to be renamed or removed: in the study's folder, and in that for temporary files."""
    paths = monkey.study.paths
    hidden = [
        str(path.relative_to(paths.folder)) for path in paths.folder.rglob(".*") if path != paths.marker
    ]
    left = sorted(path.name for path in monkey.place.temporary.iterdir())
    # Nobody is left to remove the folder of a fork server that was killed, as its owner was: at once, or one by one.
    orphans = [name for name in left if name.startswith("search-")]
    excused = orphans[: monkey.done["kill all"] + monkey.done["kill command"]]
    # Nor is a worker that was killed while its trial's pictures were drawn.
    killed = monkey.done["kill worker"] + monkey.done["kill all"]
    excused += [name for name in left if name.startswith("tmp")][:killed]
    return hidden + [name for name in left if name not in excused]


def failures(row: dict[str, Any], trials: int, epochs: int) -> list[str]:
    """Which promises a run did not keep, each in words."""
    wrong = {
        "nothing was done to it": not row["faults"],
        f"{row['finished']} finished, not {trials}": row["finished"] != trials,
        f"{row['distinct']} distinct configurations": row["distinct"] != trials,
        f"{row['whole']} trials with all their {epochs} reports": row["whole"] != trials,
        f"trials in other states: {row['states']}": bool(set(row["states"]) - {"COMPLETE", "PRUNED"}),
        f"{row['beyond']} epochs redone beyond one an interruption": row["beyond"] > 0,
        f"other curves than undisturbed: trials {row['other_curves']}": bool(row["other_curves"]),
        f"the command ended by itself: {row['unexpected_ends']}": bool(row["unexpected_ends"]),
        f"a fault of the program: {row['said']}": bool(row["said"]),
        f"the export failed: {row['export']}": bool(row["export"]),
        f"processes left behind: {row['processes_left']}": bool(row["processes_left"]),
        f"studies not deleted: {row['others_left']}": bool(row["others_left"]),
        f"{row['checkpoints_left']} checkpoints left behind": row["checkpoints_left"] > 0,
        f"temporary files left behind: {row['temporary_left']}": bool(row["temporary_left"]),
        f"weights kept of {row['weights_left']} trials": row["weights_left"] > KEPT,
        "the best trial's weights are gone": not row["best_is_kept"],
    }
    return [words for words, is_so in wrong.items() if is_so]


def _is_there(study: LoadedStudy, name: str) -> bool:
    named = optuna.get_all_study_names(study.storage)
    return name in named or (study.paths.root / name).exists()
