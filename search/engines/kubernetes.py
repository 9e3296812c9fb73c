"""Workers as the pods of an Indexed Job of Kubernetes: a manifest to apply, and nothing else.

The cluster starts a pod again whose node is lost, and waits for a pod that it ends; who does what is in the manifest's
own fields, so that ``kubectl`` is all that is needed. Password and URL of the database stand in a Secret alone.
"""

import math
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import PurePosixPath
from typing import Any

import yaml

from search.config.option import flag_of
from search.config.settings import ManifestOptions
from search.engines.base import worker_flags
from search.engines.resources import check_shares
from search.errors import InputError
from search.execution.stop_requests import EXIT_SECONDS
from search.study.finding import load_study, storage_error
from storage.url import ENVIRONMENT, is_sqlite, parse, redacted, storage_url

PROGRAM = "keras-image-search"
# Where pods mount the volume: their working folder, so that studies/, exports/ and spaces of one's own lie there.
PLACE = PurePosixPath("/data")
# The user that pods run as, which the Dockerfile makes; the volume's files are given to its group.
USER = 1000
GPU = "nvidia.com/gpu"
BUCKETS = ("s3://", "gs://")
# What a worker needs between its end and the cluster's patience: the container's own end, and a slow node.
MARGIN_SECONDS = 27
# For so long a pod stays on a node that does not answer; Kubernetes's own default is five minutes.
LOST_SECONDS = 60
# How often a pod may die by itself (a fault, kill -9, memory) before its place is given up.
MOST_DEATHS = 5
# A worker that was told to end by a signal: it has given its trial back.
STOPPED = (130, 143)
# One that says why it cannot go on: started again, it would say the same.
CANNOT_GO_ON = (1, 2)


def render_workers(options: ManifestOptions) -> str:
    """The workers of a study as a manifest in YAML, which ``kubectl apply`` takes.

    Raises:
        InputError: The study is not in the database, which is to be a server's, or pods could not share its files.
    """
    check_shares(options.workers, options.gpus, options.per_gpu)
    _refuse_sqlite(options)
    study = load_study(options.study, options.storage, options.root)
    _check_places(options, study.config.artifacts)
    job = workers_job(options, study.paths.uid, study.config.artifacts)
    name = job["metadata"]["name"]
    return (
        f"# The workers of study {options.study}. They are started by: kubectl apply -f FILE\n"
        f"# and ended, after which others go on with their trials, by: kubectl delete job {name}\n"
        f"{yaml.safe_dump(job, sort_keys=False, width=120)}"
    )


def _refuse_sqlite(options: ManifestOptions) -> None:
    try:
        url = parse(storage_url(options.storage, options.root))
    except ValueError as error:
        raise storage_error(error, options.storage) from None
    if is_sqlite(url):
        raise InputError(
            f"--storage {redacted(url)}: study {options.study} is looked for in an SQLite file, which serves one host, "
            "and each pod is one; expected a study in Postgres, such as postgresql://me@db.example.org/search"
        )


def _check_places(options: ManifestOptions, artifacts: str | None) -> None:
    """Refuse places of files that pods do not share.

    Raises:
        InputError: They do not.
    """
    in_bucket = artifacts is not None and artifacts.startswith(BUCKETS)
    if options.claim is None:
        if not in_bucket:
            raise InputError(
                f"--claim: the checkpoints of study {options.study} lie in "
                f"{'its studies folder' if artifacts is None else artifacts}, which pods share on a volume alone; "
                "expected --claim NAME of one, or a study that was made with --artifacts s3://BUCKET"
            )
        return
    places = {flag_of(options, "root"): str(options.root)}
    if artifacts is not None and not in_bucket:
        places["--artifacts"] = artifacts
    for flag, place in places.items():
        if not (PLACE / place).is_relative_to(PLACE):
            raise InputError(
                f"{flag} {place}: pods of --claim {options.claim} share {PLACE} alone; expected a folder in it"
            )


def job_name(study: str, uid: str) -> str:
    """The name of a study's Job: one that Kubernetes takes, with room for a pod's number, and no other study's."""
    plain = re.sub(r"[^a-z0-9]+", "-", study.lower())[:40].strip("-")
    return f"search-{plain}-{uid}"


def workers_job(options: ManifestOptions, uid: str, artifacts: str | None) -> dict[str, Any]:
    """The Job of a study's workers.

    Args:
        options: How many, of which image, with what.
        uid: The study's identifier.
        artifacts: Where its hosts leave files for each other; None where they share a volume.
    """
    name, share = job_name(options.study, uid), options.per_gpu or 1
    pods = (options.workers or share) // share
    labels = {"app.kubernetes.io/name": PROGRAM, "app.kubernetes.io/instance": name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels, "annotations": {f"{PROGRAM}/study": options.study}},
        "spec": {
            "completionMode": "Indexed",
            "completions": pods,
            "parallelism": pods,
            "backoffLimitPerIndex": MOST_DEATHS,
            # A worker ends with 0 once the study has all its trials: then nobody has anything left to do.
            "successPolicy": {"rules": [{"succeededCount": 1}]},
            "podFailurePolicy": {
                "rules": [
                    # Lost with its node, evicted or preempted; or told to end: another pod takes its place.
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {"action": "Ignore", "onExitCodes": {"operator": "In", "values": list(STOPPED)}},
                    {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": list(CANNOT_GO_ON)}},
                ]
            },
            "template": {"metadata": {"labels": {**labels}}, "spec": _pod(options, artifacts)},
        },
    }


def _pod(options: ManifestOptions, artifacts: str | None) -> dict[str, Any]:
    lost = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    tolerations: list[dict[str, Any]] = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": LOST_SECONDS}
        for key in lost
    ]
    if options.gpus:
        tolerations.append({"key": GPU, "operator": "Exists", "effect": "NoSchedule"})
    volume: Mapping[str, Any] = (
        {"emptyDir": {}} if options.claim is None else {"persistentVolumeClaim": {"claimName": options.claim}}
    )
    return {
        "restartPolicy": "Never",  # The Job's own rules start a pod again.
        "terminationGracePeriodSeconds": math.ceil(EXIT_SECONDS) + MARGIN_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "tolerations": tolerations,
        "containers": [_worker(options, artifacts)],
        "volumes": [{"name": "data", **volume}],
    }


def _worker(options: ManifestOptions, artifacts: str | None) -> dict[str, Any]:
    command = ["python", "-m", "search.worker", "--patient", "--study", options.study]
    command += worker_flags(options, ("root", "backend", "gpu_memory", "gpus", "per_gpu"))
    amounts = {"cpu": options.cpu, "memory": options.memory} | ({GPU: "1"} if options.gpus else {})
    worker: dict[str, Any] = {
        "name": "worker",
        "image": options.image or f"{PROGRAM}:{metadata.version(PROGRAM)}",
        # Not "command": the image's own entry point passes signals on and takes in orphans.
        "args": command,
        "workingDir": str(PLACE),
        "env": [
            {
                "name": ENVIRONMENT,
                "valueFrom": {"secretKeyRef": {"name": options.secret, "key": ENVIRONMENT}},
            },
            {"name": "HOME", "value": "/tmp"},
            {"name": "XDG_CACHE_HOME", "value": str(PLACE / "cache")},
        ],
        # The same as limits: by its limit a worker knows its cores, and a node has what its pods may take.
        "resources": {"requests": amounts, "limits": {**amounts}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": str(PLACE)}],
    }
    if artifacts is not None and artifacts.startswith(BUCKETS):
        # What the bucket's library asks the environment for, such as AWS_ACCESS_KEY_ID.
        worker["envFrom"] = [{"secretRef": {"name": options.secret}}]
    return worker
