"""Fit, schedules, augmentation, checkpoints: plain Keras 3 on any backend; no Optuna."""
