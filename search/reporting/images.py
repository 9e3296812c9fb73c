"""The images of a study: how many of each class, samples, how they became pixels, duplicates. No test image."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.data.duplicates import duplicates_note
from search.evaluation.pictures import write_samples
from search.evaluation.writers import trained_on
from search.reporting.blocks import Block, Picture, Section, Table, Text
from search.reporting.classes import picture_of
from search.reporting.figures import NONE, count
from search.reporting.study import Facts

MOST_SAMPLES = 200  # Classes; with more the picture would be most of the file.


def images_section(facts: Facts) -> Section:
    """Classes and samples of the data."""
    config = facts.config
    validated = "validation images are drawn first and stay the same"
    if config.folds:
        validated = f"each training image is validated on in one of {config.folds} folds"
    blocks: list[Block] = [
        Text(
            f"{count(len(config.classes), 'class', 'classes')}, images of {config.height} by {config.width} pixels in "
            f"{'colour' if config.channels == 3 else 'grey'}; {validated}, test images are for exports alone."
        )
    ]
    if picture := _samples(facts):
        blocks.append(picture)
    blocks.append(_counts(facts))
    if not facts.counts:
        blocks.append(
            Text(
                "The prepared images are not on this host: how they were divided cannot be counted here.",
                "note",
            )
        )
    if facts.dataset is not None and facts.dataset.duplicates:
        trained, tested = sum(facts.dataset.train_counts), sum(facts.dataset.test_counts)
        said = duplicates_note(facts.dataset.duplicates, trained, tested).removeprefix("warning: ")
        blocks.append(
            Text(f"{said[0].upper()}{said[1:]}.", "warning")
            if said
            else Text("No image is there twice, as far as was looked for.")
        )
    blocks.append(_preparation(facts))
    return Section("data", "Data", blocks)


def _samples(facts: Facts) -> Picture | None:
    classes = facts.config.classes
    alt = f"One training image of each class: {', '.join(classes[:30])}{' and others' if len(classes) > 30 else ''}."
    caption = "One training image of each class"
    data = None if facts.exported is None else facts.exported.picture("samples.png")
    if data is None and facts.counts and facts.dataset is not None and len(classes) <= MOST_SAMPLES:
        config = facts.config
        chosen = trained_on(facts.dataset, config, refit=config.folds > 0)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "samples.png"
            write_samples(path, facts.dataset, chosen, classes)
            data = path.read_bytes()
    return None if data is None else picture_of(data, alt, caption)


def _counts(facts: Facts) -> Table:
    counts = facts.counts
    names = [name for name in ("training", "validation", "test") if name in counts]
    rows: list[list[str]] = []
    for index, label in enumerate(facts.config.classes):
        rows.append([label, *(f"{counts[name][index]:,}" for name in names)])
    rows.append(["together", *(f"{sum(counts[name]):,}" for name in names)])
    return Table(
        "Images of each class" if names else "Classes", ["class", *names], rows, folded=len(rows) > 21
    )


def _preparation(facts: Facts) -> Table:
    config = facts.config
    said: Mapping[str, Any] = {} if facts.dataset is None else facts.dataset.preprocessing
    rows = [
        ["source", config.data],
        ["fingerprint of pixels, labels and names", config.fingerprint],
        [
            "resized to",
            f"{config.image_size} pixels, {config.resize}" if config.image_size else "not resized",
        ],
        [
            "validation",
            f"in {config.folds} stratified folds"
            if config.folds
            else f"{100 * config.validation:g} % of the training images, stratified",
        ],
        ["training images of a trial", f"{config.images:,}, stratified" if config.images else "all others"],
        ["mirrored in training", "yes" if config.flip else "no"],
        ["class weights", config.class_weights],
    ]
    rows += [
        [name.replace("_", " "), _words(value)]
        for name, value in said.items()
        if name not in ("height", "width", "channels", "resize")
    ]
    return Table("How files became pixels, and who saw them", ["what", "how"], rows, words=(1,))


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " to ".join(map(str, value))
    return NONE if value is None else str(value)
