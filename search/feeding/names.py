"""What the pictures are called: a module of its own, so that the child that draws them loads no database."""

CURVES, MATRIX, SAMPLES = "curves.png", "validation_confusion_matrix.png", "samples.png"
