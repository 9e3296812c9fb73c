"""Studies over a frozen backbone: real photographs, a real pretrained backbone, and a small one of its kind."""

import contextlib
import dataclasses
import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from search.config.settings import RunOptions, SweepOptions
from search.data import split
from search.data.backbones import backbone_file, find_backbones, with_files
from search.data.preparation import prepare
from search.errors import InputError
from search.execution.stop_requests import Stop
from search.execution.worker import Worker
from search.execution.worker_loop import work
from search.exporting.backbone import backbone_of, backbone_sentence
from search.exporting.child_training import TrainingResult
from search.exporting.export import Export
from search.exporting.fine_tuning import FineTuned, fine_tuning_sentence, improved
from search.exporting.scoring_job import compare_with_cached
from search.metrics.inference import logits
from search.prediction.predict import predict_images
from search.process.fork_server import ForkServer
from search.study.backbones import COMPARED, bring_backbones, with_backbones
from search.study.opening import open_study
from search.study.request import check_fine_tune
from search.study.study import LoadedStudy
from search.study.sweep_request import ask_for_sweep
from search.training.feature_cache import features_file, features_folder
from search.training.model_flops import forward_flops
from search.training.models import FEATURES
from search.workflows.export import export_study
from spaces import transfer
from spaces.contract import Backbone
from storage.claims import Claims

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
TRIALS, SIDE = 3, 48


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def make_ready(file: Path, cache: Path) -> str:
    """Have a backbone in the cache, made in this process; ``data/test_backbones`` has one of its own made."""

    def run_here(script: ModuleType, *arguments: str) -> subprocess.CompletedProcess[str]:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            script.main(*arguments)
        return subprocess.CompletedProcess(arguments, 0, printed.getvalue())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("search.data.backbones.run_script", run_here)
        find_backbones([str(file)], cache, lambda line: None)
    return str(file)


@pytest.fixture(scope="module")
def backbone(shared_data: Path, cache: Path) -> str:
    return make_ready(shared_data / "efficientnet_lite0_imagenet.keras", cache)


@pytest.fixture(scope="module")
def small_backbone(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A few convolutions with batch normalisation, of no training."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 127.5, -1.0)(inputs)
    for name in ("stem", "block0", "block1", "last"):
        x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name=name)(x)
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        x = layers.ReLU(name=f"{name}_relu")(x)
    file = tmp_path_factory.mktemp("backbones") / "small.keras"
    keras.Model(inputs, x).save(file)
    return make_ready(file, cache)


@pytest.fixture(scope="module")
def photographs(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ants and bees: 25 of each to train on, 10 of each to test on."""
    whole, part = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("part")
    shutil.unpack_archive(shared_data / "ants_bees.tar.gz", whole)
    for which, count in (("train", 25), ("test", 10)):
        for name in ("ants", "bees"):
            (part / which / name).mkdir(parents=True)
            for file in sorted((whole / "ants_bees" / which / name).glob("*.jpg"))[:count]:
                shutil.copy(file, part / which / name)
    return part


@pytest.fixture(scope="module")
def settings(
    photographs: Path, backbone: str, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("insects")
    (place / "artifacts").mkdir()
    return {
        "data": photographs,
        "space": "transfer",
        "backbones": (backbone,),
        "image_size": SIDE,
        "resize": "crop",
        "validation": 0.2,
        "epochs": 4,
        "pruner": "none",
        "artifacts": str(place / "artifacts"),
        "root": place / "studies",
        "cache": cache,
    }


@pytest.fixture(scope="module")
def search(fork_server: ForkServer) -> Callable[..., LoadedStudy]:
    """Open a study and run so many trials."""

    def run(name: str, trials: int, **settings: Any) -> LoadedStudy:
        study = open_study(RunOptions.given(name, **settings))
        claims = Claims(study.storage, study.study_id, "worker-1")
        work(Worker(study, fork_server, claims, Stop(), threads=2), lambda: trials)
        return study

    return run


@pytest.fixture(scope="module")
def export(
    fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Export, list[str]]]:
    """Export a study: that, and what was said."""

    def make(study: LoadedStudy, **more: Any) -> tuple[Export, list[str]]:
        said: list[str] = []
        name, out = study.config.study, tmp_path_factory.mktemp("exports") / "made"
        settings = {"root": study.paths.root, "out": out, "server": fork_server, "say": said.append, **more}
        return export_study(name, **settings), said

    return make


@pytest.fixture(scope="module")
def insects(settings: dict[str, Any], search) -> LoadedStudy:
    """The study ``insects``, searched over the pretrained backbone."""
    return search("insects", TRIALS, **settings)


@pytest.fixture(scope="module")
def exported(insects: LoadedStudy, export) -> Export:
    return export(insects, baselines=("logistic",))[0]


@pytest.fixture(scope="module")
def net(exported: Export) -> keras.Model:
    return exported.model()


@pytest.fixture(scope="module")
def some(settings: dict[str, Any], small_backbone: str, search) -> LoadedStudy:
    """The study ``some``, of 20 images, searched over the small backbone joined with itself at half the size."""
    joined = f"{small_backbone}@{SIDE}+{small_backbone}@{SIDE // 2}"
    own = {"backbones": (joined,), "images": 20, "epochs": 1, "artifacts": None}
    return search("some", 1, **{**settings, **own})


@pytest.fixture(scope="module")
def of_some(some: LoadedStudy, export, warm_checks) -> Export:
    with warm_checks():
        return export(some, baselines=("logistic",))[0]


@pytest.fixture(scope="module")
def tuned(some: LoadedStudy, of_some: Export, export, warm_checks) -> tuple[Export, list[str]]:
    """The same study's configuration trained on all images, its backbone's last part too; and what was said."""
    with warm_checks():
        return export(some, refit=True, refit_epochs=2, fine_tune=1, baselines=("svm",))


def features_of(study: LoadedStudy) -> tuple[Path, Any]:
    config, trial = study.config, study.ranked()[0]
    return features_folder(study.dataset(), backbone_of(study, trial), config.input_spec), config


def test_first_trials_are_logistic_regressions_and_one_wide_layer(insects: LoadedStudy) -> None:
    trials = insects.optuna.get_trials()[:3]
    assert [trial.params["dense_layers"] for trial in trials] == [0, 0, 1]


def test_features_are_of_the_training_images_alone(insects: LoadedStudy) -> None:
    folder, _ = features_of(insects)
    rows = {view: len(np.load(folder / f"{view}.npy", mmap_mode="r")) for view in ("plain", "mirror")}
    assert rows == {"plain": 50, "mirror": 50}


def test_trials_keep_heads_not_backbones(insects: LoadedStudy) -> None:
    trial = insects.ranked()[0]
    kept = insects.paths.model(trial.number, trial.user_attrs["token"])
    assert kept.stat().st_size < 4 * insects.config.backbones[0].parameters  # Bytes of a float32 each.


def test_export_is_whole_and_says_what_the_search_saw(
    exported: Export, net: keras.Model, insects: LoadedStudy
) -> None:
    seen = exported.summary["cached_path"]
    assert seen["images"] == exported.summary["validation_images"] == 10
    assert seen["largest_probability_difference"] <= 1e-2
    assert seen["same_class"] == 1.0
    assert net.input_shape == (None, SIDE, SIDE, 3)
    assert net.count_params() > insects.config.backbones[0].parameters


def test_baseline_on_features_is_scikit_learn_by_hand(
    exported: Export, net: keras.Model, insects: LoadedStudy
) -> None:
    folder, _ = features_of(insects)
    (_, labels), (test_images, test_labels) = insects.dataset().train(), insects.dataset().test()
    train = split(labels, 0.2, None, 0).train
    below = keras.Model(net.input, net.get_layer("backbone_features").output)
    features = np.load(folder / "plain.npy")[train].astype("float64")
    by_hand = LogisticRegression(C=1.0, max_iter=1000).fit(features, labels[train])
    right = by_hand.score(logits(below, test_images).astype("float64"), test_labels)
    found = exported.summary["baselines"]["logistic_on_features"]
    assert found["test_accuracy"] == pytest.approx(right)
    assert found["how"] == "exact, LogisticRegression(C=1)"
    assert "logistic" in exported.summary["baselines"]  # On pixels, too.


def test_prediction_says_what_is_nothing_like_the_training_images(
    exported: Export, photographs: Path, tmp_path: Path
) -> None:
    files = sorted((photographs / "train").rglob("*.jpg"))[::5]
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    (tmp_path / "broken.jpg").write_bytes(b"x")
    found = predict_images(exported.folder, [*files, tmp_path / "broken.jpg", noise])
    assert [each.unlike for each in found[len(files) :]] == [None, True]
    assert sum(bool(each.unlike) for each in found[: len(files)]) <= 1

    without = shutil.copytree(exported.folder, tmp_path / "without")
    (without / "familiarity.npz").unlink()
    same = predict_images(without, files)
    assert [each.unlike for each in same] == [None] * len(files)
    assert [each.label for each in same] == [each.label for each in found[: len(files)]]
    np.testing.assert_allclose(
        [each.confidence for each in same], [each.confidence for each in found[: len(files)]], atol=1e-5
    )


def test_summary_names_the_backbone(exported: Export) -> None:
    said = exported.summary["backbone"]
    assert (said["name"], said["size"], said["fine_tuned"]) == ("efficientnet_lite0_imagenet", SIDE, None)
    assert any(f"frozen, at {SIDE}x{SIDE} pixels" in sentence for sentence in exported.summary["words"])


def test_fine_tuned_export_of_all_images_says_nothing_by_the_searchs_net(
    tuned: tuple[Export, list[str]], some: LoadedStudy
) -> None:
    made, said = tuned
    assert any(line.startswith("fine-tune: epoch 1 of 1") for line in said)
    part = made.summary["backbone"]["fine_tuned"]
    assert (part["epochs"], part["layers"]) == (1, 1)
    words = f"1 of the backbone's {part['of_layers']} layers with weights ({part['parameters']:,} parameters)"
    assert f"Fine-tuned for 1 epoch, {words} with the head, on all training images." in said
    assert any(f"{words} fine-tuned in 1 epoch" in sentence for sentence in made.summary["words"])
    assert made.summary["train_images"] == 50
    # The search's net is of another kind: nothing is said of this one by its outputs.
    assert made.summary["calibration"]["temperature"] == 1.0
    assert made.summary["training_flops"] is None
    assert not list(some.paths.folder.rglob("*tuning*"))


def test_baseline_beside_a_fine_tuned_net_has_the_features_of_the_backbone_as_it_was(
    tuned: tuple[Export, list[str]], some: LoadedStudy, cache: Path
) -> None:
    found = tuned[0].summary["baselines"]
    assert list(found) == ["svm", "svm_on_features"]
    spec = dataclasses.replace(some.config.input_spec, backbones=with_files(some.config.backbones, cache))
    untouched = transfer.frozen(some.ranked()[0].params | {"backbone": spec.backbones[0].name}, spec)
    (_, labels), (test_images, test_labels) = some.dataset().train(), some.dataset().test()
    features = np.load(features_of(some)[0] / "plain.npy").astype("float64")
    by_hand = SVC(kernel="linear").fit(features, labels)
    right = by_hand.score(logits(untouched, test_images).astype("float64"), test_labels)
    assert found["svm_on_features"]["test_accuracy"] == pytest.approx(right)


def test_summary_and_card_have_the_cost_of_the_whole_net(
    exported: Export, net: keras.Model, insects: LoadedStudy
) -> None:
    flops = exported.summary["flops"]
    assert flops == forward_flops(net)
    assert flops > insects.ranked()[0].user_attrs["flops"]
    assert f"; {flops:,} floating-point operations an image" in (exported.folder / "model_card.md").read_text(
        "utf-8"
    )


def test_fine_tuning_changes_the_last_layers_of_the_backbone_and_no_batch_statistic(
    tuned: tuple[Export, list[str]], some: LoadedStudy, cache: Path
) -> None:
    untouched = keras.models.load_model(backbone_file(cache, some.config.backbones[0].nets[0].digest))
    before, after = weights_of(untouched), weights_of(tuned[0].model().get_layer("backbone"))
    assert len(before) == 4 * 5
    assert before.keys() == after.keys()
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert changed == ["last/kernel"]


def weights_of(net: keras.Model) -> dict[str, np.ndarray]:
    """By ``layer/weight``."""
    return {"/".join(weight.path.split("/")[-2:]): np.array(weight) for weight in net.weights}


@pytest.mark.parametrize(
    ("direction", "after", "better"),
    [("maximize", 0.9, True), ("maximize", 0.8, False), ("minimize", 0.7, True), ("maximize", None, True)],
)
def test_fine_tuned_net_is_taken_if_it_is_better_by_validation(
    direction: str, after: float | None, better: bool
) -> None:
    training = TrainingResult(False, 10, 2, 1, 1.0, {}, {})
    tuned = FineTuned(training, training, 0.8, after)
    assert improved(tuned, direction) is better
    said = fine_tuning_sentence(tuned, "accuracy", better)
    assert ("nothing gained, so the frozen net is exported" in said) is not better


def test_values_before_and_after_fine_tuning_are_written_as_elsewhere() -> None:
    training = TrainingResult(False, 10, 2, 1, 1.0, {}, {})
    tuned = FineTuned(training, training, 0.9746, 0.98)
    said = fine_tuning_sentence(tuned, "macro_f1", True)
    assert said.endswith(": validation macro f1 0.9746 before and 0.9800 after.")


def test_fine_tuning_of_a_backbone_without_weights_is_refused() -> None:
    empty = Backbone("pool", "pool.keras", "0", 3, parameters=0)
    with pytest.raises(
        InputError, match="--fine-tune 3: backbone pool has no weights, so nothing would be tuned"
    ):
        check_fine_tune("s", "transfer", 3, [empty])
    check_fine_tune("s", "transfer", None, [empty])


def test_study_goes_on_without_saying_its_backbone_again(
    insects: LoadedStudy, settings: dict[str, Any]
) -> None:
    left_out = {name: value for name, value in settings.items() if name != "backbones"}
    assert open_study(RunOptions.given("insects", **left_out)).config == insects.config


def test_backbone_of_a_study_in_folds_is_chosen_before_the_search(
    settings: dict[str, Any], backbone: str, small_backbone: str, fork_server: ForkServer
) -> None:
    in_folds = {**settings, "backbones": (small_backbone, backbone), "folds": 3, "artifacts": None}
    del in_folds["validation"]
    said = RunOptions.given("chosen", **in_folds)
    study = open_study(said, server=fork_server)
    compared = study.optuna.user_attrs[COMPARED]
    joined = f"efficientnet_lite0_imagenet at {SIDE} + small at {SIDE}"
    assert list(compared) == ["small", "efficientnet_lite0_imagenet", joined]
    assert compared["small"] < compared["efficientnet_lite0_imagenet"] - 0.1
    assert [one.name for one in study.config.backbones] == ["efficientnet_lite0_imagenet"]
    assert open_study(said, server=fork_server).study_id == study.study_id
    assert "chosen before the search, by logistic regression" in backbone_sentence(
        {
            "name": "b",
            "parameters": 1,
            "size": 48,
            "fine_tuned": None,
            "chosen_by_logistic_regression": compared,
        },
        1,
    )


def test_another_backbone_is_refused(
    insects: LoadedStudy, settings: dict[str, Any], small_backbone: str
) -> None:
    with pytest.raises(InputError, match="was made with efficientnet_lite0_imagenet"):
        open_study(RunOptions.given("insects", **{**settings, "backbones": (small_backbone,)}))


def test_host_without_the_file_gets_it_from_the_artifacts(insects: LoadedStudy, tmp_path: Path) -> None:
    shutil.copytree(insects.dataset().folder, tmp_path / insects.config.fingerprint)
    config = dataclasses.replace(
        insects.config, backbones=(dataclasses.replace(insects.config.backbones[0], said="/gone.keras"),)
    )
    elsewhere = dataclasses.replace(insects, config=config, prepared=tmp_path / insects.config.fingerprint)
    bring_backbones(elsewhere)
    digest = insects.config.backbones[0].digest
    assert (tmp_path / "backbones" / f"{digest}.keras").is_file()


def test_host_that_finds_no_file_says_how_to_bring_it(insects: LoadedStudy, tmp_path: Path) -> None:
    shutil.copytree(insects.dataset().folder, tmp_path / insects.config.fingerprint)
    gone = dataclasses.replace(insects.config.backbones[0], said="/gone.keras")
    config = dataclasses.replace(insects.config, backbones=(gone,), artifacts=None)
    elsewhere = dataclasses.replace(insects, config=config, prepared=tmp_path / insects.config.fingerprint)
    with pytest.raises(InputError, match=r"search\.prefetch --backbone /gone\.keras"):
        bring_backbones(elsewhere)


def test_features_of_a_study_are_found_by_an_export(insects: LoadedStudy) -> None:
    found = features_file(
        insects.dataset(), backbone_of(insects, insects.ranked()[0]), insects.config.input_spec
    )
    assert found is not None
    assert found.name == "plain.npy"


def test_features_of_joined_nets_are_those_that_the_exported_net_computes(
    some: LoadedStudy, of_some: Export
) -> None:
    images, labels = some.dataset().train()
    used = split(labels, 0.2, 20, 0).all
    file = features_file(some.dataset(), backbone_of(some, some.ranked()[0]), some.config.input_spec, used)
    assert file is not None
    net = of_some.model()
    features = keras.Model(net.input, net.get_layer(FEATURES).output)
    computed = np.asarray(features.predict_on_batch(images[used]))
    assert computed.shape[1] == 2 * 16
    np.testing.assert_allclose(computed, np.load(file)[used], rtol=1e-2, atol=1e-3)
    assert [part["size"] for part in of_some.summary["backbone"]["joined"]] == [SIDE, SIDE // 2]


def test_study_of_some_images_computes_their_features_alone(some: LoadedStudy) -> None:
    _, labels = some.dataset().train()
    used = split(labels, 0.2, 20, 0).all
    file = features_file(some.dataset(), backbone_of(some, some.ranked()[0]), some.config.input_spec, used)
    assert file is not None
    there = np.load(file, mmap_mode="r").any(axis=1)
    assert np.flatnonzero(there).tolist() == used.tolist()
    assert len(used) == 30 < len(there)


def test_export_of_some_images_has_a_baseline_on_their_features(of_some: Export) -> None:
    assert list(of_some.summary["baselines"]) == ["logistic", "logistic_on_features"]
    assert of_some.summary["baselines"]["logistic_on_features"]["train_images"] == 20


def test_backbone_of_a_space_that_has_none_is_refused(backbone: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="space cnn has no backbone; pass --space transfer"):
        open_study(
            RunOptions.given(
                "s",
                data="digits",
                space="cnn",
                backbones=(backbone,),
                root=tmp_path / "studies",
                cache=tmp_path,
            )
        )


def test_small_images_of_one_size_are_not_enlarged_on_disk(tmp_path: Path) -> None:
    dataset = prepare("digits", image_size=64, enlarge=False, cache=tmp_path, say=lambda line: None)
    assert (dataset.height, dataset.width) == (8, 8)


def test_artifact_that_is_half_written_is_not_taken(insects: LoadedStudy, tmp_path: Path) -> None:
    store = tmp_path / "artifacts"
    store.mkdir()
    gone = dataclasses.replace(insects.config.backbones[0], said="/gone.keras")
    (store / f"backbone-{gone.digest}.keras").write_bytes(b"PK half of it")
    shutil.copytree(insects.dataset().folder, tmp_path / insects.config.fingerprint)
    config = dataclasses.replace(insects.config, backbones=(gone,), artifacts=str(store))
    elsewhere = dataclasses.replace(insects, config=config, prepared=tmp_path / insects.config.fingerprint)
    with pytest.raises(InputError, match="is not on this host"):
        bring_backbones(elsewhere)
    assert not (tmp_path / "backbones" / f"{gone.digest}.keras").exists()


def test_fine_tuning_of_another_head_is_another_training(insects: LoadedStudy, tmp_path: Path) -> None:
    from search.exporting.training_plans import trial_plan

    plan, identities = trial_plan(insects, insects.ranked()[0]), set()
    for content in (b"one head", b"another"):
        with zipfile.ZipFile(tmp_path / "head.keras", "w") as file:
            file.writestr("model.weights.h5", content)
        identities.add(dataclasses.replace(plan, tune=str(tmp_path / "head.keras")).identity)
    assert len(identities) == 2


def test_image_that_a_backbone_leaves_nothing_of_is_refused(insects: LoadedStudy, monkeypatch: Any) -> None:
    strict = dataclasses.replace(insects.config.backbones[0], least=75)
    monkeypatch.setattr("search.study.backbones.find_backbones", lambda said, cache: (strict,))
    with pytest.raises(InputError, match=r"--image-size 64: .* pass 75 or more"):
        with_backbones(insects.config, (), insects.dataset(), 64)


def test_sweep_around_a_study_has_its_backbones(insects: LoadedStudy, backbone: str) -> None:
    around = SweepOptions.given(
        "around", base="study:insects", vary={"dropout": (0.1, 0.2)}, root=insects.paths.root
    )
    _, asked = ask_for_sweep(around)
    assert (asked.backbones, asked.image_size) == ((backbone,), SIDE)


def test_export_that_differs_from_the_search_is_named() -> None:
    seen = np.array([[0.0, 1.0], [2.0, 0.0]], np.float32)
    assert compare_with_cached(seen, seen)["same_class"] == 1
    with pytest.raises(ValueError, match="differ from the search's"):
        compare_with_cached(seen, seen[:, ::-1])


def test_config_is_stored_with_its_backbones(insects: LoadedStudy) -> None:
    stored = json.loads(insects.config.to_json())
    assert stored["backbones"][0]["name"] == "efficientnet_lite0_imagenet"
    assert type(insects.config).from_json(insects.config.to_json()) == insects.config
