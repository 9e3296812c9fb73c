"""Flags come from the settings records, with their help; what is typed becomes a record."""

from pathlib import Path
from typing import Any

import pytest
import typer

from search.cli.app import make_app
from search.cli.options import flags_of, record_of
from search.config.option import Options, flag_of, options_of
from search.config.settings import ExportOptions, RunOptions, SweepOptions, WorkerOptions
from search.errors import InputError

COMMANDS = {"run": RunOptions, "sweep": SweepOptions, "worker": WorkerOptions, "export": ExportOptions}


def command_of(record: type[Options]) -> tuple[Any, list[Any]]:
    """A command of the record's options, and the list that gets each record it is run with."""
    got: list[Any] = []

    @flags_of(record)
    def act(options: Any) -> None:
        """Act."""
        got.append(options)

    return typer.main.get_command(make_app(act, example="python -m search.act")), got


def run(record: type[Options], *argv: str) -> Any:
    command, got = command_of(record)
    command(list(argv), standalone_mode=False)
    (options,) = got
    return options


@pytest.mark.parametrize("record", COMMANDS.values(), ids=list(COMMANDS))
def test_command_has_a_flag_for_every_option_that_can_be_typed(record: type[Options]) -> None:
    command, _ = command_of(record)
    flags = {param.name: param.opts[0] for param in command.params}
    typed = {
        field.name: flag_of(record, field.name)
        for field, about in options_of(record)
        if not about.in_python_alone
    }
    assert flags == {**typed, "quiet": "--quiet", "verbose": "--verbose"}


def test_what_is_not_typed_is_not_requested() -> None:
    options = run(RunOptions, "--study", "s", "--epochs", "12")
    assert options.epochs == 12
    assert options.requested - {"root"} == {"study", "epochs"}


def test_values_are_parsed_by_type_and_unit(tmp_path: Path) -> None:
    file = tmp_path / "first.toml"
    file.touch()
    options = run(
        RunOptions, "--study", "s", "--timeout", "2h", "--budget", "1PFLOP", "--max-cost", "170MFLOP", "--grace", "90s",
        "--no-flip", "--backbone", "A", "--backbone", "b.keras", "--try", str(file), "--no-export", "--cache", "c",
    )  # fmt: skip
    assert (options.timeout, options.budget, options.max_cost, options.grace) == (
        7200.0,
        1e15,
        170_000_000,
        90.0,
    )
    assert (options.flip, options.export) == (False, False)
    assert (options.backbones, options.try_first, options.cache) == (("A", "b.keras"), (file,), Path("c"))


def test_lists_and_varied_values_are_taken_apart() -> None:
    assert run(ExportOptions, "--study", "s", "--format", "onnx, litert").formats == ("onnx", "litert")
    assert run(SweepOptions, "--study", "s", "--vary", "filters=16,32").vary == {"filters": ("16", "32")}


def test_value_out_of_range_is_refused_before_the_command_runs() -> None:
    with pytest.raises(InputError, match="--epochs 0: expected a number from 1 to 10000"):
        run(RunOptions, "--study", "s", "--epochs", "0")


def test_help_names_choices_and_defaults() -> None:
    command, _ = command_of(RunOptions)
    helps = {param.name: param.help for param in command.params}
    assert (
        helps["pruner"]
        == "Which trials are ended early. One of halving, hyperband, median, none. (default: halving)"
    )
    assert helps["images"].endswith("(default: the preset's, or all).")


def test_words_are_completed() -> None:
    command, _ = command_of(RunOptions)
    (pruner,) = [param for param in command.params if param.name == "pruner"]
    context = command.make_context("act", ["--study", "s"])
    assert [item.value for item in pruner.shell_complete(context, "h")] == ["halving", "hyperband"]


def test_record_of_nothing_typed_has_the_defaults() -> None:
    typed = {"study": "s", "epochs": None, "try_first": [], "timeout": None}
    assert record_of(RunOptions, typed).requested == {"study"}
