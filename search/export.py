"""``python -m search.export``: the model of a trial with everything that is known of it, in one folder."""

from search.cli.app import main, make_app
from search.cli.options import flags_of
from search.cli.verbosity import print_hint, print_result
from search.config.settings import ExportOptions


@flags_of(ExportOptions)
def export(options: ExportOptions) -> None:
    """Export a trial: model, confusion matrix, report, curves and test predictions, in one folder.

    Where trials have equal compute, a race and a training on all images come first; else exported are exactly the
    weights that scored in the search, and with folds a refit. Each call scores the test images and is counted.
    """
    from search.workflows.export import make_export

    made = make_export(options)
    print_result(made.report)
    print_result(f"exported to {made.folder}")
    print_hint(made.how_to_try)


app = make_app(
    export,
    chatty=True,
    example="""
python -m search.export --study cifar_cnn --confirm
python -m search.export --study cifar_cnn --trial 12 --refit --refit-epochs 30 --out exports/final
python -m search.export --study cifar_cnn --format onnx,litert --baseline svm
""",
)

if __name__ == "__main__":
    main(app)
