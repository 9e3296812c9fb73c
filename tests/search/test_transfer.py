"""Studies over a frozen backbone: real photographs, a real pretrained backbone, small."""

import dataclasses
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from search.child import ForkServer
from search.data import prepare, split
from search.errors import InputError
from search.evaluation.backbone import chosen
from search.evaluation.cached_path import cached_path, differs
from search.evaluation.forward import logits
from search.evaluation.summary import Training
from search.evaluation.tuning import Tuned, gained, sentence
from search.export import Export, export_study
from search.loop import work
from search.opening import Request, open_study
from search.stopping import Stop
from search.study import LoadedStudy
from search.study_backbones import bring_backbones, with_backbones
from search.training.features import features_file, features_folder
from search.trial import Worker
from search.vary import backbones_of
from storage.claims import Claims

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
TRIALS = 3


@pytest.fixture(scope="module")
def backbone(shared_data: Path) -> str:
    return str(shared_data / "efficientnet_lite0_imagenet.keras")


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
def settings(photographs: Path, backbone: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("insects")
    (place / "artifacts").mkdir()
    return {
        "data": photographs,
        "space": "transfer",
        "backbones": (backbone,),
        "image_size": 96,
        "resize": "crop",
        "validation": 0.2,
        "epochs": 4,
        "pruner": "none",
        "artifacts": str(place / "artifacts"),
        "root": place / "studies",
        "cache": place / "cache",
    }


@pytest.fixture(scope="module")
def insects(settings: dict[str, Any], fork_server: ForkServer) -> LoadedStudy:
    """The study ``insects``, searched."""
    study = open_study(Request("insects", **settings))
    claims = Claims(study.storage, study.study_id, "worker-1")
    work(Worker(study, fork_server, claims, Stop(), threads=2), lambda: TRIALS)
    return study


def export(study: LoadedStudy, fork_server: ForkServer, out: Path, **more: Any) -> tuple[Export, list[str]]:
    said: list[str] = []
    made = export_study(
        "insects", root=study.paths.root, out=out, server=fork_server, say=said.append, **more
    )
    return made, said


@pytest.fixture(scope="module")
def exported(
    insects: LoadedStudy, fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> Export:
    out = tmp_path_factory.mktemp("exports") / "insects"
    return export(insects, fork_server, out, baselines=("logistic",))[0]


def features_of(study: LoadedStudy) -> tuple[Path, Any]:
    config, trial = study.config, study.ranked()[0]
    return features_folder(study.dataset(), chosen(study, trial), config.input_spec), config


def test_first_trials_are_logistic_regression_and_one_wide_layer(insects: LoadedStudy) -> None:
    trials = insects.optuna.get_trials()[:2]
    assert [trial.params["dense_layers"] for trial in trials] == [0, 1]


def test_features_are_of_the_training_images_alone(insects: LoadedStudy) -> None:
    folder, _ = features_of(insects)
    rows = {view: len(np.load(folder / f"{view}.npy", mmap_mode="r")) for view in ("plain", "mirror")}
    assert rows == {"plain": 50, "mirror": 50}


def test_trials_keep_heads_not_backbones(insects: LoadedStudy) -> None:
    trial = insects.ranked()[0]
    kept = insects.paths.model(trial.number, trial.user_attrs["token"])
    assert kept.stat().st_size < insects.config.backbones[0].parameters


def test_export_is_whole_and_says_what_the_search_saw(exported: Export, insects: LoadedStudy) -> None:
    seen = exported.summary["cached_path"]
    assert seen["images"] == exported.summary["validation_images"] == 10
    assert seen["largest_probability_difference"] <= 1e-2
    assert seen["same_class"] == 1.0
    model = exported.model()
    assert model.input_shape == (None, 96, 96, 3)
    assert model.count_params() > insects.config.backbones[0].parameters


def test_baseline_on_features_is_scikit_learn_by_hand(exported: Export, insects: LoadedStudy) -> None:
    import keras

    folder, _ = features_of(insects)
    from search.data import split

    (_, labels), (test_images, test_labels) = insects.dataset().train(), insects.dataset().test()
    train = split(labels, 0.2, None, 0).train
    model = exported.model()
    below = keras.Model(model.input, model.get_layer("backbone_features").output)
    features = np.load(folder / "plain.npy")[train].astype("float64")
    by_hand = LogisticRegression(C=1.0, max_iter=1000).fit(features, labels[train])
    right = by_hand.score(logits(below, test_images).astype("float64"), test_labels)
    found = exported.summary["baselines"]["logistic_on_features"]
    assert found["test_accuracy"] == pytest.approx(right)
    assert found["how"] == "exact, LogisticRegression(C=1)"
    assert "logistic" in exported.summary["baselines"]  # On pixels, too.


def test_summary_names_the_backbone(exported: Export) -> None:
    said = exported.summary["backbone"]
    assert (said["name"], said["size"], said["fine_tuned"]) == ("efficientnet_lite0_imagenet", 96, None)
    assert any("frozen, at 96x96 pixels" in sentence for sentence in exported.summary["words"])


def test_fine_tuned_export_of_all_images_is_another_net(
    insects: LoadedStudy, exported: Export, fork_server: ForkServer, tmp_path: Path
) -> None:
    settings = {"refit": True, "refit_epochs": 2, "fine_tune": 1, "baselines": ("svm",)}
    made, said = export(insects, fork_server, tmp_path / "tuned", **settings)
    assert any(line.startswith("fine-tune: epoch 1 of 1") for line in said)
    assert made.summary["backbone"]["fine_tuned"]["epochs"] == 1
    assert made.summary["train_images"] == 50
    # The search's net is of another kind: nothing is said of this one by its outputs, or by cached features.
    assert made.summary["calibration"]["temperature"] == 1.0
    assert list(made.summary["baselines"]) == ["svm"]
    assert made.summary["training_flops"] is None
    frozen, tuned = weights_of(exported), weights_of(made)
    changed = [name for name in frozen if not np.array_equal(frozen[name], tuned[name])]
    # The first blocks are as they were, the last are not; no batch statistic has moved.
    assert not any(name.startswith(("stem", "block0", "block5")) for name in changed)
    assert any(name.startswith("head_conv") for name in changed)
    assert not any("_bn" in name for name in changed)
    assert not list(insects.paths.folder.rglob("*tuning*"))


def weights_of(made: Export) -> dict[str, np.ndarray]:
    """Of the backbone's layers, by ``layer/weight``."""
    below = next(layer for layer in made.model().layers if layer.name == "backbone")
    return {
        f"{layer.name}/{weight.name}": np.array(weight)
        for layer in below._flatten_layers()
        if not hasattr(layer, "layers")
        for weight in layer.weights
    }


@pytest.mark.parametrize(
    ("direction", "after", "better"),
    [("maximize", 0.9, True), ("maximize", 0.8, False), ("minimize", 0.7, True), ("maximize", None, True)],
)
def test_fine_tuned_net_is_taken_if_it_is_better_by_validation(
    direction: str, after: float | None, better: bool
) -> None:
    training = Training(False, 10, 2, 1, 1.0, {}, {})
    tuned = Tuned(training, training, 0.8, after)
    assert gained(tuned, direction) is better
    said = sentence(tuned, "accuracy", better)
    assert ("nothing gained, so the frozen net is exported" in said) is not better


def test_study_goes_on_without_saying_its_backbone_again(
    insects: LoadedStudy, settings: dict[str, Any]
) -> None:
    left_out = {name: value for name, value in settings.items() if name != "backbones"}
    assert open_study(Request("insects", **left_out)).config == insects.config


def test_another_backbone_is_refused(insects: LoadedStudy, settings: dict[str, Any], tmp_path: Path) -> None:
    import keras

    inputs = keras.Input((None, None, 3))
    keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs)).save(tmp_path / "other.keras")
    said = {**settings, "backbones": (str(tmp_path / "other.keras"),)}
    with pytest.raises(InputError, match="was made with efficientnet_lite0_imagenet"):
        open_study(Request("insects", **said))


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
    found = features_file(insects.dataset(), chosen(insects, insects.ranked()[0]), insects.config.input_spec)
    assert found is not None
    assert found.name == "plain.npy"


def test_study_of_some_images_computes_their_features_alone(
    settings: dict[str, Any], fork_server: ForkServer, tmp_path: Path
) -> None:
    own = {"images": 20, "cache": tmp_path / "cache", "root": tmp_path / "studies", "artifacts": None}
    study = open_study(Request("some", **{**settings, **own, "epochs": 1}))
    claims = Claims(study.storage, study.study_id, "worker-1")
    work(Worker(study, fork_server, claims, Stop(), threads=2), lambda: 1)
    said: list[str] = []
    made = export_study(
        "some",
        root=study.paths.root,
        out=tmp_path / "out",
        server=fork_server,
        say=said.append,
        baselines=("logistic",),
    )
    _, labels = study.dataset().train()
    used = split(labels, 0.2, 20, 0).all
    file = features_file(study.dataset(), chosen(study, study.ranked()[0]), study.config.input_spec, used)
    assert file is not None
    there = np.load(file, mmap_mode="r").any(axis=1)
    assert np.flatnonzero(there).tolist() == used.tolist()
    assert len(used) == 30 < len(there)
    assert list(made.summary["baselines"]) == ["logistic", "logistic_on_features"]


def test_backbone_of_a_space_that_has_none_is_refused(backbone: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="space cnn has no backbone; pass --space transfer"):
        open_study(
            Request("s", data="digits", backbones=(backbone,), root=tmp_path / "studies", cache=tmp_path)
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
    from search.evaluation.plans import plan_of

    plan, identities = plan_of(insects, insects.ranked()[0]), set()
    for content in (b"one head", b"another"):
        with zipfile.ZipFile(tmp_path / "head.keras", "w") as file:
            file.writestr("model.weights.h5", content)
        identities.add(dataclasses.replace(plan, tune=str(tmp_path / "head.keras")).identity)
    assert len(identities) == 2


def test_image_that_a_backbone_leaves_nothing_of_is_refused(insects: LoadedStudy, monkeypatch: Any) -> None:
    strict = dataclasses.replace(insects.config.backbones[0], least=75)
    monkeypatch.setattr("search.study_backbones.find_backbones", lambda said, cache: (strict,))
    with pytest.raises(InputError, match=r"--image-size 64: .* pass 75 or more"):
        with_backbones(insects.config, (), insects.dataset(), 64)


def test_sweep_around_a_study_has_its_backbones(insects: LoadedStudy, backbone: str) -> None:
    found = backbones_of("insects", None, insects.paths.root, None)
    assert found == {"backbones": (backbone,), "image_size": 96}


def test_export_that_differs_from_the_search_is_named() -> None:
    seen = np.array([[0.0, 1.0], [2.0, 0.0]], np.float32)
    assert differs(cached_path(seen, seen)) == ""
    assert "differ from the search's" in differs(cached_path(seen, seen[:, ::-1]))


def test_config_is_stored_with_its_backbones(insects: LoadedStudy) -> None:
    stored = json.loads(insects.config.to_json())
    assert stored["backbones"][0]["name"] == "efficientnet_lite0_imagenet"
    assert type(insects.config).from_json(insects.config.to_json()) == insects.config
