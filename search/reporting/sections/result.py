"""The first section: the best configuration, and its figures with intervals, validation beside test."""

from collections.abc import Mapping
from typing import Any

from search.exporting.assessment import validated_images
from search.exporting.backbone import whole_parameters
from search.exporting.sentences import ledger_sentence, others_sentence
from search.formatting import count, metric_words, plain_value
from search.metrics.preference import ACCURATE
from search.reporting.elements import Block, Section, Table, Text
from search.reporting.facts import Facts
from search.reporting.formatting import (
    DASH,
    RESAMPLES,
    accuracy_interval,
    decimal_or_dash,
    interval_of_test,
    macro_f1_interval,
    macro_f1_of,
    metric_value,
    percent_interval,
    percent_or_dash,
)
from search.reporting.sections.tiles import tiles
from search.reporting.trial_facts import TrialFacts
from search.study.fold_results import at_kept_epoch

OPTIMISTIC = (
    "{what} chose this trial among {trials}, so their figures are too good by as much as luck had a part in that "
    "choice; the test images chose nothing."
)
NAMED = (
    "Somebody named this trial (--trial): where its validation figures had a part in that, luck had one, too; the test "
    "images chose nothing."
)
FIXED = (
    "This trial is the default configuration, fixed before the search: no luck of a choice among trials is in its "
    "validation figures, nor in those of the test images."
)
RACED = (
    "A race chose this configuration by fresh trainings, scored on {images}: luck had less of a part in that than in "
    "the search; the test images chose nothing."
)


def result_section(facts: Facts, why_no_export: str) -> Section:
    """What the search came to.

    Args:
        facts: What the report knows of the study.
        why_no_export: Why the study has no export; empty where it has one.
    """
    trial, metric = facts.subject, facts.config.metric
    blocks: list[Block] = [tiles(facts)]
    if trial is None:
        blocks.append(Text("No trial has finished yet: there is no best configuration.", "note"))
        return Section("result", "Best configuration", blocks)
    if facts.exported is None:
        study = facts.config.study
        how = f"python -m search.export --study {study}"
        if facts.sweep is not None:  # Its own report lies where an export would.
            how += f" --out exports/{study}-best, then this report with --export exports/{study}-best"
        blocks.append(
            Text(f"No figure here is of test images: {why_no_export}. To have them scored: {how}", "warning")
        )
    else:
        summary = facts.exported.summary
        # It says how often they had been scored then; among the tiles is how often they have been scored until now.
        outdated = (
            ledger_sentence(int(summary.get("times_test_scored", 0))),
            others_sentence(int(summary.get("times_scored_by_others", 0))),
        )
        words = summary.get("words", [])
        blocks += [Text(sentence) for sentence in words if sentence not in outdated]
        best = facts.ranked[0] if facts.ranked else None
        chosen = "confirm" in summary or summary.get("prefer", ACCURATE) != ACCURATE
        # Of the default configuration these words say why it is exported in the place of the best.
        chosen |= best is not None and best.number == facts.passed_over
        if best is not None and best.number != trial.number and not chosen:
            blocks.append(
                Text(
                    f"The export is of trial {trial.number}; by validation {metric}, trial {best.number} "
                    f"({metric_value(metric, best.value)}) is the best of the study now.",
                    "note",
                )
            )
    if facts.undecided and facts.undecided not in facts.summary.get("words", []):
        blocks.append(Text(facts.undecided, "warning"))
    blocks += [_figures(facts, trial), *_notes(facts), _configuration(facts, trial)]
    return Section("result", "Best configuration", blocks)


def _figures(facts: Facts, trial: TrialFacts) -> Table:
    validation = _validation(facts, trial)
    images = validated_images(facts.frozen[trial.number]) or sum(facts.counts.get("validation", ()))
    test: Mapping[str, Any] = {}
    if facts.exported is not None:
        test, images = facts.exported.summary, facts.exported.summary["validation_images"]
    accuracy = validation["accuracy"]
    rows = [
        ["accuracy", percent_or_dash(accuracy)],
        ["accuracy, 95 % interval", accuracy_interval(accuracy, images)],
        ["macro F1", decimal_or_dash(validation["macro_f1"])],
        ["macro F1, 95 % interval", DASH],
        ["cross-entropy", decimal_or_dash(validation["loss"])],
    ]
    metric = facts.config.metric
    other = metric not in ("accuracy", "macro_f1", "loss")
    if other:
        rows.append([metric_words(metric), metric_value(metric, validation[metric])])
    head = ["figure", f"validation ({images:,} images)" if images else "validation"]
    if test and facts.exported is not None:
        matrix = facts.exported.matrix()
        f1 = macro_f1_interval(matrix) if matrix else None
        head.append(f"test ({test['test_images']:,} images)")
        tested = [
            percent_or_dash(test["test_accuracy"]),
            percent_interval(*interval_of_test(test)),
            decimal_or_dash(macro_f1_of(matrix) if matrix else test["macro_f1"]),
            f"{f1[0]:.4f} to {f1[1]:.4f}" if f1 else DASH,
            decimal_or_dash(test["test_loss"]),
            *([metric_value(metric, test.get("test_value"))] if other else []),
        ]
        rows = [[*row, figure] for row, figure in zip(rows, tested, strict=True)]
    return Table("Figures on validation and test images", head, rows)


def _notes(facts: Facts) -> list[Text]:
    summary = facts.summary
    race = summary.get("confirm")
    # One against the default is on images, or folds, of its own.
    images = "images that chose no trial" if race and "default" in race else "the same validation images"
    cheaper = summary.get("prefer", ACCURATE) != ACCURATE
    what = "Validation images, and what trials cost," if cheaper else "Validation images"
    chosen = OPTIMISTIC.format(what=what, trials=count(len(facts.ranked), "finished one"))
    if summary.get("named"):
        chosen = NAMED
    elif race:
        chosen = RACED.format(images=images)
    elif facts.passed_over is not None:
        chosen = FIXED
    intervals = (
        f"Intervals of accuracies are Wilson's, that of macro F1 is a bootstrap over the test images ({RESAMPLES:,} "
        "draws); they say what other images of the same kind would do, not what another training would."
    )
    notes = [Text(chosen, "note"), Text(intervals, "note")]
    if note := summary.get("validation_note"):
        notes.insert(0, Text(f"{note[0].upper()}{note[1:]}.", "note"))
    return notes


def _configuration(facts: Facts, trial: TrialFacts) -> Table:
    known = facts.known
    rows: list[list[str]] = [
        [name, plain_value(value)] for name, value in (known.get("params") or trial.params).items()
    ]
    epochs = known.get("epochs")
    if epochs is not None:
        kept = known.get("kept_epoch")
        unit = known.get("unit") or facts.config.unit
        rows.append([f"{unit}s trained", f"{epochs} (weights kept: {unit} {kept})" if kept else str(epochs)])
    for name in ("batch_size", "seed", "threads", "device"):
        if known.get(name) is not None:
            rows.append([name.replace("_", " "), str(known[name])])
    images = known.get("train_images", known.get("training_images"))
    if images:
        rows.append(["training images", f"{images:,}"])
    if known.get("parameters"):
        rows.append(["parameters", _parameters(known)])
    what = f"trial {trial.number}"
    if facts.exported is not None and (how := facts.exported.how_trained):
        what += f", {how}"
    return Table(f"Configuration: {what}", ["setting", "value"], rows, text_columns=(1,))


def _parameters(known: Mapping[str, Any]) -> str:
    """Those of the whole net; over a backbone also how many of them are the backbone's and its head's."""
    whole, backbone = f"{whole_parameters(known):,}", known.get("backbone")
    if not backbone:
        return whole
    return f"{whole} ({backbone['parameters']:,} of {backbone['name']}, {known['parameters']:,} of its head)"


def _validation(facts: Facts, trial: TrialFacts) -> Mapping[str, float | None]:
    """Validation figures of the exported weights; of the search trial where those have seen these images.

    A figure that was not recorded is None.
    """
    figures: dict[str, float | None] = {}
    for name in ("accuracy", "macro_f1", "loss"):
        try:
            figures[name] = at_kept_epoch(facts.frozen[trial.number], f"val_{name}")
        # Of an older study, or of one that another program has written.
        except (KeyError, IndexError, TypeError):
            figures[name] = None
    if figures.get(facts.config.metric) is None:
        figures[facts.config.metric] = trial.value
    if facts.exported is not None:
        summary = facts.exported.summary
        if facts.exported.how_trained and not summary.get("refit"):
            # Of this training they are not recorded.
            figures |= dict.fromkeys({"macro_f1", facts.config.metric} - {"accuracy", "loss"}, None)
        names = {facts.config.metric: "value"} | {name: name for name in ("accuracy", "macro_f1", "loss")}
        figures |= {
            figure: summary[f"validation_{name}"]
            for figure, name in names.items()
            if f"validation_{name}" in summary
        }
    return figures
