"""What a study has come to where none of its trials is complete, and what can be done then."""

from collections import Counter
from typing import TYPE_CHECKING

from search.formatting import REFUSED
from search.study.study import LoadedStudy
from storage.claims import is_refused

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

DIVERGED = "diverged"


def why_none_complete(loaded: LoadedStudy) -> str:
    """Why no trial of a study can be ranked or exported, and what to do; empty where one can, or none has ended.

    Weights are kept of complete trials alone. So of a pruned trial there are none to export, but its configuration can
    be trained to its end by a refit.
    """
    ended = [trial for trial in loaded.optuna.get_trials(deepcopy=False) if trial.state.is_finished()]
    kinds = Counter(map(_kind, ended))
    if not ended or kinds["finished"]:
        return ""
    pruned = [trial for trial in ended if _kind(trial) == "pruned" and "history" in trial.user_attrs]
    counts = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    todo = []
    if kinds["diverged"]:
        todo.append(
            "a loss that became NaN or infinite wants a lower learning rate, so choose another --study name and a "
            "--space that samples lower ones"
        )
    if pruned:
        sign = 1 if loaded.config.direction == "minimize" else -1
        best = min(pruned, key=lambda trial: sign * trial.intermediate_values[max(trial.intermediate_values)])
        todo += [
            "a new study with --pruner none ends no trial early",
            f"{loaded.command('export', '--trial', str(best.number), '--refit')} trains the best pruned configuration "
            "to its end, and exports it",
        ]
    if kinds["failed"]:
        todo.append(f"why trials failed is in {loaded.paths.folder}")
    more = len(ended) - kinds["failed"] - kinds[REFUSED] + loaded.some_more
    todo.append(f"{loaded.command('run', '--trials', str(more))} searches on")
    return (
        f"study {loaded.config.study}: none of its {len(ended)} ended trials is complete ({counts}), so that there is "
        f"nothing to rank or to export; {'; '.join(todo)}"
    )


def _kind(trial: "FrozenTrial") -> str:
    if is_refused(trial):
        return REFUSED
    if trial.state.name == "PRUNED":
        return DIVERGED if str(trial.user_attrs.get("reason", "")).startswith(DIVERGED) else "pruned"
    return {"COMPLETE": "finished", "FAIL": "failed"}[trial.state.name]
