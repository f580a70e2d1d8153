"""Kill fits and searches at random moments, and look at what the next one makes of it.

``python tests/estimators/kill_fits.py FOLDER N_KILLS`` prints what it saw, as JSON.  Each attempt is a
fork of this process, so that it does not pay for imports.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from skmtl import Checkpoint, MultiTaskNetClassifierRegressor
from skmtl._documents import read_file
from skmtl.model_selection import MultiTaskGridSearchCV

RANDOM = np.random.default_rng(0)
X = pd.DataFrame(RANDOM.normal(size=(200, 4)), columns=list("abcd"))
Y = pd.DataFrame(
    {"price": X["a"] + RANDOM.normal(size=200), "sold": np.where(X["b"] > 0, "yes", "no")}
).mask(RANDOM.random((200, 2)) < 0.2)


def estimator(checkpoint, **params):
    return MultiTaskNetClassifierRegressor(
        hidden_layer_sizes=(8,), max_epochs=20, random_state=0, checkpoint=checkpoint, **params
    )


def fit(checkpoint):
    return estimator(checkpoint, dropout=0.1, loss_weights="uncertainty").fit(X, Y)


def choose(checkpoint):
    return estimator(checkpoint, sharing="auto").fit(X, Y)


def search(folder):
    est = estimator(folder, n_members=1)
    found = MultiTaskGridSearchCV(est, {"lr": [0.01, 0.03], "dropout": [0, 0.2]}, cv=2).fit(X, Y)
    return found.best_estimator_


JOBS = {"fit": fit, "candidates": choose, "search": search}


def digest(est):
    """Return a text that two fits have in common if weights and history are the same, bit for bit."""
    weights = [t.numpy().tobytes() for t in est.net_.module_.state_dict().values()]
    history = est.history_.to_json(double_precision=15).encode()
    predicted = est.predict(X).to_json(double_precision=15).encode()
    return hashlib.sha256(b"".join([*weights, history, predicted])).hexdigest()


def attempt(job, checkpoint, told, seconds):
    """Fit in a process of its own and kill that after so many seconds; tell whether it was killed."""
    process = os.fork()
    if process == 0:
        told.write_text(digest(JOBS[job](checkpoint)))
        os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(process, os.WNOHANG)[0]:
            return False
        time.sleep(0.001)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return True


def main(folder, n_kills):
    random.seed(0)
    seen = {"kills": 0, "kills while files were there": 0, "fits": 0, "differences": []}
    whole = {}
    for job, run in JOBS.items():
        for part in ("first", "whole"):  # the first of all has to warm up
            start = time.monotonic()
            est = run(Checkpoint(f"{folder}/{part} {job}/", every=1))
        whole[job] = digest(est), time.monotonic() - start
    while seen["kills"] < n_kills or seen["fits"] % len(JOBS):
        job = list(JOBS)[seen["fits"] % len(JOBS)]
        home, told = folder / f"{seen['fits']}", folder / "told"
        home.mkdir()
        expected, seconds = whole[job]
        checkpoint = Checkpoint(home if job == "search" else home / "fit", every=1)
        # Most are killed before they have come further than the one before.
        while attempt(job, checkpoint, told, random.uniform(0, 0.6 * seconds)):
            files = [file for file in home.iterdir() if file.suffix != ".part"]
            for file in files:
                read_file(file)  # raises if it is damaged
            seen["kills"] += 1
            seen["kills while files were there"] += bool(files)
        seen["fits"] += 1
        if told.read_text() != expected:
            seen["differences"].append(job)
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
