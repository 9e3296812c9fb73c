"""The scoring job as the exporting process sees it: what it is asked, and what its pass over the test images gave."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from search.errors import StudyStopped
from search.exporting.backbone import cached_features
from search.exporting.out_of_fold import OutOfFold
from search.exporting.training_plans import trial_plan
from search.metrics.baselines import baseline_figures, scores_of_classes
from search.metrics.classification import Integers, Scores
from search.study import ending

if TYPE_CHECKING:
    from search.exporting.model import ModelFiles
    from search.exporting.request import ExportRequest
    from search.process.fork_server import ForkServer


Arrays = dict[str, npt.NDArray[Any]]


class Mistakes(NamedTuple):
    """The test images that were misclassified with the highest confidence, highest first.

    Attributes:
        indices: Their numbers among the test images, ``(M,)``, int64.
        images: Of each its picture, ``(H, W, C)``, uint8; see ``search.data.dataset.Dataset.thumbnails``.
    """

    indices: Integers
    images: Sequence[npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class ScoringResult:
    """What the scoring job found.

    Attributes:
        test: Scores of the exported weights on the test images.
        validation: Their scores on the validation images; after a refit they were trained on these.
        train_images: Number of training images in the search's split.
        seen: Scores on some training images, undisturbed by augmentation, of the weights that ``unseen`` is of.
        unseen: Scores on the validation images of weights that were not trained on them; None where none are kept.
        temperature: Fitted on ``unseen``, or out of fold; None where that is not possible.
        mistakes: For a picture.
        names: What a person knows each test image by; empty where they have numbers alone.
        baselines: Figures of each baseline, see ``search.metrics.baselines.baseline_figures``.
        out_of_fold: Of a trial in folds, what these predicted; None where that is not known.
        baked: Whether the exported files have the temperature inside.
        milliseconds: What the net takes an image, in batches, on the device that scored it; None where not measured.
        cached_path: Of a net over a frozen backbone, see ``search.exporting.scoring_job.compare_with_cached``.
    """

    test: Scores
    validation: Scores
    train_images: int
    seen: Scores | None
    unseen: Scores | None
    temperature: float | None
    mistakes: Mistakes
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)
    cached_path: dict[str, Any] | None = None
    names: Sequence[str] = ()
    out_of_fold: OutOfFold | None = None
    milliseconds: float | None = None
    baked: bool = False

    def name(self, index: int) -> str:
        """What a person knows a test image by: the path of its file, or its number."""
        return self.names[index] if self.names else str(index)

    @property
    def calibrated(self) -> Scores:
        """``test`` at the temperature, if there is one: the same classes with other confidences."""
        return replace(self.test, temperature=self.temperature or 1.0)

    def as_exported(self, scores: Scores) -> Scores:
        """Scores of the outputs of the exported files, which may have the temperature inside."""
        return replace(scores, temperature=self.temperature or 1.0) if self.baked else scores


def scoring_payload(
    request: "ExportRequest", files: "ModelFiles", stored: Path, temperature: float | None = None
) -> dict[str, Any]:
    """The payload of ``search.exporting.scoring_job.score``, which writes to ``stored``; see there."""
    config = request.loaded.config
    wanted = bool(config.backbones) and (files.head is not None or bool(request.baselines))
    features = cached_features(request) if wanted else None
    if wanted and request.baselines and features is None:
        request.say(
            "no baseline on the backbone's features: those of its training images are not on this host"
        )
    # A fine-tuned net has other features than the cached ones, on which the baselines are fitted.
    frozen = trial_plan(request.loaded, request.trial) if features and files.head is None else None
    return {
        "model": str(files.model),
        "dataset": str(request.loaded.dataset().folder),
        "source": config.data,
        "validation": config.validation,
        "images": config.images,
        "split_seed": config.seed,
        "folds": config.folds,
        "fold_of": config.fold_of,
        # Raced weights are scored on what the race has measured them by; beside a refit they are on all such images.
        "race": config.race_images,
        "race_part": 0 if request.race and config.race_images else None,
        "race_parts": 1 if request.refit else ending.PARTS_OF_IMAGES,
        "out": str(stored),
        "gpu_memory": request.options.gpu_memory,
        "temperature": temperature,
        "unseen": str(files.unseen) if files.unseen else None,
        "head": str(files.head) if files.head else None,
        "features": features,
        "frozen": frozen.to_payload() if frozen else None,
        "baselines": list(request.baselines),
        "refit": request.refit,
    }


def score_in_child(
    server: "ForkServer",
    payload: dict[str, Any],
    log: Path,
    threads: int,
    before_test: Callable[[Scores, float | None], None] = lambda validation, temperature: None,
) -> ScoringResult:
    """Run ``search.exporting.scoring_job`` in a child.

    Args:
        server: Starts the child.
        payload: See ``search.exporting.scoring_job.score``.
        log: Gets what the child prints.
        threads: CPU threads; 0 for as many as there are cores.
        before_test: Called with the scores of the validation images and the temperature, if there is one, before the
            test images are opened, which they are not if it raises; ``out`` has by then all that needs no test image.

    Raises:
        TrialFailed: The child crashed, or memory ran out.
        StudyStopped: The outputs are not finite, or the figures made from them contradict each other.
    """
    out = Path(payload["out"])
    with server.start("search.exporting.scoring_job:score", payload, log, threads) as child:
        temperature = child.result().get("temperature")
        with _scorable():
            validation = _scores(_stored(out), "validation")
        before_test(validation, temperature)
        child.send({"go": True})
        message = child.result()
    with _scorable():
        return read_result(message, _stored(out), has_unseen=bool(payload["unseen"]))


@contextmanager
def _scorable() -> Iterator[None]:
    """Let nothing be exported whose outputs make no figures."""
    try:
        yield
    except ValueError as error:
        raise StudyStopped(f"the model cannot be scored: {error}; nothing exported") from error


def _stored(out: Path) -> Arrays:
    with np.load(out) as stored:
        return {name: stored[name] for name in stored.files if not name.startswith("reload")}


def _scores(arrays: Arrays, name: str) -> Scores:
    return Scores(arrays[f"{name}_labels"], arrays[f"{name}_logits"])


def read_result(message: dict[str, Any], arrays: Arrays, *, has_unseen: bool) -> ScoringResult:
    """Check what the job sent and stored, and put it together.

    Args:
        message: The message of its end.
        arrays: What it stored.
        has_unseen: Whether it had weights that were not trained on the validation images.

    Raises:
        ValueError: The outputs are not finite, or the figures made from them contradict each other.
    """
    test = _scores(arrays, "test")
    classes = test.logits.shape[1]
    _ = test.confusion_matrix  # checks itself against the accuracy
    return ScoringResult(
        test,
        _scores(arrays, "validation"),
        message["train_images"],
        _scores(arrays, "seen") if has_unseen else None,
        _scores(arrays, "unseen") if has_unseen else None,
        message["temperature"],
        Mistakes(arrays["mistakes"], [arrays[f"mistaken_{at}"] for at in range(len(arrays["mistakes"]))]),
        {
            key: baseline_figures(
                **fitted, scores=scores_of_classes(test.labels, arrays[f"baseline_{key}"], classes)
            )
            for key, fitted in message["baselines"].items()
        },
        message["cached_path"],
        arrays["test_names"].tolist(),
        milliseconds=message.get("milliseconds"),
    )
