import sys
from pathlib import Path

import pytest

import spaces
from spaces.hyperparameters import Hyperparameters, given_by
from spaces.user_model import ModelUnfit, UserModel

MODEL = '''
def build(trial):
    """No Keras is needed to see how it is called."""
    return {"units": trial.suggest_int("units", 8, 64)}


NUMBER = 1
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(spaces, "_models", {})
    monkeypatch.setattr(spaces, "SAVING_SECONDS", 0.0)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def load(name: str) -> UserModel:
    found = spaces.load(name)
    assert isinstance(found, UserModel)
    return found


@pytest.mark.parametrize("name", ["model_here.py:build", "model_here:build"])
def test_load_of_a_model_imports_nothing(folder: Path, name: str) -> None:
    (folder / "model_here.py").write_text("import keras\n" + MODEL)
    model = load(name)
    assert (model.module, model.function) == ("model_here", "build")
    assert "model_here" not in sys.modules


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nothing_here.py:build", "there is no file nothing_here.py; expected the file and the function"),
        ("nothing_here:build", "there is no module nothing_here in"),
        ("model-here:build", "expected the file and the function"),
        ("model_here.py:", "expected the file and the function"),
        ("other/json.py:build", "Python finds another json first"),
    ],
)
def test_load_of_what_is_no_model_is_refused_in_one_line(folder: Path, name: str, why: str) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "json.py").write_text(MODEL)
    with pytest.raises(ValueError, match=why) as refused:
        spaces.load(name)
    assert str(refused.value).startswith(f"model {name}: ")
    assert "\n" not in str(refused.value)


def test_build_gives_the_stored_values(folder: Path) -> None:
    (folder / "model_built.py").write_text(MODEL)
    made = load("model_built.py:build").build({"units": 12}, spaces.InputSpec(8, 8, 1, 10))
    assert made == {"units": 12}


def test_changed_code_is_noticed_and_read_afresh_when_asked(folder: Path) -> None:
    file = folder / "model_changed.py"
    file.write_text(MODEL)
    model = load("model_changed.py:build")
    file.write_text(MODEL.replace("No Keras", "No framework"))
    spaces.check_as_read(model)
    file.write_text(MODEL.replace("64", "32"))
    with pytest.raises(
        spaces.SpaceChanged, match=r"model model_changed\.py:build: its code has been changed"
    ):
        spaces.check_as_read(model)
    with pytest.raises(spaces.SpaceChanged):
        spaces.load_as("model_changed.py:build", model.code)
    assert load("model_changed.py:build") is model
    assert spaces.load("model_changed.py:build", afresh=True) != model


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (
            "import keras_tuner",
            "imports keras_tuner, which is not installed here; run python -m pip install keras-tuner",
        ),
        ("raise SystemExit(0)", "ends the process when it is imported: 0; put what it does"),
        ("raise SystemExit('bye')", "ends the process when it is imported: bye; put what it does"),
        (MODEL.replace("build", "make"), "has no function build; it has make"),
        ("class build: ...", "has no function build"),
    ],
)
def test_module_that_cannot_be_used_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, why: str
) -> None:
    monkeypatch.setitem(sys.modules, "keras_tuner", None)  # As if it were not installed, even where it is.
    (folder / "model_unfit.py").write_text(code)
    with pytest.raises(ModelUnfit, match=why):
        load("model_unfit.py:build").make(Hyperparameters(given_by({})))


@pytest.mark.parametrize(("params", "size"), [({}, 32), ({"batch_size": 16}, 16)])
def test_parameter_called_batch_size_is_the_size_of_batches(params: dict[str, int], size: int) -> None:
    recipe = UserModel("m:build", "m", "build", "").recipe(params, spaces.InputSpec(8, 8, 1, 10))
    assert recipe.batch_size == size
    assert not recipe.augmentation


def test_batch_size_that_is_no_number_of_images_is_refused() -> None:
    with pytest.raises(ValueError, match=r"batch_size is 0\.5; expected a whole number of images"):
        UserModel("m:build", "m", "build", "").recipe({"batch_size": 0.5}, spaces.InputSpec(8, 8, 1, 10))
