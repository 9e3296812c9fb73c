"""Numbers from predictions: accuracy, F1, calibration, over- and underfitting, significance.

``inference`` runs a model over images, ``baselines`` fits the linear models that a net is compared with; all else
takes arrays. No files and no pictures: who writes or draws the numbers asks here.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.metrics.calibration import fit_temperature as fit_temperature
    from search.metrics.classification import Scores as Scores
    from search.metrics.classification import wilson as wilson
    from search.metrics.generalization import Fit as Fit
    from search.metrics.inference import logits as logits

__getattr__ = lazily(
    __name__,
    calibration="fit_temperature",
    classification="Scores wilson",
    generalization="Fit",
    inference="logits",
)
