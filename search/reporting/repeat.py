"""How to repeat a study: its versions and seeds, and the exact commands."""

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import spaces
from search.config import StudyConfig
from search.evaluation.baseline import NAMES
from search.evaluation.formats import FORMATS
from search.reporting.blocks import Block, Code, Heading, Rows, Section, Table, Text
from search.reporting.exported import Exported
from search.reporting.figures import NONE, count, plain
from search.reporting.study import Facts
from storage.paths import StudyPaths
from storage.url import default_url

# Of a study's settings, in the order of the command's help; what is None, or the default of a switch, is left out.
FLAGS = (
    ("data", "--data"), ("space", "--space"), ("epochs", "--epochs"), ("images", "--images"),
    ("validation", "--validation"), ("test", "--test"), ("image_size", "--image-size"), ("resize", "--resize"),
    ("seed", "--seed"), ("metric", "--metric"), ("class_weights", "--class-weights"),
    ("early_stopping", "--early-stopping"), ("sampler", "--sampler"), ("pruner", "--pruner"),
    ("max_parameters", "--max-parameters"), ("folds", "--folds"),
)  # fmt: skip
OF_A_SEARCH_ALONE = {
    "--test",
    "--resize",
    "--metric",
    "--class-weights",
    "--early-stopping",
    "--sampler",
    "--pruner",
    "--folds",
}
MOST_TRIED = 5
WIDTH = 60


def repeat_section(facts: Facts) -> Section:
    """Commands, versions, seeds, and every look at the test images."""
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
    for number, values in enumerate(_tried(facts), start=1):
        lines = "\n".join(f"{name} = {_toml(value)}" for name, value in values.items())
        blocks.append(Code(f"try-{number}.toml, a configuration that was asked for", lines))
    blocks.append(
        Text(
            "On a CPU a trial has the same curve again, given the same versions and the same number of threads; the "
            "order of trials, and so what is sampled, also depends on the number of workers.",
            "note",
        )
    )
    blocks += [_versions(facts), Heading("Looks at the test images"), *_scorings(facts)]
    return Section("repeat", "How to repeat it", blocks)


def commands(facts: Facts) -> dict[str, str]:
    """The command lines that make the study, its export, and this report, by what each does."""
    config, places = facts.config, _places(facts.loaded.paths)
    made = {"The search" if facts.sweep is None else "The sweep": _search(facts)}
    elsewhere: list[str] = []
    if facts.exported is not None:
        made["The export, which scores the test images"] = _export(facts.exported, config)
        if facts.exported.folder != Path("exports") / config.study:
            elsewhere = ["--export", str(facts.exported.folder)]
    made["This report"] = ["search.report", "--study", config.study, *elsewhere]
    return {label: _lines([*words, *places]) for label, words in made.items()}


def _search(facts: Facts) -> list[str]:
    config = facts.config
    if facts.sweep is None:
        tried = [part for number in range(len(_tried(facts))) for part in ("--try", f"try-{number + 1}.toml")]
        wanted = str(facts.wanted or max(1, len(facts.trials)))
        settings = _settings(config, sweep=False)
        return ["search.run", "--study", config.study, "--trials", wanted, *settings, *tried, "--no-export"]
    said, base = ["search.sweep", "--study", config.study], facts.sweep["base"]
    said += ["--base", str(base)] if base else ["--space", config.space]
    for name, values in facts.sweep["vary"].items():
        said += ["--vary", f"{name}={','.join(map(str, values))}"]
    return [*said, "--repeat", str(facts.sweep["repeat"]), *_settings(config, sweep=True)]


def _export(exported: Exported, config: StudyConfig) -> list[str]:
    summary = exported.summary
    said = ["search.export", "--study", config.study]
    said += ["--confirm"] if summary.get("confirm") else ["--trial", str(summary["trial"])]
    tuned = (summary.get("backbone") or {}).get("fine_tuned")
    said += ["--fine-tune", str(tuned["epochs"])] if tuned else []
    if summary.get("refit"):
        said += ["--refit", "--refit-epochs", str(summary.get("epochs", config.epochs))]
    formats = [name for name, kind in FORMATS.items() if (exported.folder / kind.file).exists()]
    # Over a backbone one name gives two baselines, the second on its features.
    baselines = [name for name in NAMES if name in summary.get("baselines", {})]
    for flag, names in (("--format", formats), ("--baseline", baselines)):
        said += [flag, ",".join(names)] if names else []
    here = exported.folder == Path("exports") / config.study
    return said if here else [*said, "--out", str(exported.folder)]


def _lines(words: list[str]) -> str:
    """One command over several lines, a flag and its value never apart."""
    lines = [f"python -m {words[0]}"]
    for word in words[1:]:
        quoted = shlex.quote(word)
        if word.startswith("--") and len(lines[-1]) > WIDTH:
            lines.append(f"  {quoted}")
        else:
            lines[-1] += f" {quoted}"
    return " \\\n".join(lines)


def _settings(config: StudyConfig, *, sweep: bool) -> list[str]:
    said: list[str] = []
    for name, flag in FLAGS:
        value = getattr(config, name)
        # A sweep's own are fixed, and its space is its base's.
        fixed = sweep and (flag in OF_A_SEARCH_ALONE or flag == "--space")
        # Folds take the place of a part held out, and arrays have no name.
        unsaid = (config.folds and flag == "--validation") or (flag, value) == ("--data", "arrays")
        if value is None or fixed or unsaid or (flag == "--folds" and not value):
            continue
        said += [flag, str(value)]
    for backbone in config.backbones:
        said += ["--backbone", backbone.said]
    return [*said, "--flip" if config.flip else "--no-flip", "--max-cost", str(config.max_flops)]


def _places(paths: StudyPaths) -> list[str]:
    return [] if paths.root == Path("studies") else ["--studies", str(paths.root)]


def _tried(facts: Facts) -> list[Mapping[str, Any]]:
    """Configurations that a user had tried first; those of the space itself are tried anyway."""
    if facts.sweep is not None:
        return []
    try:
        space = spaces.load(facts.config.space)
        own = space.first(facts.config.input_spec) if hasattr(space, "first") else []
    except Exception:  # A user's own space may not be here, and of one anything may come.
        own = []
    asked = [trial.system_attrs.get("fixed_params") for trial in facts.frozen]
    return [values for values in asked if values and values not in own][:MOST_TRIED]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return (
        str(value)
        if isinstance(value, int | float)
        else '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    )


def _versions(facts: Facts) -> Table:
    trial, config = facts.shown, facts.config
    exported: Mapping[str, Any] = {} if facts.exported is None else facts.exported.summary
    begun, trained = facts.versions, (trial.said.get("versions") or {}) if trial is not None else {}
    of_export = exported.get("versions") or {}
    rows: Rows = [
        [name, begun.get(name, NONE), trained.get(name, NONE), of_export.get(name, NONE)]
        for name in dict.fromkeys([*begun, *trained, *of_export])
    ]
    said = trial.said if trial is not None else {}
    rows.append(
        [
            "backend",
            str(facts.attributes.get("backend", NONE)),
            str(said.get("backend", NONE)),
            str(exported.get("backend", NONE)),
        ]
    )
    rows.append(["device", NONE, str(said.get("device", NONE)), str(exported.get("device", NONE))])
    rows.append(["CPU threads", NONE, str(said.get("threads", NONE)), str(exported.get("threads", NONE))])
    rows.append(["seed", str(config.seed), str(said.get("seed", NONE)), str(exported.get("seed", NONE))])
    rows.append(["digest of the space", str(facts.attributes.get("space_digest", NONE)), NONE, NONE])
    which = f"trial {trial.number}" if trial is not None else "best trial"
    return Table("Versions and seeds", ["what", "study, when begun", which, "export"], rows, words=(1, 2, 3))


def _scorings(facts: Facts) -> list[Block]:
    if not facts.scorings:
        return [Text("The test images have never been scored in this study.")]
    rows: Rows = [
        [
            number,
            plain(entry.get("trial", NONE)),
            str(entry.get("why", NONE)),
            f"{datetime.fromtimestamp(float(entry['time']), UTC):%Y-%m-%d %H:%M} UTC"
            if "time" in entry
            else NONE,
        ]
        for number, entry in enumerate(facts.scorings, start=1)
    ]
    said = f"The test images have been scored {count(len(rows), 'time')} in this study."
    if len(rows) > 1:
        said += " The more often somebody looks and chooses, the less their figures are worth."
    return [
        Text(said),
        Table("Every scoring of the test images", ["scoring", "trial", "for", "when"], rows, words=(2, 3)),
    ]
