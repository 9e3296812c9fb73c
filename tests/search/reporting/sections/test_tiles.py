"""The tiles at the head of the report: the answers to what a user asks first."""

from typing import Any

import numpy as np
import pytest

from search.exporting.fallback import passed_over
from search.plotting.confusion_matrix import write_matrix_csv
from search.reporting.export_reader import ExportReader
from search.reporting.facts import Facts, read_facts
from search.reporting.sections.result import result_section
from search.reporting.sections.tiles import tiles

SUMMARY: dict[str, Any] = {
    "trial": 0, "test_accuracy": 0.9, "test_images": 100, "train_images": 300, "parameters": 20_000, "flops": 3e6,
    "milliseconds": 0.25, "device": "cpu", "fit": {"verdict": "fits"},
}  # fmt: skip


def answers(facts: Facts) -> dict[str, tuple[str, str]]:
    return {name: (value, under) for name, value, under in tiles(facts).tiles}


@pytest.fixture
def study(new_study):
    return new_study(["finished"] * 3)


def with_export(study, tmp_path, **more: Any) -> Facts:
    return read_facts(study, ExportReader(tmp_path, {**SUMMARY, **more}))


def test_first_tiles_say_how_good_how_sure_on_what_how_large_and_fast_and_what_to_do(study, tmp_path) -> None:
    found = answers(with_export(study, tmp_path))
    assert list(found)[:5] == [
        "How good",
        "How sure",
        "On what",
        "How large and fast",
        "What to do next",
    ]
    assert found["How good"] == ("90.0 %", "of 100 test images are classified right")
    assert found["How sure"][0] == "82.6 to 94.5 %"
    assert found["On what"] == ("digits", "10 classes, 8x8 pixels; trained on 300 images")
    assert found["How large and fast"] == (
        "20 k",
        "parameters, 3 MFLOP an image, 0.25 ms in batches (cpu)",
    )
    assert found["What to do next"] == ("Try it", f"python -m search.demo --model {tmp_path}")


def test_operations_of_an_export_of_two_views_say_so(study, tmp_path) -> None:
    said = answers(with_export(study, tmp_path, views=2))["How large and fast"][1]
    assert said.startswith("parameters, 3 MFLOP an image, in two views, ")


def test_backbone_counts_among_the_parameters(study, tmp_path) -> None:
    found = answers(with_export(study, tmp_path, backbone={"parameters": 3_400_000}))
    assert found["How large and fast"][0] == "3.42 M"


def test_net_that_overfits_wants_images(study, tmp_path) -> None:
    found = answers(with_export(study, tmp_path, fit={"verdict": "overfits"}))["What to do next"]
    assert found[0] == "Get more images"
    assert found[1].startswith("it overfits: more images, augmentation")


def test_default_in_the_place_of_the_best_is_not_said_to_be_chosen_by_its_value(study, tmp_path) -> None:
    plain, fixed = (
        with_export(study, tmp_path, words=words, validation_images=50, macro_f1=0.9, test_loss=0.3)
        for words in (
            [],
            [f"Exported is the default configuration (trial 0): {passed_over(2)} is ahead of it."],
        )
    )
    assert (plain.passed_over, fixed.passed_over) == (None, 2)
    assert answers(plain)["Validation accuracy"][1] == "trial 0, by which it was chosen"
    assert answers(fixed)["Validation accuracy"][1] == "trial 0, the default, fixed before the search"
    notes = [[str(block) for block in result_section(facts, "").blocks] for facts in (plain, fixed)]
    assert ["Validation images chose this trial" in " ".join(note) for note in notes] == [True, False]
    assert ["fixed before the search: no luck" in " ".join(note) for note in notes] == [False, True]


@pytest.mark.parametrize(
    "more",
    [
        {"words": [f"T{passed_over(2)[1:]} is as good as the default configuration (trial 0) on 50 images."]},
        {"passed_over": 2},
    ],
)
def test_default_in_the_place_of_the_best_is_known_without_a_race_too(study, tmp_path, more) -> None:
    assert with_export(study, tmp_path, **more).passed_over == 2


@pytest.mark.parametrize(
    ("more", "origin", "note"),
    [
        ({"named": True}, "which somebody has named (--trial)", "Somebody named this trial"),
        (
            {"prefer": "small"},
            "chosen by it and by its cost",
            "Validation images, and what trials cost, chose this",
        ),
    ],
)
def test_trial_that_its_value_alone_has_not_chosen_is_not_said_to_be_chosen_by_it(
    study, tmp_path, more, origin: str, note: str
) -> None:
    facts = with_export(study, tmp_path, validation_images=50, macro_f1=0.9, test_loss=0.3, **more)
    assert answers(facts)["Validation accuracy"][1] == f"trial 0, {origin}"
    assert note in " ".join(map(str, result_section(facts, "").blocks))


def test_class_that_is_far_behind_is_named(study, tmp_path) -> None:
    matrix = np.diag([10] * 10)
    matrix[7, 7], matrix[7, 1] = 3, 7
    write_matrix_csv(tmp_path / "confusion_matrix.csv", matrix, study.config.classes)
    found = answers(with_export(study, tmp_path))["What to do next"]
    assert found == ("Look at 7", "its F1 is 46.2 %, the mean of all 92.0 %")


def test_search_that_is_not_exported_says_what_goes_on(study, new_study) -> None:
    done = answers(read_facts(study))
    assert done["How good"][0] == "–"  # noqa: RUF001
    assert done["How sure"][0].startswith("± ")
    assert done["What to do next"][0] == "Export it"
    study.want(9)
    assert answers(read_facts(study))["What to do next"][0] == "Let it go on"
    assert answers(read_facts(new_study()))["What to do next"][1].startswith(
        "python -m search.run --study made"
    )
