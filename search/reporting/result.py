"""The report's first part: the best configuration, its figures with intervals, validation beside test."""

from collections.abc import Mapping
from typing import Any

from search.evaluation.fold_words import validated_images
from search.evaluation.words import ledger
from search.folds import at_kept_epoch
from search.reporting.blocks import Block, Section, Table, Text, Tiles
from search.reporting.figures import (
    NONE,
    RESAMPLES,
    count,
    decimal,
    fraction,
    interval,
    interval_of_test,
    large,
    macro_f1_interval,
    of_count,
    plain,
    scored,
)
from search.reporting.study import Facts, Trial

OPTIMISTIC = (
    "Validation images chose this trial among {trials}, so their figures are too good by as much as luck had a part in "
    "that choice; the test images chose nothing."
)
RACED = (
    "A race chose this configuration by fresh trainings, scored on the same validation images: luck had less of a part "
    "in that than in the search; the test images chose nothing."
)


def result_section(facts: Facts, why_none: str) -> Section:
    """What the search came to.

    Args:
        facts: Of the study.
        why_none: Why there is no export; empty where there is one.
    """
    trial, metric = facts.shown, facts.config.metric
    blocks: list[Block] = [_tiles(facts)]
    if trial is None:
        blocks.append(Text("No trial has finished yet: there is no best configuration.", "note"))
        return Section("result", "Best configuration", blocks)
    if facts.exported is None:
        study = facts.config.study
        how = f"python -m search.export --study {study}"
        if facts.sweep is not None:  # Its own report lies where an export would.
            how += f" --out exports/{study}-best, then this report with --export exports/{study}-best"
        blocks.append(
            Text(f"No figure here is of test images: {why_none}. To have them scored: {how}", "warning")
        )
    else:
        summary = facts.exported.summary
        # How often they have been scored until now, not until then, is among the tiles.
        then = ledger(int(summary.get("times_test_scored", 0)))
        blocks += [Text(sentence) for sentence in summary.get("words", []) if sentence != then]
        best = facts.ranked[0] if facts.ranked else None
        if best is not None and best.number != trial.number and "confirm" not in summary:
            blocks.append(
                Text(
                    f"The export is of trial {trial.number}; by validation {metric}, trial {best.number} "
                    f"({scored(metric, best.value)}) is the best of the study now.",
                    "note",
                )
            )
    blocks += [_figures(facts, trial), *_notes(facts), _configuration(facts, trial)]
    return Section("result", "Best configuration", blocks)


def _tiles(facts: Facts) -> Tiles:
    trial = facts.shown
    tiles: list[tuple[str, str, str]] = []
    if facts.exported is not None:
        summary = facts.exported.summary
        low_high = interval(*interval_of_test(summary))
        images = summary["test_images"]
        tiles.append(
            ("Test accuracy", fraction(summary["test_accuracy"]), f"95 %: {low_high}, {images:,} images")
        )
    else:
        tiles.append(("Test accuracy", NONE, "not exported"))
    if trial is not None:
        tiles.append(_validation_tile(facts, trial))
    ended = {state: len(facts.of_state(state)) for state in ("finished", "pruned", "failed")}
    of = f" of {facts.wanted:,}" if facts.wanted else ""
    tiles.append(
        (
            "Trials",
            f"{ended['finished'] + ended['pruned']:,}{of}",
            f"{ended['finished']:,} finished, {ended['pruned']:,} pruned; {ended['failed']:,} failed",
        )
    )
    if trial is not None and "parameters" in trial.said:
        under = f"{large(float(trial.said.get('flops', 0)), 'FLOP')} an image"
        if facts.config.backbones:
            under = "of the head on a backbone"
        tiles.append(("Parameters", large(float(trial.said["parameters"]), "").strip(), under))
    tiles.append(
        ("Test images scored", count(len(facts.scorings), "time"), "in this study; each scoring is counted")
    )
    return Tiles(tiles)


def _validation_tile(facts: Facts, trial: Trial) -> tuple[str, str, str]:
    value, under = trial.value, f"trial {trial.number}, by which it was chosen"
    race = None if facts.exported is None else facts.exported.summary.get("confirm")
    if race:
        value = race["mean"]
        under = f"trial {trial.number}, mean of {count(race['rounds'], 'fresh training')}"
    return f"Validation {facts.config.metric}", scored(facts.config.metric, value), under


def _figures(facts: Facts, trial: Trial) -> Table:
    validation = _validation(facts, trial)
    images = validated_images(facts.frozen[trial.number]) or sum(facts.counts.get("validation", ()))
    test: Mapping[str, Any] = {}
    if facts.exported is not None:
        test, images = facts.exported.summary, facts.exported.summary["validation_images"]
    accuracy = validation["accuracy"]
    rows = [
        ["accuracy", fraction(accuracy)],
        ["accuracy, 95 % interval", of_count(accuracy, images)],
        ["macro F1", decimal(validation["macro_f1"])],
        ["macro F1, 95 % interval", NONE],
        ["cross-entropy", decimal(validation["loss"])],
    ]
    head = ["figure", f"validation ({images:,} images)" if images else "validation"]
    if test and facts.exported is not None:
        matrix = facts.exported.matrix()
        f1 = macro_f1_interval(matrix) if matrix else None
        head.append(f"test ({test['test_images']:,} images)")
        tested = [
            fraction(test["test_accuracy"]),
            interval(*interval_of_test(test)),
            decimal(test["macro_f1"]),
            f"{f1[0]:.4f} to {f1[1]:.4f}" if f1 else NONE,
            decimal(test["test_loss"]),
        ]
        rows = [[*row, figure] for row, figure in zip(rows, tested, strict=True)]
    return Table("Figures on validation and test images", head, rows)


def _notes(facts: Facts) -> list[Text]:
    raced = facts.exported is not None and "confirm" in facts.exported.summary
    chosen = RACED if raced else OPTIMISTIC.format(trials=count(len(facts.ranked), "finished one"))
    said = [Text(chosen, "note")]
    said.append(
        Text(
            "Intervals of accuracies are Wilson's, that of macro F1 is a bootstrap over the test images "
            f"({RESAMPLES:,} draws); they say what other images of the same kind would do, not what another "
            "training would.",
            "note",
        )
    )
    if facts.exported is not None and (note := facts.exported.summary.get("validation_note")):
        said.insert(0, Text(f"{note[0].upper()}{note[1:]}.", "note"))
    return said


def _configuration(facts: Facts, trial: Trial) -> Table:
    of_export: Mapping[str, Any] = {} if facts.exported is None else facts.exported.summary
    said = {**trial.said, **{name: value for name, value in of_export.items() if value is not None}}
    rows: list[list[str]] = [
        [name, plain(value)] for name, value in (said.get("params") or trial.params).items()
    ]
    epochs = said.get("epochs")
    if epochs is not None:
        kept = said.get("kept_epoch")
        rows.append(["epochs trained", f"{epochs} (weights kept: epoch {kept})" if kept else str(epochs)])
    for name in ("batch_size", "seed", "threads", "device"):
        if said.get(name) is not None:
            rows.append([name.replace("_", " "), str(said[name])])
    images = said.get("train_images", said.get("training_images"))
    if images:
        rows.append(["training images", f"{images:,}"])
    if backbone := of_export.get("backbone"):
        rows.append(["parameters of the backbone", f"{backbone['parameters']:,} ({backbone['name']})"])
    what = f"trial {trial.number}"
    if facts.exported is not None and (how := facts.exported.trained_anew):
        what += f", {how}"
    return Table(f"Configuration: {what}", ["setting", "value"], rows, words=(1,))


def _validation(facts: Facts, trial: Trial) -> Mapping[str, float | None]:
    """Of the exported weights, or where those have seen these images or there are none, of the search trial's."""
    found: dict[str, float | None] = {}
    for name in ("accuracy", "macro_f1", "loss"):
        try:
            found[name] = at_kept_epoch(facts.frozen[trial.number], f"val_{name}")
        except (
            KeyError,
            IndexError,
            TypeError,
        ):  # Of an older study, or one that another program has written.
            found[name] = None
    if found[facts.config.metric] is None:
        found[facts.config.metric] = trial.value
    if facts.exported is not None:
        summary = facts.exported.summary
        if facts.exported.trained_anew and not summary.get("refit"):
            found["macro_f1"] = None  # Of this training nobody wrote it down.
        found |= {
            name: summary[f"validation_{name}"]
            for name in ("accuracy", "loss")
            if f"validation_{name}" in summary
        }
    return found
