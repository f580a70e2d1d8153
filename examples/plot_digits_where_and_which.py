"""
Images: which digit, and where is it?
=====================================

One image, two questions of different kinds: *which* of ten digits it shows, a class task, and
*where* it is, a box of four numbers, a vector-valued regression.  One convolutional network can
answer both.  Whether it should is another matter: one question wants to know the place and the
other wants to forget it.
"""

# %%
# Digits on a canvas
# ------------------
# scikit-learn's handwritten digits, stretched or shrunk, at a random place of a canvas of
# 16 x 16 pixels with a noisy ground.  Each digit is put on two canvases; those of one digit are
# all for training or all for testing.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle
from scipy.ndimage import zoom
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skmtl import MultiTaskNetClassifierRegressor, TaskScoring
from skmtl.trunks import CNN

BOX = ["left", "top", "width", "height"]


def locate(digits, random, size=16):
    """Put images of digits on canvases (n_samples, size, size); return these and the boxes."""
    canvases = random.uniform(0, 0.2, (len(digits), size, size))
    boxes = np.empty((len(digits), 4))
    for canvas, box, digit in zip(canvases, boxes, digits, strict=True):
        ink = zoom(digit / 16, random.uniform(0.8, 1.3), order=1)
        top, left = (random.integers(0, size - extent + 1) for extent in ink.shape)
        place = canvas[top : top + ink.shape[0], left : left + ink.shape[1]]
        np.maximum(place, ink, out=place)
        rows, columns = (np.flatnonzero((ink > 0.3).any(axis=axis)) for axis in (1, 0))
        box[:2] = left + columns[0], top + rows[0]
        box[2:] = np.ptp(columns) + 1, np.ptp(rows) + 1
    return canvases, pd.DataFrame(boxes, columns=BOX)


def make_canvases(rows, random):
    """Return two canvases for each of these rows, and a frame of digit and box."""
    rows = np.repeat(rows, 2)
    X, Y = locate(digits.images[rows], random)
    return X, Y.assign(digit=digits.target[rows])


digits = load_digits()
train, test = train_test_split(
    np.arange(len(digits.target)), stratify=digits.target, random_state=0
)
random = np.random.default_rng(0)
X, Y = make_canvases(train, random)
X_test, Y_test = make_canvases(test, random)
print(X.shape, X_test.shape)
print(Y.head(3), "\n")

# %%
# One network, or two
# -------------------
# The estimator takes the images as they are, shape (n_samples, height, width).  Two own networks
# have twice the weights of one, so a wider shared network, with as many weights as those two,
# takes part as well.

small = CNN(channels=(16, 32, 64))
wide = CNN(channels=(22, 45, 90), hidden_layer_sizes=(90,))
models = {
    "one network": {"trunk": small},
    "one wide network": {"trunk": wide},
    "two networks": {"trunk": small, "sharing": "independent"},
}
scoring = TaskScoring({"digit": "accuracy", "box": "r2"})
nets, rows = {}, []
for name, parameters in models.items():
    net = MultiTaskNetClassifierRegressor(
        tasks={"digit": "multiclass", "box": BOX},
        lr=3e-3,
        max_epochs=20,
        random_state=0,
        **parameters,
    )
    nets[name] = net.fit(X, Y)
    scores = scoring(net, X_test, Y_test)
    n_weights = sum(weight.numel() for weight in net.net_.module_.parameters())
    rows.append({"model": name, **scores, "weights": n_weights})
table = pd.DataFrame(rows).set_index("model")[["digit", "box", "weights"]]
print("Accuracy of the digit and R2 of the box, on 900 test canvases\n")
print(table.round(3).to_string())

# %%
# The figure
# ----------
# Sharing loses here.  Two own networks read 91% of the digits right and explain 93% of the
# variance of the boxes; one network of the same channels reads 85% and explains 90%.  Most of
# the loss in digits is mere size: the wide network comes to 90%.  The boxes stay behind, at 91%.
# One split and one seed: read 0.02 as a tie.  Wrong readings are in bold.

figure = plt.figure(figsize=(10, 3.9), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(3, 2))
shown = np.random.default_rng(2).choice(len(X_test), 10, replace=False)
predicted = nets["two networks"].predict(X_test[shown])
blue, orange = "#56b4e9", "#e69f00"
for ax, row, (_, answer) in zip(left.subplots(2, 5).flat, shown, predicted.iterrows(), strict=True):
    truth = Y_test.iloc[row]
    ax.imshow(X_test[row], cmap="gray", vmin=0, vmax=1)
    for y, color, style in ((truth, blue, "-"), (answer, orange, "--")):
        corner = (y["left"] - 0.5, y["top"] - 0.5)
        ax.add_patch(
            Rectangle(corner, y["width"], y["height"], fill=False, ec=color, ls=style, lw=2)
        )
    is_wrong = truth["digit"] != answer["digit"]
    title = f"{truth['digit']:.0f}, read as {answer['digit']:.0f}"
    ax.set_title(title, fontsize=9, weight="bold" if is_wrong else "normal")
    ax.set_axis_off()
left.legend(
    handles=[
        Rectangle((0, 0), 1, 1, fill=False, ec=blue, lw=2, label="true box"),
        Rectangle(
            (0, 0), 1, 1, fill=False, ec=orange, ls="--", lw=2, label="box of the two networks"
        ),
    ],
    loc="outside lower center",
    ncols=2,
    frameon=False,
    fontsize=9,
)

ax = right.subplots()
colors = dict(zip(models, ["#0b6e99", "#6cb6d6", "#8c8c8c"], strict=True))
for i, (name, color) in enumerate(colors.items()):
    bars = ax.bar(
        np.arange(2) + 0.27 * (i - 1), table.loc[name, ["digit", "box"]], 0.25, color=color
    )
    ax.bar_label(bars, fmt="%.2f", fontsize=8, padding=2)
    bars.set_label(name)
ax.set(xticks=range(2), xticklabels=["which: accuracy", "where: R2"], ylim=(0, 1))
ax.spines[["top", "right"]].set_visible(False)
ax.tick_params(axis="x", length=0)
right.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8, columnspacing=1)
plt.show()
