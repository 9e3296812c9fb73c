"""The documentation is true: what it shows runs, what it names exists."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(ROOT.glob("*.md"))
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = sorted(set(re.findall(r"python -m search\.(\w+)", README)))
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
NOTEBOOK = next(block for block in PYTHON if "run_study" in block)
SPACE = next(block for block in PYTHON if "def sample" in block)
# Builds the space for one configuration and compares its cost with the net.
TRY_SPACE = """
import optuna, spaces
from spaces import InputSpec
input_spec = InputSpec(8, 8, 1, 10)
space = spaces.load("my_space")
params = space.sample(optuna.create_study().ask(), input_spec)
model = space.build(params, input_spec)
assert space.cost(params, input_spec).parameters == model.count_params(), (params, model.count_params())
assert model.output_shape == (None, 10)
print("built")
"""


def python(*argv: str, cwd: Path, timeout: int = 280) -> subprocess.CompletedProcess[str]:
    """A fresh process in ``cwd``, with a home and so a cache of its own."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(cwd), "XDG_CACHE_HOME": str(cwd / "cache")}
    return subprocess.run(
        [sys.executable, *argv], cwd=cwd, env=environ, capture_output=True, text=True, timeout=timeout
    )


def flags(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


@pytest.fixture(scope="module")
def python_of_the_readme(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder where the README's Python ran, in one process since each would start Keras, and what it printed."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "my_space.py").write_text(SPACE)
    (folder / "notebook.py").write_text(f"{NOTEBOOK}\nprint('NEXT: SPACE')\n{TRY_SPACE}")
    process = python("notebook.py", cwd=folder)
    assert process.returncode == 0, process.stderr[-3000:]
    return folder, process.stdout


@pytest.mark.slow
def test_readme_notebook_runs_and_leaves_an_export(python_of_the_readme: tuple[Path, str]) -> None:
    folder, printed = python_of_the_readme
    assert "precision" in printed
    assert (folder / "exports" / "digits_arrays" / "model.keras").is_file()


@pytest.mark.slow
def test_readme_space_can_be_sampled_and_built(python_of_the_readme: tuple[Path, str]) -> None:
    assert python_of_the_readme[1].endswith("NEXT: SPACE\nbuilt\n")


def test_readme_notebook_is_ten_lines() -> None:
    assert len([line for line in NOTEBOOK.splitlines() if line.strip()]) <= 10


def test_readme_space_is_under_thirty_lines() -> None:
    assert len(SPACE.splitlines()) < 30


def test_readme_has_no_python_that_no_test_runs() -> None:
    assert sorted(PYTHON) == sorted([NOTEBOOK, SPACE])


def test_readme_opens_with_the_two_commands() -> None:
    first = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)[0]
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make search", "make test"]


def test_commands_in_the_readme_are_ours(helps) -> None:
    assert {"run", "export", "predict"} <= set(COMMANDS) <= set(helps)


def test_commands_in_the_readme_are_given_flags_that_they_have(helps) -> None:
    for command, rest in re.findall(r"python -m search\.(\w+)([^\n`]*)", README):
        assert flags(rest) <= flags(helps[command].out), f"{command}{rest}"


def test_flags_in_the_readme_exist(helps) -> None:
    benchmarks = (Path(name) for name in re.findall(r"python (benchmarks/\w+\.py)", README))
    program = python("-c", "from search.program import run_program; run_program()", "--help", cwd=ROOT).stdout
    of_commands = [helps[command].out for command in COMMANDS]
    known = flags(" ".join([program, *of_commands, *((ROOT / path).read_text() for path in benchmarks)]))
    assert flags(README) <= known


def test_flags_of_the_search_are_all_in_the_readme(helps) -> None:
    assert flags(helps["run"].out) - {"--export"} <= flags(README)


def test_make_targets_in_the_readme_exist() -> None:
    targets = re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))
    assert {"search", "test", "check"} <= named <= set(targets)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_files_resolve(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)", document.read_text("utf-8")):
        if "://" not in link:
            assert (document.parent / link).exists(), f"{document.name} links to {link}"


def test_files_in_the_readme_map_exist() -> None:
    table = README.partition("## The files")[2]
    for place in re.findall(r"^\| `([\w/]+)` \|", table, re.MULTILINE):
        assert (ROOT / place).is_dir(), place


def test_studies_in_the_readme_are_the_presets() -> None:
    from search.presets import PRESETS

    sentence = README.partition("A study's name also picks its settings: ")[2].partition(" are prepared")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == set(PRESETS)


def test_spaces_in_the_readme_are_those_registered() -> None:
    from spaces import REGISTERED

    sentence = README.partition(" spaces are registered: ")[2].partition(".")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == set(REGISTERED)
