"""The commands of a report make the study again."""

import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from search.cli.options import record_of
from search.config.option import options_of
from search.config.settings import RunOptions
from search.reporting.elements import Text
from search.reporting.export_reader import ExportReader
from search.reporting.facts import read_facts
from search.reporting.sections.repeat import commands, repeat_section
from search.study.creation import ANY_COST
from search.study.study import LoadedStudy
from spaces.contract import Backbone


def parsed(text: str) -> dict[str, Any]:
    """What a command line of ours would be understood as."""
    words = shlex.split(text.replace("\\\n", ""))
    assert words[:2] == ["python", "-m"]
    command = typer.main.get_command(import_module(words[2]).app)
    params = command.make_context(words[2], words[3:]).params
    return {name: value for name, value in params.items() if name not in ("quiet", "verbose")}


def options_of_search(study: LoadedStudy) -> RunOptions:
    """What the command of a study's search would be understood as."""
    params = parsed(commands(read_facts(study, None))["The search"])
    return record_of(RunOptions, {field.name: params[field.name] for field, _ in options_of(RunOptions)})


def test_command_of_the_search_says_every_setting(new_study) -> None:
    settings = {
        "epochs": 7, "images": 333, "validation": 0.123456789, "seed": 17, "metric": "macro_f1", "flip": True,
        "early_stopping": 3, "sampler": "random", "pruner": "median", "class_weights": "balanced", "max_cost": 123_456,
        "data": "/a place/it's",
    }  # fmt: skip
    study = new_study(["finished"] * 3, **settings)
    options = options_of_search(study)
    for name, value in settings.items():
        assert getattr(options, name) == value, name
    assert (options.study, options.trials, options.space) == ("made", 3, "cnn")
    assert (options.root, options.export) == (study.paths.root, False)


def test_users_model_is_named_as_one_and_not_bounded(new_study) -> None:
    model = {"space": "my_model:build", "max_cost": ANY_COST, "max_parameters": ANY_COST}
    facts = read_facts(new_study(**model), None)
    said = commands(facts)["The search"]
    assert "--max-" not in said
    assert (parsed(said)["model"], parsed(said)["space"]) == ("my_model:build", None)


def test_folds_take_the_place_of_a_part_held_out_and_backbones_are_named(new_study) -> None:
    backbones = (
        Backbone("net", "/a place/net.keras", "digest", 8, 99),
        Backbone("MobileNetV2", "MobileNetV2", "", 8, 9),
    )
    study = new_study(folds=5, space="transfer", image_size=160, backbones=backbones)
    options = options_of_search(study)
    assert (options.folds, options.image_size) == (5, 160)
    assert "validation" not in options.requested
    assert options.backbones == ("/a place/net.keras", "MobileNetV2")


def test_validation_part_of_the_data_takes_the_place_of_a_fraction_and_groups_are_named(new_study) -> None:
    options = options_of_search(new_study(validation_images=20, groups=r"(patient \d+)_'"))
    assert "validation" not in options.requested
    assert options.groups == r"(patient \d+)_'"


def test_command_of_a_race_names_no_trial(new_study, tmp_path: Path) -> None:
    summary = {"trial": 7, "confirm": {"winner": 7}, "backbone": {"fine_tuned": {"epochs": 3}}}
    facts = read_facts(new_study(), ExportReader(tmp_path, summary))
    said = parsed(commands(facts)["The export, which scores the test images"])
    assert (said["trial"], said["confirm"], said["fine_tune"]) == (None, True, 3)


def test_command_of_the_export_is_that_of_a_refit_where_it_was_one(new_study, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    summary = {"trial": 7, "refit": True, "epochs": 9, "baselines": {"svm": {}, "logistic": {}}}
    facts = read_facts(new_study(), ExportReader(tmp_path, summary))
    said = parsed(commands(facts)["The export, which scores the test images"])
    assert (said["trial"], said["refit"], said["refit_epochs"]) == (7, True, 9)
    assert (said["formats"], said["baselines"], said["out"]) == ("onnx", "svm,logistic", tmp_path)


def test_command_of_the_export_says_what_it_prefers_calibrates_and_keeps(new_study, tmp_path: Path) -> None:
    (tmp_path / "examples.npz").touch()
    summary = {"trial": 7, "confirm": {"winner": 7}, "prefer": "small", "calibrated": True}
    facts = read_facts(new_study(), ExportReader(tmp_path, summary))
    said = parsed(commands(facts)["The export, which scores the test images"])
    assert (said["prefer"], said["calibrated"], said["with_examples"]) == ("small", True, True)


def test_command_of_the_report_names_the_export_where_it_lies_elsewhere(new_study, tmp_path: Path) -> None:
    facts = read_facts(new_study(), ExportReader(tmp_path, {"trial": 0}))
    assert parsed(commands(facts)["This report"])["export"] == tmp_path


def test_arrays_are_asked_for_and_no_data_set_of_that_name(new_study) -> None:
    facts = read_facts(new_study(data="arrays"), None)
    assert parsed(commands(facts)["The search"])["data"] is None
    assert "pass the same to run_study" in str(repeat_section(facts).blocks[0])


def test_configuration_that_was_asked_for_can_be_tried_again(new_study, tmp_path: Path) -> None:
    study = new_study()
    study.optuna.enqueue_trial({"blocks": 2, "kind": 'a "word"', "flat": True})
    section = repeat_section(read_facts(study, None))
    block = next(block for block in section.blocks if "try-1.toml" in getattr(block, "label", ""))
    assert block.text == 'blocks = 2\nkind = "a \\"word\\""\nflat = true'  # type: ignore[union-attr]
    assert "--try try-1.toml" in str(section.blocks[0])


@pytest.mark.parametrize("base", ["one layer", None])
def test_command_of_a_sweep_names_what_it_varies(new_study, base: str | None) -> None:
    study = new_study()
    vary = {"filters": [16, 32], "kind": ["a b", "c"]}
    study.optuna.set_user_attr(
        "sweep", {"base": base, "params": {}, "vary": vary, "repeat": 3, "left_out": []}
    )
    said = parsed(commands(read_facts(study, None))["The sweep"])
    assert (said["base"], said["space"]) == (base, None if base else "cnn")
    assert said["vary"] == ["filters=16,32", "kind=a b,c"]
    assert said["repeat"] == 3


@pytest.mark.parametrize(("wanted", "more"), [(9, "3 runs"), (11, "1 run"), (12, "")])
def test_sweep_of_several_commands_says_how_many_more_runs_one_makes(
    new_study, wanted: int, more: str
) -> None:
    """Its one command also ran the combinations that nobody had asked for, without a word."""
    study = new_study()
    vary = {"filters": [16, 32], "blocks": [1, 2, 3]}
    about = {"base": None, "params": {}, "vary": vary, "repeat": 2, "left_out": []}
    study.optuna.set_user_attr("sweep", about)
    study.optuna.set_user_attr("trials", wanted)
    notes = [
        block.text for block in repeat_section(read_facts(study, None)).blocks if isinstance(block, Text)
    ]
    said = [note for note in notes if note.startswith("The sweep was asked for by several commands")]
    assert [f"it makes {more} more than" in note for note in said] == [True] * bool(more)
