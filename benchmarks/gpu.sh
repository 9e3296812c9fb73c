#!/bin/bash
# Measures the GPU of a bare machine that has JAX and no TensorFlow, in under 12 minutes; benchmarks/gpu.py says what.
#
#   benchmarks/gpu.sh download DIR [PYTHON]   where there is a network: fetch what such a machine lacks into DIR, for
#                                             its Python (3.12, say; by default this one's)
#   benchmarks/gpu.sh DIR ARGUMENTS...        there: with these wheels, python benchmarks/gpu.py ARGUMENTS
#
# Nothing is installed into the machine's own Python. PYTHON_COMMAND names another interpreter than python3.
#
#   benchmarks/gpu.sh download wheels 3.12
#   benchmarks/gpu.sh wheels --data cifar10.tar.gz
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON_COMMAND:-python3}
# What an image with JAX, scikit-learn, Matplotlib, rich and typer has not: 20 MB in all.
packages=(keras namex optree optuna alembic mako colorlog sqlalchemy optuna-dashboard bottle waitress psycopg
  psycopg-binary pydot filelock)
# What must be importable, from the wheels or from the machine.
modules=(jax keras optuna sqlalchemy alembic optuna_dashboard waitress psycopg pydot filelock sklearn scipy matplotlib
  PIL jinja2 rich typer threadpoolctl yaml h5py)

if [ "${1:-}" = download ] && [ $# -ge 2 ]; then
  platforms=()
  for minor in 5 12 17 24 27 28 31 34 35; do platforms+=(--platform "manylinux_2_${minor}_x86_64"); done
  version=${3:-$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')}
  "$python" -m pip download --quiet --no-deps --only-binary=:all: --implementation cp --python-version "$version" \
    "${platforms[@]}" --platform manylinux2014_x86_64 --dest "$2" "${packages[@]}"
  du -sh "$2"
  exit
fi
[ $# -ge 1 ] || { sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 2; }
wheels=$1
shift
[ -d "$wheels" ] || { echo "error: $wheels is no folder of wheels; make one with: $0 download $wheels" >&2; exit 2; }
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --target "$site/packages" "$wheels"/*.whl
export PYTHONPATH=$site/packages:$PWD:$PWD/benchmarks KERAS_BACKEND=jax XDG_CACHE_HOME=$site/cache PYTHONUNBUFFERED=1
missing=$("$python" -c 'import sys
from importlib.util import find_spec
print(*(name for name in sys.argv[1:] if find_spec(name) is None))' "${modules[@]}")
if [ -n "$missing" ]; then
  echo "error: missing here, and to be put among the wheels: $missing" >&2
  exit 2
fi
"$python" benchmarks/gpu.py "$@"
