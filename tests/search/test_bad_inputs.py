"""A list of bad inputs, each given to the real command: one line with the fix, exit code 2, no traceback, no secret.

The words may change: what is looked for is the shape of the line, and what it has to name. A new case is a line here.
"""

import importlib
import json
import logging
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import optuna
import pytest
from PIL import Image

from search.cli.app import main
from search.config.study_config import StudyConfig
from search.study.finding import create_study
from spaces.contract import Backbone

# How a line says what would do instead; each has one of these words.
FIX = re.compile(
    r"expected|such as|leave|pass |choose|give |run |bring|make |put |try |mend|export (it )?again|wants|install|"
    r"prepare|set |takes|name another|samples|save |chmod|use ",
    re.IGNORECASE,
)
SECRET = "sesame"
GOOD = "".join(f"def {name}(*given): ...\n" for name in ("sample", "cost", "build"))
SPACES = {
    "no_python": "def (\n",
    "null_bytes": "x = '\0'\n",
    "no_functions": "x = 1\n",
    "no_cost": "def sample(trial, spec): ...\ndef build(params, spec): ...\n",
    "a_value_for_build": GOOD.replace("def build(*given): ...", "build = 3"),
    "with_keras": "import keras\n" + GOOD,
    "with_torch_perhaps": "try:\n    import torch\nexcept ImportError:\n    torch = None\n" + GOOD,
    "not_installed": "import no_such_package_here\n" + GOOD,
    "divides": "1 / 0\n",
    "exits": "raise SystemExit(0)\n",
    "returns_none": GOOD,
    "raises": GOOD.replace(
        "def sample(*given): ...", "def sample(trial, spec):\n    return {'x': trial.suggest('x')}"
    ),
    "no_arguments": GOOD.replace("def cost(*given)", "def cost()"),
    "tuple_choices": GOOD.replace(
        "def sample(*given): ...",
        "def sample(t, s): return {'k': t.suggest_categorical('k', ((3, 3), (5, 5)))}",
    ),
    "cost_of_text": GOOD.replace("def sample(*given): ...", "def sample(t, s): return {}").replace(
        "def cost(*given): ...", "def cost(p, s): return 'many', 'more'"
    ),
    "first_of_numbers": GOOD.replace("def sample(*given): ...", "def sample(t, s): return {}").replace(
        "def cost(*given): ...", "def cost(p, s): return 1, 2"
    )
    + "def first(spec): return [3]\n",
    "recipe_of_numbers": GOOD.replace("def sample(*given): ...", "def sample(t, s): return {}").replace(
        "def cost(*given): ...", "def cost(p, s): return 1, 2"
    )
    + "def recipe(params, spec): return {'learning_rate': 3}\n",
}


def arrays(**changed: object) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; one that is None is left out."""
    images, labels = np.arange(40 * 64 * 3, dtype=np.uint8).reshape(40, 8, 8, 3), np.arange(40) % 4
    whole = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels, **changed}
    return {name: np.asarray(value) for name, value in whole.items() if value is not None}


def pictures(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def make_data(here: Path) -> None:
    """Folders and files of images, all of them bad but ``good``."""
    pictures(here / "good" / "cats", 12)
    pictures(here / "good" / "dogs", 12)
    (here / "empty").mkdir()
    pictures(here / "one_class" / "only", 12)
    pictures(here / "rare" / "many", 12)
    pictures(here / "rare" / "few", 1)
    pictures(here / "flat", 12)
    (here / "empty_classes" / "cats").mkdir(parents=True)
    (here / "empty_classes" / "dogs").mkdir()
    shutil.copytree(here / "good", here / "broken")
    (here / "broken" / "dogs" / "broken.png").write_bytes(
        (here / "good" / "dogs" / "3.png").read_bytes()[:60]
    )
    shutil.copytree(here / "good", here / "text_as_png")
    (here / "text_as_png" / "dogs" / "note.png").write_text("no picture")
    shutil.copytree(here / "good", here / "test_of_others" / "train")
    pictures(here / "test_of_others" / "test" / "birds", 3)
    (here / "note.txt").write_text("no images")
    for name, changed in {
        "no_test": {"x_test": None},
        "lengths": {"y_train": np.arange(39) % 4},
        "negative": {"y_train": np.arange(40) - 1},
        "pickled": {"y_train": np.array([{}] * 40)},
        "nan": {"x_train": np.full((40, 8, 8, 3), np.nan, np.float32)},
        "no_channels": {"x_train": np.zeros((40, 64), np.uint8)},
        "five_channels": {"x_train": np.zeros((40, 8, 8, 5), np.uint8)},
        "sizes": {"x_test": np.zeros((40, 9, 9, 3), np.uint8)},
        "text": {"x_train": np.full((40, 8, 8, 3), "a")},
        "complex": {"x_train": np.zeros((40, 8, 8, 3), complex)},
        "no_images": {"x_train": np.zeros((0, 8, 8, 3), np.uint8), "y_train": np.zeros(0, int)},
        "halves": {"y_train": np.arange(40) / 2},
        "labels_2d": {"y_train": np.zeros((40, 7, 2), int)},
    }.items():
        np.savez(here / f"{name}.npz", **arrays(**changed))
    (here / "cut.npz").write_bytes((here / "sizes.npz").read_bytes()[:200])
    (here / "text.npz").write_text("no archive")


def make_exports(here: Path) -> None:
    """Exports, none of them whole."""
    whole = {
        "labels.json": json.dumps(["cats", "dogs"]),
        "preprocessing.json": json.dumps({"height": 8, "width": 8, "channels": 3, "resize": "stretch"}),
        "model.keras": "no archive",
        "summary.json": "{}",
    }
    for name, changed in {
        "no_model": {"model.keras": None},
        "no_labels": {"labels.json": None},
        "labels_cut": {"labels.json": '["cats", '},
        "labels_number": {"labels.json": "3"},
        "no_height": {"preprocessing.json": "{}"},
        "other_resize": {"preprocessing.json": whole["preprocessing.json"].replace("stretch", "squash")},
        "cold": {"summary.json": '{"calibration": {"temperature": 0}}'},
        "summary_cut": {"summary.json": "{"},
        "model_of_text": {},
    }.items():
        folder = here / "exported" / name
        folder.mkdir(parents=True)
        for file, text in {**whole, **changed}.items():
            if text is not None:
                (folder / file).write_text(text)


def make_studies(here: Path) -> None:
    """Studies without a trial: of small images, in folds, over a backbone, and one of another program."""
    config = StudyConfig("old", "elsewhere", "f" * 32, ("cats", "dogs"), 8, 8, 3)
    backbone = Backbone("a", "a", "d", 8, 10)
    for study, more in {
        "old": {},
        "in_folds": {"folds": 3},
        "of_mine": {"space": "gone_by_now"},
        "transferred": {"space": "transfer", "backbones": (backbone,)},
    }.items():
        made = create_study(
            StudyConfig(**{**vars(config), "study": study, **more}), here, None, here / "studies"
        )
        assert made is not None
    optuna.create_study(study_name="foreign", storage=f"sqlite:///{here}/studies/search.db").ask()
    (here / "not_a_database.db").write_text(
        "no database at all, and longer than a header of SQLite's would be" * 9
    )
    (here / "password.txt").write_text("")
    (here / "empty.toml").write_text("")
    (here / "no.toml").write_text("filters = \n")
    (here / "unknown.toml").write_text("what = 1\n")
    (here / "out_of_range.toml").write_text(
        "blocks = 99\nfilters = 32\ngrowth = 2.0\ndense_width = 128\ndropout = 0.1\nrate = 1.0\nsteps = 50\n"
        "augmentation = 1.0\n"
    )
    (here / "latin.toml").write_bytes(b"x = '\xff'\n")
    (here / "taken").mkdir()
    (here / "taken" / "thesis.docx").write_text("mine")
    (here / "text.keras").write_text("no archive")
    (here / "cut.png").write_bytes((here / "good" / "cats" / "0.png").read_bytes()[:30])


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every bad thing in it."""
    folder = tmp_path_factory.mktemp("bad inputs")
    make_data(folder)
    make_exports(folder)
    make_studies(folder)
    for name, text in SPACES.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.fixture(autouse=True)
def place(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder as the current one, with an empty cache; whatever would train fails instead."""
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    # Optuna's handler holds the standard error of whichever test came first, closed by now.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    before = set(sys.modules)
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # As in a process of its own: a warning would be a line more.
        # As there, too; earlier tests leave connections to be cleared.
        warnings.simplefilter("ignore", ResourceWarning)
        yield here
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(here)):
            del sys.modules[name]


NEW = "run --study new --data digits"
OF_GOOD = "run --study new --data good"
URL = "run --study new --data digits --storage"
PREDICT = "predict good/cats/0.png --model"
# The command, and what its line has to name. ``good`` images and studies are there so that one thing alone is wrong.
CASES: dict[str, str] = {
    # Flags.
    f"{NEW} --trials 0": "--trials 0",
    f"{NEW} --trials -1": "--trials -1",
    f"{NEW} --trials 1.5": "1.5",
    f"{NEW} --trials many": "many",
    f"{NEW} --trials=": "--trials",
    f"{NEW} --trials 99999999999999999999": "--trials",
    f"{NEW} --epochs 0": "--epochs 0",
    f"{NEW} --epochs nan": "nan",
    f"{NEW} --images 1": "--images 1",
    f"{NEW} --image-size 3": "--image-size 3",
    f"{NEW} --image-size huge": "huge",
    f"{NEW} --validation 1": "--validation 1",
    f"{NEW} --validation -inf": "--validation",
    f"{NEW} --test 2": "--test 2",
    f"{NEW} --folds 1": "--folds 1",
    f"{NEW} --folds 3 --validation 0.2": "--validation 0.2",
    f"{NEW} --seed -1": "--seed -1",
    f"{NEW} --early-stopping -3": "--early-stopping -3",
    f"{NEW} --max-cost free": "free",
    f"{NEW} --max-parameters 0": "--max-parameters 0",
    f"{NEW} --gpu-memory 0": "--gpu-memory 0",
    f"{NEW} --gpus first": "first",
    f"{NEW} --gpus -1": "-1",
    f"{NEW} --per-gpu 2": "--per-gpu",
    f"{NEW} --workers 0": "--workers 0",
    f"{NEW} --timeout 0": "'0'",
    f"{NEW} --timeout soon": "soon",
    f"{NEW} --timeout 1h30m": "1h30m",
    f"{NEW} --budget 1PB": "1PB",
    f"{NEW} --grace 0s": "--grace",
    f"{NEW} --metric beauty": "beauty",
    f"{NEW} --sampler guess": "guess",
    f"{NEW} --pruner garden": "garden",
    f"{NEW} --resize squash": "squash",
    f"{NEW} --class-weights heavy": "heavy",
    f"{NEW} --backend mxnet": "mxnet",
    f"{NEW} --no-refit --refit-epochs 5": "--refit",
    f"{NEW} --no-refit --folds 3": "--no-refit",
    f"{NEW} --budget 1MFLOP": "--budget 1 MFLOP",
    f"{NEW} --refit --no-export": "--no-export",
    f"{NEW} --confirm --no-export": "--no-export",
    f"{NEW} --prefer small --no-export": "--no-export",
    f"{NEW} --prefer cheap": "balanced",
    f"{NEW} --metric loss --prefer small": "balanced",
    f"{NEW} --epochs 2 --confirm --folds 3": "--confirm",
    f"{NEW} --fine-tune 3": "--fine-tune 3",
    f"{NEW} --fine-tune 0": "--fine-tune 0",
    f"{NEW} --space cnn --backbone MobileNetV2": "--backbone MobileNetV2",
    f"{NEW} --preset unheard_of": "unheard_of",
    f"{NEW} --artifacts ftp://host/x": "ftp",
    f"{NEW} --artifacts s3://": "s3://",
    f"{NEW} --artifacts note.txt": "note.txt",
    f"{NEW} --out taken": "taken",
    f"{NEW} --out note.txt": "note.txt",
    f"{NEW} --trails 5": "--trails",
    f"{NEW} surplus": "surplus",
    f"{NEW} --try missing.toml": "missing.toml",
    f"{NEW} --try empty.toml": "empty.toml",
    f"{NEW} --try no.toml": "no.toml",
    f"{NEW} --try unknown.toml": "unknown.toml",
    f"{NEW} --try out_of_range.toml": "blocks",
    f"{NEW} --try latin.toml": "latin.toml",
    f"{NEW} --try good": "good",
    f"{NEW} --cache note.txt": "note.txt",
    f"{NEW} --studies note.txt": "note.txt",
    f"{NEW} --studies=": "--studies",
    f"{NEW} --cache=": "--cache",
    f"{NEW} --storage=": "--storage",
    f"{NEW} --out /proc/x": "/proc",
    "studies --storage=": "--storage",
    "status --study old --studies=": "--studies",
    "run": "--study",
    "run --study": "--study",
    "run --study new": "--data",
    "run --study ../up --data digits": "../up",
    "run --study a/b --data digits": "a/b",
    "run --study ä --data digits": "ä",
    "run --study search.db --data digits": "search.db",
    "run --study cifar_filters": "search.sweep",
    # Data.
    "run --study new --data unheard_of": "unheard_of",
    "run --study new --data no/such/folder": "no/such/folder",
    "run --study new --data=": "--data",
    "run --study new --data note.txt": "note.txt",
    "run --study new --data http://example.org/cats.zip": "http",
    "run --study new --data empty": "empty",
    "run --study new --data one_class": "only",
    "run --study new --data rare": "few",
    "run --study new --data empty_classes": "empty_classes",
    "run --study new --data broken": "broken.png",
    "run --study new --data text_as_png": "note.png",
    "run --study new --data test_of_others": "birds",
    f"{OF_GOOD} --images 5000": "5000",
    f"{OF_GOOD} --folds 20": "20",
    **{
        f"run --study new --data {name}.npz": name
        for name in (
            "no_test", "lengths", "negative", "pickled", "nan", "no_channels", "five_channels", "sizes", "text",
            "complex", "no_images", "halves", "labels_2d", "cut", "missing",
        )
    },
    # Databases.
    f"{URL} nonsense": "--storage",
    f"{URL} sqlite://": "--storage",
    f"{URL} sqlite:///note.txt/search.db": "--storage",
    f"{URL} sqlite:///no/such/folder/search.db": "--storage",
    f"{URL} sqlite:///not_a_database.db": "not_a_database.db",
    f"{URL} oracle://me:{SECRET}@host/name": "oracle",
    f"{URL} postgresql://me:{SECRET}@localhost:1/name": "--storage",
    f"{URL} postgresql://me:{SECRET}@localhost:port/name": "--storage",
    f"{URL} postgresql://me:{SECRET}@[::1/name": "--storage",
    f"{URL} postgresql://me:{SECRET}@localhost/": "--storage",
    f"{URL} mysql://me:{SECRET}@localhost/name": "mysql",
    "run --study foreign --data digits": "foreign",
    "run --study old --data digits": "--data digits",
    "run --study old --epochs 3": "--epochs 3",
    "run --study old --space cnn_wide": "--space cnn_wide",
    "run --study in_folds --folds 5": "--folds 5",
    "run --study of_mine": "gone_by_now",
    # Spaces.
    **{f"{NEW} --space {name}": name for name in SPACES},
    f"{NEW} --space unheard_of": "unheard_of",
    f"{NEW} --space mine.unheard_of": "mine.unheard_of",
    f"{NEW} --space ./no_python.py": "no_python.py",
    f"{NEW} --space=": "space",
    f"{NEW} --space spaces.contract": "spaces.contract",
    f"{NEW} --space transfer --backbone NoSuchNet": "NoSuchNet",
    f"{NEW} --space transfer --backbone text.keras": "text.keras",
    # Workers, exports, sweeps.
    "worker --study unheard_of": "unheard_of",
    "worker --study old --workers 0": "--workers 0",
    "worker --study old": "old",
    "worker --study of_mine": "gone_by_now",
    "worker --study old --data good": "/good",
    f"worker --study old --storage postgresql://me:{SECRET}@localhost:1/x": "--storage",
    "export --study unheard_of": "unheard_of",
    "export --study old": "old",
    "export --study old --trial 7": "--trial 7",
    "export --study old --trial -1": "--trial -1",
    "export --study old --trial 0 --confirm": "--confirm",
    "export --study old --trial 0 --prefer small": "--prefer",
    "export --study old --format pdf": "pdf",
    "export --study old --format=": "--format ''",
    "export --study old --baseline=": "--baseline ''",
    "export --study old --out ~nobodyx/e": "--out",
    "run --study new --data ~nobodyx/photos": "--data ~nobodyx/photos",
    "run --study new --data digits --space ~nobodyx/s.py": "--space ~nobodyx/s.py",
    "run --study new --data digits --space transfer --backbone ~nobodyx/n.keras": "--backbone ~nobodyx/n.keras",
    "export --study old --baseline luck": "luck",
    "export --study old --refit-epochs 3": "--refit",
    "export --study old --fine-tune 2": "--fine-tune 2",
    "export --study in_folds --confirm": "--confirm",
    "export --study old --out taken": "taken",
    "sweep --study new --data digits": "--vary",
    "sweep --study new --data digits --vary filters": "filters",
    "sweep --study new --data digits --vary filters=": "filters",
    "sweep --study new --data digits --vary filters=16,16": "filters=16,16",
    "sweep --study new --data digits --vary colour=red": "colour",
    "sweep --study new --data digits --vary filters=-16": "filters",
    "sweep --study new --data digits --vary filters=16 --base notebook": "notebook",
    "sweep --study new --data digits --vary filters=16 --base study:old": "study:old",
    "sweep --study new --data digits --vary filters=16 --repeat 0": "--repeat 0",
    "sweep --study new --data digits --vary filters=16 --base bears --space cnn": "--base bears",
    "sweep --study old --vary filters=16": "old",
    # What only looks.
    "status --study unheard_of": "unheard_of",
    "status --study foreign": "foreign",
    "status --study old --json --watch": "--watch",
    f"status --study old --storage postgresql://me:{SECRET}@localhost:1/x": "--storage",
    "studies --storage sqlite:///no/such.db": "--storage",
    "studies --storage sqlite:///not_a_database.db": "not_a_database.db",
    "studies --studies note.txt": "note.txt",
    "delete --study unheard_of --yes": "unheard_of",
    "report --study unheard_of": "unheard_of",
    "report --study old --export no/such": "no/such",
    "report --study old --export taken": "taken",
    "report --study old --out good": "good",
    "report --study old --out note.txt/report.html": "note.txt",
    "status --study old --studies note.txt": "note.txt",
    "delete --study old --yes --studies note.txt": "note.txt",
    "dashboard --study unheard_of": "unheard_of",
    "dashboard --study old --port 99999": "99999",
    "dashboard --study old --port http": "http",
    "dashboard --study old --host 0.0.0.0": "password",
    "dashboard --study old --host 0.0.0.0 --password-file password.txt": "password.txt",
    "dashboard --study old --password-file missing.txt": "missing.txt",
    "prefetch": "--backbone",
    "prefetch --backbone NoSuchNet": "NoSuchNet",
    "prefetch --backbone text.keras": "text.keras",
    "prefetch --backbone missing.keras": "missing.keras",
    # Predictions.
    "predict --model exported/model_of_text": "IMAGE",
    "predict good/cats/0.png": "--model",
    f"{PREDICT} no/such": "no/such",
    f"{PREDICT} note.txt": "note.txt",
    f"{PREDICT} taken": "taken",
    **{f"{PREDICT} exported/{name}": name for name in (
        "no_model", "no_labels", "labels_cut", "labels_number", "no_height", "other_resize", "cold", "summary_cut",
        "model_of_text",
    )},
    "predict empty --model exported/model_of_text": "empty",
    "predict good --top 0 --model exported/model_of_text": "--top 0",
    "predict good --json --csv --model exported/model_of_text": "--json",
    "predict good/cats/0.png --matrix m.png --model exported/model_of_text": "--matrix",
    "predict good --grid grid.docx --model exported/model_of_text": "grid.docx",
}  # fmt: skip


def test_there_are_at_least_a_hundred() -> None:
    assert len(CASES) >= 100


def files(folder: Path) -> set[Path]:
    # SQLite's own two beside a database come and go with its connections.
    return {
        path
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts and path.suffix not in (".db-wal", ".db-shm")
    }


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("line", "named"), CASES.items(), ids=list(CASES))
def test_bad_input(line: str, named: str, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command, *argv = line.split(" ")
    app = importlib.import_module(f"search.{command}").app
    before = files(here)
    with pytest.raises(SystemExit) as end:
        main(app, argv)
    printed = capfd.readouterr()
    lines = printed.err.strip().splitlines()
    assert (end.value.code, len(lines)) == (2, 1), f"{end.value.code} {printed.err}"
    assert lines[0].startswith("error: ")
    assert named in lines[0]
    assert FIX.search(lines[0]), f"no fix: {lines[0]}"
    assert SECRET not in printed.out + printed.err
    assert not logging.getLogger().handlers or "Traceback" not in printed.out
    assert files(here) == before, f"written: {files(here) - before}"
