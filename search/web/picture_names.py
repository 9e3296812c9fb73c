"""The names of the pictures, in a module of their own, so that the child that draws them loads no database."""

CURVES, MATRIX, SAMPLES = "curves.png", "validation_confusion_matrix.png", "samples.png"
