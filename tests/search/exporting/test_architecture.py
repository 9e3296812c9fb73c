from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from search.exporting import architecture
from search.exporting.architecture import describe_in_child, plot
from search.process.fork_server import ForkServer
from search.study.study import LoadedStudy


@pytest.fixture(scope="module")
def described(
    searched: LoadedStudy, fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, int]:
    """The folder with both files of the best trial's net, what was said of them, and the net's cost."""
    folder = tmp_path_factory.mktemp("described")
    model = searched.paths.models(searched.ranked()[0].number)[0]
    return folder, *describe_in_child(fork_server, model, folder, folder / "log.txt")


@pytest.mark.slow
def test_summary_has_every_column_and_the_sum(
    described: tuple[Path, str, int], searched: LoadedStudy
) -> None:
    text = (described[0] / "model_summary.txt").read_text()

    # Keras cuts the table at 80 columns where there is no terminal.
    assert "Param #" in text
    assert "┓" in text
    assert f"Trainable params: {searched.ranked()[0].user_attrs['parameters']:,} " in text


@pytest.mark.slow
def test_cost_is_counted_on_the_file_and_is_what_the_space_has_said(
    described: tuple[Path, str, int], searched: LoadedStudy
) -> None:
    assert described[2] == pytest.approx(searched.ranked()[0].user_attrs["flops"], rel=0.01)


@pytest.mark.slow
def test_picture_is_drawn_or_what_is_missing_is_said(described: tuple[Path, str, int]) -> None:
    folder, said, _ = described

    if said:
        assert said.startswith("no architecture.png: it needs ")
        assert not (folder / "architecture.png").exists()
    else:
        with Image.open(folder / "architecture.png") as picture:
            assert picture.height > picture.width > 300


def test_picture_without_pydot_names_the_pip_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(architecture, "find_spec", lambda name: None)

    assert plot(None, tmp_path / "a.png") == "pydot: run python -m pip install pydot"


def test_picture_without_dot_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import keras

    def refuse(*_: Any, **__: Any) -> None:
        raise ImportError("You must install graphviz")

    monkeypatch.setattr(architecture, "find_spec", lambda name: True)
    monkeypatch.setattr(keras.utils, "plot_model", refuse)

    assert "apt install graphviz" in plot(None, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []
