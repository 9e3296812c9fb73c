"""The section on how to repeat a study: its commands, its versions and seeds, every scoring of the test images."""

import math
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import spaces
from search.config.study_config import StudyConfig
from search.data.examples import FILE as EXAMPLES
from search.errors import SpaceFailed
from search.exporting.folder import default_folder
from search.exporting.formats import FORMATS
from search.formatting import EIGHTH, count, flops, often, plain_value
from search.metrics.baselines import NAMES
from search.metrics.preference import ACCURATE
from search.reporting.elements import Block, Cell, Code, Heading, Rows, Section, Table, Text
from search.reporting.export_reader import ExportReader
from search.reporting.facts import Facts
from search.reporting.formatting import DASH
from search.study.flags import flags_of
from search.study.proposal import own_configurations
from storage.paths import StudyPaths
from storage.url import default_url

# Shown of the configurations that a user had tried first.
MOST_TRIED = 5
# Columns after which a command goes on in a new line.
WIDTH = 60


def repeat_section(facts: Facts) -> Section:
    """Commands, versions, seeds, and every scoring of the test images."""
    blocks: list[Block] = []
    if facts.config.data == "arrays":
        blocks.append(
            Text(
                "The images came as arrays from a notebook: pass the same to run_study; all else as in the command.",
                "note",
            )
        )
    if facts.loaded.url != default_url(facts.loaded.paths.root):
        blocks.append(
            Text("The study lies in a database of its own: name one by --storage or SEARCH_STORAGE.", "note")
        )
    blocks += [Code(label, text) for label, text in commands(facts).items()]
    if others := _runs_of_the_product(facts):
        blocks.append(
            Text(
                "The sweep was asked for by several commands, which did not combine all of its values with each "
                f"other. This one does: it makes {count(others, 'run')} more than there are here.",
                "note",
            )
        )
    final, planned = facts.loaded.final, facts.config.final
    if facts.exported is not None and final != planned:
        longer = "its images are few, or a budget or a time had so much left for it"
        why = longer if final > planned else "--timeout left no time for more"
        blocks.append(
            Text(
                f"The final training took {flops(final)}, since {why}. An export of this study takes as much again; in "
                f"a study made anew it is planned anew, from {flops(planned)}, where --final is left out.",
                "note",
            )
        )
    for number, values in enumerate(_tried(facts), start=1):
        lines = "\n".join(f"{name} = {_toml(value)}" for name, value in values.items())
        blocks.append(Code(f"try-{number}.toml, a configuration that was tried on request", lines))
    blocks.append(
        Text(
            "On a CPU a trial has the same curve again, given the same versions and the same number of threads; the "
            "order of trials, and so what is sampled, also depends on the number of workers.",
            "note",
        )
    )
    blocks += [_versions(facts), Heading("Scorings of the test images"), *_scorings(facts)]
    return Section("repeat", "How to repeat it", blocks)


def commands(facts: Facts) -> dict[str, str]:
    """The command lines that make the study, its export, and this report, by what each does."""
    config, place = facts.config, _place_flags(facts.loaded.paths)
    words = {"The search" if facts.sweep is None else "The sweep": _search(facts)}
    export: list[str] = []
    if facts.exported is not None:
        words["The export, which scores the test images"] = _export(facts.exported, config)
        if facts.exported.folder != default_folder(config.study):
            export = ["--export", str(facts.exported.folder)]
    words["This report"] = ["report", "--study", config.study, *export]
    return {label: _lines([*command, *place]) for label, command in words.items()}


def _search(facts: Facts) -> list[str]:
    config = facts.config
    if facts.sweep is None:
        tried = [part for number in range(len(_tried(facts))) for part in ("--try", f"try-{number + 1}.toml")]
        trials = str(facts.requested_trials or max(1, len(facts.trials)))
        settings = flags_of(config)
        return ["run", "--study", config.study, "--trials", trials, *settings, *tried, "--no-export"]
    words, base = ["sweep", "--study", config.study], facts.sweep["base"]
    words += ["--base", str(base)] if base else ["--space", config.space]
    for name, values in facts.sweep["vary"].items():
        words += ["--vary", f"{name}={','.join(map(str, values))}"]
    return [*words, "--repeat", str(facts.sweep["repeat"]), *flags_of(config, sweep=True)]


def _runs_of_the_product(facts: Facts) -> int:
    """How many runs the one command of a sweep makes that the sweep has not: 0 where it is all combinations."""
    if facts.sweep is None or facts.requested_trials is None:
        return 0
    cells = math.prod(len(values) for values in facts.sweep["vary"].values()) - len(facts.sweep["left_out"])
    return max(0, cells * int(facts.sweep["repeat"]) - facts.requested_trials)


def _export(exported: ExportReader, config: StudyConfig) -> list[str]:
    summary = exported.summary
    words = ["export", "--study", config.study]
    if summary.get("confirm"):
        left_out = ",".join(map(str, summary.get("without", ())))
        words += ["--confirm", *(["--without", left_out] if left_out else [])]
        words += ["--prefer", summary["prefer"]] if summary.get("prefer", ACCURATE) != ACCURATE else []
    else:
        words += ["--trial", str(summary["trial"])]
    tuned = (summary.get("backbone") or {}).get("fine_tuned")
    words += ["--fine-tune", str(tuned["epochs"])] if tuned else []
    if config.length and not summary.get("refit"):
        words += ["--no-refit"]
    if summary.get("refit"):
        words += ["--refit"]
        if summary.get("unit") != EIGHTH:  # Else it has the compute of the study's own final training.
            words += ["--refit-epochs", str(summary.get("epochs", config.epochs))]
    formats = [name for name, form in FORMATS.items() if (exported.folder / form.file).exists()]
    # Over a backbone one name gives two baselines, the second on its features.
    baselines = [name for name in NAMES if name in summary.get("baselines", {})]
    for flag, names in (("--format", formats), ("--baseline", baselines)):
        words += [flag, ",".join(names)] if names else []
    words += ["--calibrated"] if summary.get("calibrated") else []
    words += ["--with-examples"] if (exported.folder / EXAMPLES).exists() else []
    if exported.folder != default_folder(config.study):
        words += ["--out", str(exported.folder)]
    return words


def _lines(words: list[str]) -> str:
    """A command over several lines, with each flag on the line of its value."""
    lines = [f"python -m search.{words[0]}"]
    for word in words[1:]:
        quoted = shlex.quote(word)
        if word.startswith("--") and len(lines[-1]) > WIDTH:
            lines.append(f"  {quoted}")
        else:
            lines[-1] += f" {quoted}"
    return " \\\n".join(lines)


def _place_flags(paths: StudyPaths) -> list[str]:
    return [] if paths.root == Path("studies") else ["--studies", str(paths.root)]


def _tried(facts: Facts) -> list[Mapping[str, Any]]:
    """The configurations that a user had tried first; those that the space itself names are tried anyway."""
    if facts.sweep is not None:
        return []
    try:
        own = own_configurations(spaces.load(facts.config.space), facts.config)
    except (ValueError, SpaceFailed):  # A user's own space may not be here, and may raise anything.
        own = []
    tried = [trial.system_attrs.get("fixed_params") for trial in facts.frozen]
    return [values for values in tried if values and values not in own][:MOST_TRIED]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _versions(facts: Facts) -> Table:
    """Versions, device and seeds of the study when it was begun, of the trial, and of the export."""
    trial = facts.subject
    exported = facts.summary
    recorded: Mapping[str, Any] = {} if trial is None else trial.recorded
    begun, trained = facts.versions, recorded.get("versions") or {}
    of_export = exported.get("versions") or {}

    def row(what: str, of_study: Any, key: str) -> list[Cell]:
        return [what, str(of_study), str(recorded.get(key, DASH)), str(exported.get(key, DASH))]

    rows: Rows = [
        *(
            [name, begun.get(name, DASH), trained.get(name, DASH), of_export.get(name, DASH)]
            for name in dict.fromkeys([*begun, *trained, *of_export])
        ),
        row("backend", facts.attributes.get("backend", DASH), "backend"),
        row("device", DASH, "device"),
        row("CPU threads", DASH, "threads"),
        row("seed", facts.config.seed, "seed"),
        ["digest of the space", str(facts.attributes.get("space_digest", DASH)), DASH, DASH],
    ]
    which = f"trial {trial.number}" if trial is not None else "best trial"
    head = ["what", "study, when begun", which, "export"]
    return Table("Versions and seeds", head, rows, text_columns=(1, 2, 3))


def _why(entry: Mapping[str, Any]) -> str:
    """What a scoring was for, with the trials that somebody had left out of the choice."""
    left_out = ", ".join(map(str, entry.get("without", ())))
    return f"{entry.get('why', DASH)}{f', without trial {left_out}' if left_out else ''}"


def _scorings(facts: Facts) -> list[Block]:
    others = facts.scored_by_others
    by_others = f" Other studies of the same images have scored them {often(others)}." if others else ""
    if not facts.scorings:
        return [Text(f"The test images have never been scored in this study.{by_others}")]
    rows: Rows = [
        [
            number,
            plain_value(entry.get("trial", DASH)),
            _why(entry),
            f"{datetime.fromtimestamp(float(entry['time']), UTC):%Y-%m-%d %H:%M} UTC"
            if "time" in entry
            else DASH,
        ]
        for number, entry in enumerate(facts.scorings, start=1)
    ]
    text = f"The test images have been scored {often(len(rows))} in this study.{by_others}"
    if len(rows) + others > 1:
        text += " The more often somebody looks at them and chooses, the less their figures are worth."
    head = ["scoring", "trial", "for", "when"]
    return [Text(text), Table("Every scoring of the test images", head, rows, text_columns=(2, 3))]
