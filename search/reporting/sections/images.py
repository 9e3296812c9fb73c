"""The section on data: images of each class, samples, how files became pixels, duplicates. No test image is opened."""

from collections.abc import Mapping
from typing import Any

from search.exporting.writers import trained_on
from search.formatting import count
from search.plotting.image_grid import write_samples
from search.reporting.elements import Block, Picture, Section, Table, Text
from search.reporting.facts import Facts
from search.reporting.formatting import DASH
from search.reporting.pictures import drawn, png_picture

# With more classes the picture of samples would be most of the file.
MOST_SAMPLES = 200
# A longer table of classes is collapsed.
MOST_OPEN = 21


def images_section(facts: Facts) -> Section:
    """The classes and samples of the data."""
    config = facts.config
    validated = "validation images are drawn first and stay the same"
    if config.folds:
        validated = f"each training image is validated on in one of {config.folds} folds"
    if config.validation_images:
        validated = "validation images are the data's own part"
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
        notes = [note.removeprefix("warning: ") for note in facts.dataset.duplicate_notes()]
        blocks += [Text(f"{note[0].upper()}{note[1:]}.", "warning") for note in notes] or [
            Text("No image is there twice, as far as was looked for.")
        ]
    blocks.append(_preparation(facts))
    return Section("data", "Data", blocks)


def _samples(facts: Facts) -> Picture | None:
    classes, dataset = facts.config.classes, facts.dataset
    names = f"{', '.join(classes[:30])}{' and others' if len(classes) > 30 else ''}"
    data = None if facts.exported is None else facts.exported.picture("samples.png")
    if data is None and facts.counts and dataset is not None and len(classes) <= MOST_SAMPLES:
        chosen = trained_on(dataset, facts.config, refit=facts.config.folds > 0)
        data = drawn(lambda path: write_samples(path, dataset, chosen, classes))
    caption = "One training image of each class"
    return png_picture(data, f"{caption}: {names}.", caption)


def _counts(facts: Facts) -> Table:
    counts = facts.counts
    splits = [split for split in ("training", "validation", "race", "test") if split in counts]
    rows = [
        [name, *(f"{counts[split][index]:,}" for split in splits)]
        for index, name in enumerate(facts.config.classes)
    ]
    rows.append(["together", *(f"{sum(counts[split]):,}" for split in splits)])
    where = f" in one of {facts.config.folds} folds" if facts.config.folds else ""
    caption = f"Images of each class{where}" if splits else "Classes"
    return Table(caption, ["class", *splits], rows, collapsed=len(rows) > MOST_OPEN)


def _preparation(facts: Facts) -> Table:
    config = facts.config
    preprocessing: Mapping[str, Any] = {} if facts.dataset is None else facts.dataset.preprocessing
    size = f"{config.image_size} pixels, {config.resize}" if config.image_size else "not resized"
    stratified = "stratified as far as whole groups allow" if config.groups else "stratified"
    validation = f"{100 * config.validation:g} % of the training images, {stratified}"
    if config.folds:
        validation = f"in {config.folds} folds, {stratified}"
    if config.validation_images:
        validation = f"the {config.validation_images:,} images of the data's own validation part, as it is"
    rows = [
        ["source", config.data],
        ["fingerprint of pixels, labels and names", config.fingerprint],
        ["resized to", size],
        ["validation", validation],
        ["training images of a trial", f"{config.images:,}, stratified" if config.images else "all others"],
        *([["never split", f"groups by {config.groups}"]] if config.groups else []),
        ["mirrored in training", "yes" if config.flip else "no"],
        ["class weights", config.class_weights],
    ]
    rows += [
        [name.replace("_", " "), _words(value)]
        for name, value in preprocessing.items()
        if name not in ("height", "width", "channels", "resize")
    ]
    return Table(
        "How files became pixels, and which images trials use", ["what", "how"], rows, text_columns=(1,)
    )


def _words(value: Any) -> str:
    """A setting of the preparation in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " to ".join(map(str, value))
    return DASH if value is None else str(value)
