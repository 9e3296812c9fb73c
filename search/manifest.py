"""``python -m search.manifest``: the workers of a study as a Job of Kubernetes, in YAML."""

from search.cli.app import main, make_app
from search.cli.options import flags_of
from search.config.settings import ManifestOptions


@flags_of(ManifestOptions)
def manifest(options: ManifestOptions) -> None:
    """Print the workers of a study as a Job of Kubernetes, in YAML, for kubectl apply.

    The study is in Postgres already, and is looked up there. The password of the database is in no manifest: pods read
    the whole URL from a Secret.
    """
    from search.engines.kubernetes import render_workers

    print(render_workers(options), end="")


app = make_app(
    manifest,
    example="""
python -m search.manifest --study cifar_cnn --workers 8 --claim search | kubectl apply -f -
python -m search.manifest --study cifar_cnn --workers 8 --gpus all --per-gpu 2 --image me/search:1 --claim search
""",
)

if __name__ == "__main__":
    main(app)
