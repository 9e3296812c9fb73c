"""Notes as optuna-dashboard keeps them, among the attributes of a study.

They are written here because optuna-dashboard's own function would cost every worker 90 MB.
"""

from optuna.storages import BaseStorage

# Of one attribute, as optuna-dashboard 0.21 has it (``optuna_dashboard._note``).
LONGEST = 2045


def write_note(storage: BaseStorage, study_id: int, text: str, trial_id: int | None = None) -> None:
    """Write or replace the note (Markdown) of a study, or of one of its trials.

    Args:
        storage: Of the study.
        study_id: Optuna's key of the study.
        text: The note.
        trial_id: Optuna's key of the trial; None for the study's own note.
    """
    prefix = _prefix(trial_id)
    before = storage.get_study_system_attrs(study_id)
    parts = [text[start : start + LONGEST] for start in range(0, len(text), LONGEST)]
    older = sum(name.startswith(f"{prefix}note_str:") for name in before)
    for place in range(max(len(parts), older)):
        part = parts[place] if place < len(parts) else ""
        if before.get(f"{prefix}note_str:{place}") != part:
            storage.set_study_system_attr(study_id, f"{prefix}note_str:{place}", part)
    storage.set_study_system_attr(study_id, f"{prefix}note_ver", int(before.get(f"{prefix}note_ver", 0)) + 1)


def read_note(storage: BaseStorage, study_id: int, trial_id: int | None = None) -> str:
    """The note as it stands; empty where there is none."""
    prefix = f"{_prefix(trial_id)}note_str:"
    attributes = storage.get_study_system_attrs(study_id)
    parts = {
        int(name.removeprefix(prefix)): text for name, text in attributes.items() if name.startswith(prefix)
    }
    return "".join(parts[place] for place in sorted(parts))


def _prefix(trial_id: int | None) -> str:
    return "dashboard:" if trial_id is None else f"dashboard:{trial_id}:"
