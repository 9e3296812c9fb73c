#!/bin/bash
# Makes what lies in made.tar.xz. Run it in an empty folder with the code of 3b1f10e: as PYTHON=... PYTHONPATH=... make.sh
set -eu
export XDG_CACHE_HOME=$PWD/cache
run() { "$PYTHON" -m "$@"; }

# Ctrl-C for a command, once the log of a trial has a line that begins so.
interrupt_at() {
    local line=$1 log=$2 pid
    shift 2
    "$PYTHON" -m "$@" &
    pid=$!
    until grep -qs "^$line" "$log"; do kill -0 $pid; sleep 0.01; done
    kill -INT $pid
    wait $pid || test $? = 130
}

# Pictures of three digits, 20 of each to train on and 8 to test on, and a backbone of 8 filters.
"$PYTHON" - <<'PYTHON'
from pathlib import Path

import keras
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

images, labels = load_digits(return_X_y=True)
for digit, name in enumerate(("zero", "one", "two")):
    for number, image in enumerate(images[labels == digit][:28].reshape(-1, 8, 8)):
        folder = Path("pictures", "train" if number < 20 else "test", name)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 255 / 16).astype(np.uint8)).save(folder / f"{number:02d}.png")
keras.utils.set_random_seed(0)
net = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Rescaling(1 / 255)])
net.add(keras.layers.Conv2D(8, 3, strides=2, activation="relu"))
net.add(keras.layers.Conv2D(8, 3, activation="relu"))
net.save("tiny.keras")
PYTHON

trial() {  # name, filters, dropout, rate, augmentation
    cat > "$1.toml" <<TOML
blocks = 1
filters = $2
growth = 1.0
dense_width = 32
dropout = $3
rate = $4
weight_decay = 0.001
augmentation = $5
TOML
}
trial slow 16 0.1 0.5 0.5
trial good 16 0.1 2.0 0.5
trial poor 16 0.5 0.25 2.0
trial interrupted 16 0.0 4.0 0.0
trial queued 16 0.0 3.0 0.0

# The study: a trial that is too large, two complete ones, one pruned, one interrupted, one queued.
run search.run --study kept --data digits --epochs 6 --images 300 --max-parameters 8000 --trials 3 \
    --try slow.toml --try good.toml --try poor.toml --no-export
interrupt_at "epoch 3:" studies/kept/trials/00004/log.txt \
    search.run --study kept --trials 4 --try interrupted.toml --try queued.toml --no-export
run search.status --study kept
run search.export --study kept --format onnx,litert --baseline logistic

# A sweep: a finished cell, an interrupted one, one that is too large.
interrupt_at "epoch 1:" studies/kept_sweep/trials/00001/log.txt \
    search.sweep --study kept_sweep --data digits --base study:kept --vary filters=16,24,64 \
    --epochs 4 --images 300 --max-parameters 12000
run search.status --study kept_sweep

# In folds, on a folder of one's own: a complete trial, one interrupted in its second fold; its export is a refit.
cat > one.toml <<'TOML'
blocks = 1
filters = 16
growth = 1.0
convolutions = 1
kernel = 3
padding = "same"
batch_norm = true
last_pool = false
block_dropout = 0.1
last_dropout = true
head = "flatten"
dense_layers = 0
dense_width = 64
dense_dropout = 0.0
dense_l2 = 0.0
standardize = true
optimizer = "adam"
rate = 3.0
schedule = "cosine"
batch_size = 32
label_smoothing = 0.0
augmentation = 0.0
TOML
sed 's/filters = 16/filters = 20/' one.toml > other.toml
run search.run --study kept_folds --data pictures --space cnn_wide --folds 3 --epochs 8 --max-parameters 5000 --no-flip \
    --pruner none --trials 1 --try one.toml --no-export
interrupt_at "fold 2 of 3" studies/kept_folds/trials/00002/log.txt \
    search.run --study kept_folds --trials 2 --try other.toml --no-export
run search.status --study kept_folds
run search.export --study kept_folds

# Over a backbone: logistic regression and eight small heads, the best few of them raced before the export.
heads=""
for rate in 0.001 0.002 0.003 0.004 0.005 0.006 0.008 0.01; do
    printf 'dense_layers = 1\ndense_width = 64\ndropout = 0.1\nweight_decay = 0.01\nlearning_rate = %s\n' $rate > head-$rate.toml
    heads="$heads --try head-$rate.toml"
done
run search.run --study kept_transfer --data pictures --space transfer --backbone tiny.keras --image-size 16 --epochs 8 \
    --no-flip --max-parameters 2000 --pruner none --trials 9 $heads --confirm
run search.studies

# Test images of the first study, each named by its row in the predictions of its export.
"$PYTHON" - <<'PYTHON'
from pathlib import Path

import numpy as np
from PIL import Image
from search import prepare

images, _ = prepare("digits").test()
Path("samples").mkdir()
for row in range(0, 200, 10):
    Image.fromarray(np.asarray(images[row, :, :, 0])).save(f"samples/{row:03d}.png")
PYTHON

# For the archive's size only the first study keeps the pictures of its notes.
rm -rf studies/kept/logs/export.log studies/kept_*/pictures cache/matplotlib cache/Microsoft
tar --sort=name --owner=0 --group=0 --numeric-owner -cJf made.tar.xz cache exports pictures samples studies
