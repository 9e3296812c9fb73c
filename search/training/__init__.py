"""One training, from plan to kept weights, in a process of its own.

``job`` is its loop, ``training`` one training between its epochs, with early stopping, and ``batch_watch`` what is seen
of it batch by batch; ``checkpointing`` says what is in a checkpoint. Images are varied in ``augmentation``, on a GPU in
``device_data``; a backbone's features are computed once, in ``feature_cache``. Nothing here knows of studies or
databases.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.training.job import train as train
    from search.training.job import train_folds as train_folds
    from search.training.plan import TrainingPlan as TrainingPlan

__getattr__ = lazily(__name__, job="train train_folds", plan="TrainingPlan")
