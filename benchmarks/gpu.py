"""How long an epoch takes on a GPU: one network, many as one, and other ways to train it.

    python -m benchmarks.gpu --write                      # five minutes; fills results/gpu.md
    python -m benchmarks.gpu --device cpu --quick         # a trial of the script, without a GPU

The job is that of `fit_speed.py` with ten tasks: 20 features, two hidden layers of 64 ReLU, half
regressions, a quarter with two classes, a quarter with three; batches of 256.

**Right before fast.** Before anything is timed, the device has to give what the CPU gives: one
network, and several as members, trained for three epochs in float64 on both, whose predictions
must agree to 1e-6.  If they do not, the script ends with an error and no table.

**Time.** Seconds on the clock for an epoch, the device waited for at its end; medians over rounds
in turns, ratios within a round.  `skmtl, K members` trains K networks, each on rows of its own
(`bagging="bootstrap"`), as one program.  The naive loop has a Python loop over heads, the tight one
stacked heads and fused Adam; `skorch` is `skorch.NeuralNet` as it comes, with stacked heads.

**Rates.** Arithmetic: the multiplications and additions of the products of forward and backward.
Traffic: what these products and the optimiser have to read and write once, were nothing kept in a
cache: so it may exceed what the memory can do.  Both are of the whole step over its time.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.fit_variants import HIDDEN, LR, Job, NaiveLoop, Ours, StackedSkorch, TightLoop
from benchmarks.measuring import machine, markdown, median, ratio, take_turns
from benchmarks.recording import write_report
from skmtl import MultiTaskNetClassifierRegressor

RESULTS = Path(__file__).parent / "results" / "gpu.md"
BATCH, N_TASKS = 256, 10
MEMBERS = (1, 16, 64, 256)
STACKED_GOAL = (64, 3.0)  # so many networks in at most so many times the time of one
CLOSE = 1e-6
EPOCHS = 3


def synchronize(device: str) -> None:
    """Wait until the device has done all that it was asked."""
    if device != "cpu":
        torch.accelerator.synchronize()


# ---- right before fast -------------------------------------------------------------------------


def largest_difference(device: str, **params: Any) -> float:
    """Return how far predictions of the device are from those of the CPU."""
    job = Job.make(N_TASKS, n=1_000)
    found = []
    for where in ("cpu", device):
        est = MultiTaskNetClassifierRegressor(
            dict(zip(job.frame, job.kinds, strict=True)), hidden_layer_sizes=HIDDEN, max_epochs=3,
            dtype="float64", early_stopping=False, random_state=0, device=where, **params,
        ).fit(job.X, job.frame)  # fmt: skip
        found.append(np.concatenate([o.values for o in est.predict_outputs(job.X)], axis=1))
    return float(np.abs(found[0] - found[1]).max())


def check(device: str) -> str:
    """Compare the device with the CPU; an error if they do not agree."""
    cases = {
        "one network": {"n_members": 1},
        "four members with rows of their own": {"n_members": 4, "bagging": "bootstrap"},
        "a net per task": {"n_members": 1, "sharing": "independent"},
        "mmoe, uncertainty": {"n_members": 1, "sharing": "mmoe", "loss_weights": "uncertainty"},
    }
    rows = []
    for name, params in cases.items():
        difference = largest_difference(device, **params)
        rows.append([name, f"{difference:.1e}"])
        if not difference <= CLOSE:
            raise SystemExit(f"{name}: {device} and the CPU differ by {difference:.1e}.")
    return (
        f"### {device} against the CPU, float64, three epochs (at most {CLOSE:g})\n\n"
        + markdown(["fit", "largest difference of a prediction"], rows)
    )


# ---- time --------------------------------------------------------------------------------------


def ours(job: Job, device: str, n_members: int) -> Ours:
    """Return our estimator, for one network or several with rows of their own."""
    bagging = "bootstrap" if n_members > 1 else None
    return Ours(job, BATCH, device=device, n_members=n_members, bagging=bagging)


def plain_skorch(job: Job, device: str) -> StackedSkorch:
    """Return skorch's own net."""
    made = StackedSkorch(job, BATCH)
    made.net.set_params(device=device).initialize()
    return made


def by_its_clock(variant: Any, device: str, epochs: int) -> Callable[[], float]:
    """Return what measures an epoch of a variant that reads a clock at the end of each."""

    def now() -> float:
        synchronize(device)
        return time.perf_counter()

    variant.clock.now = now
    return lambda: variant.epochs(epochs)


def by_hand(kind: Any, job: Job, device: str, epochs: int) -> Callable[[], float]:
    """Return what measures an epoch of a torch loop."""
    made = kind(job, BATCH)
    made.X, made.Y = made.X.to(device), made.Y.to(device)
    made.net, made.criterion = made.net.to(device), made.criterion.to(device)
    made.optimizer = torch.optim.Adam(made.net.parameters(), lr=LR, **made.options)

    def run(k: int) -> float:
        start = time.perf_counter()
        for _ in range(k):
            made.epoch(torch.randperm(len(made.X), device=device))
        synchronize(device)
        return (time.perf_counter() - start) / k

    def measure() -> float:
        run(1)  # caches, and what is made on first use
        return run(epochs)

    return measure


def step_costs(job: Job, n_members: int) -> tuple[float, float]:
    """Return operations and bytes of a step, as the text of this file has it."""
    n_out = job.n_real + job.n_binary + 3 * job.n_three
    widths = (job.X.shape[1], *HIDDEN, n_out)
    pairs = list(itertools.pairwise(widths))
    weights = sum(a * b + b for a, b in pairs)
    # Forward, by the weights, and by the inputs of all layers but the first.
    products = sum(a * b for a, b in pairs) * 3 - pairs[0][0] * pairs[0][1]
    rows = sum(a + b for a, b in pairs) * 3 * BATCH  # read and written by these products
    optimizer = 7 * weights  # gradient, weight and two moments read, three written
    return 2.0 * products * BATCH * n_members, 4.0 * (rows + 3 * weights + optimizer) * n_members


def tables(device: str, n: int, members: tuple[int, ...], rounds: int) -> list[str]:
    """Time all ways, and tell the rates."""
    job = Job.make(N_TASKS, n=n)
    counts = {f"skmtl, {k} members" if k > 1 else "skmtl": k for k in members}
    measures = {
        name: by_its_clock(ours(job, device, k), device, EPOCHS) for name, k in counts.items()
    }
    measures |= {kind.name: by_hand(kind, job, device, EPOCHS) for kind in (TightLoop, NaiveLoop)}
    measures[StackedSkorch.name] = by_its_clock(plain_skorch(job, device), device, EPOCHS)
    times = take_turns(measures, rounds, slow=float("inf"))
    n_batches, rows = -(-n // BATCH), []
    for name, seen in times.items():
        k, seconds = counts.get(name, 1), median(seen)
        operations, n_bytes = step_costs(job, k)
        rows.append(
            [
                name,
                f"{1e3 * seconds:.1f}",
                f"{1e3 * seconds / k:.2f}",
                f"{ratio(seen, times['skmtl']):.2f}",
                f"{1e6 * seconds / n_batches:.0f}",
                f"{operations * n_batches / seconds / 1e9:.1f}",
                f"{n_bytes * n_batches / seconds / 1e9:.1f}",
            ]
        )
    head = ["way", "ms an epoch", "ms an epoch and network", "times one of ours"]
    head += ["microseconds a step", "GFLOP/s", "GB/s"]
    found = [f"### {n:,} rows, batches of {BATCH}\n\n{markdown(head, rows)}"]
    k, limit = STACKED_GOAL
    if k in members:
        factor = ratio(times[f"skmtl, {k} members"], times["skmtl"])
        verdict = "yes" if factor <= limit else "no"
        goal = [
            [f"{k} networks as one / one network", f"at most {limit:g}", f"{factor:.2f}", verdict]
        ]
        found.append("### Goal\n\n" + markdown(["ratio", "goal", "measured", "holds"], goal))
    return found


def named(device: str) -> str:
    """Say what the device is."""
    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    return f"device {device!r}"


def main() -> None:
    """Check, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="as torch names it")
    parser.add_argument("--quick", action="store_true", help="2,000 rows, few members, one round")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    given = parser.parse_args()
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here; --device cpu --quick tries the script")
    loads = [os.getloadavg()[0]]
    with threadpool_limits(1):
        torch.set_num_threads(1)
        sections = [check(given.device)]
        n, members, rounds = (2_000, (1, 4), 1) if given.quick else (20_000, MEMBERS, 5)
        sections += tables(given.device, n, members, rounds)
    loads.append(os.getloadavg()[0])
    sections.insert(0, f"{machine(loads, time.process_time())} {named(given.device)}.")
    print("\n\n".join(sections))
    if given.write:
        write_report(RESULTS, "On a GPU", __doc__, sections)


if __name__ == "__main__":
    main()
