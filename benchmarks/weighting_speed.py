"""What a step costs with each weighting, against equal weights and against TorchJD's engine.

    python -m benchmarks.weighting_speed --quick     # a minute: 2 and 10 tasks, few repeats
    python -m benchmarks.weighting_speed --write     # ten minutes; fills results/weighting_speed.md

The job is that of `fit_speed.py`: 20,000 rows, 20 features, two hidden layers of 64 ReLU with hard
sharing, batches of 256, AdamW, one thread, half regressions and half class tasks, all labels
there.  Each weighting has its default parameters; those that read gradients are measured with
gradients by the representation (the default here) and by all parameters of the trunk, where they
know both, and with weights found anew in each step (`every step`).  What a weighting does in
every step, such as the products of gradients where they are kept as averages, it does in both.

TorchJD's rows train the same network, written as plain modules with a linear layer for each
head, with `mtl_backward` and `jac_to_grad` in every step, as its documentation does, and torch's
fused AdamW on batches that are slices as ours are.  Aggregators that need further packages are
left out; `Mean` is the engine alone.

All variants take turns, round after round, so that a slow spell of the machine hits all of
them.  Times are CPU times of the process, medians over the rounds; ratios are medians of the
ratios within a round.
"""

from __future__ import annotations

import argparse
import inspect
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from torch import nn
from torchjd import aggregation
from torchjd.autojac import jac_to_grad, mtl_backward

from benchmarks.fit_variants import HIDDEN, LR, Clock, Job, ListLoss, Ours
from benchmarks.measuring import Times, machine, markdown, median, ratio, take_turns
from benchmarks.recording import write_report
from skmtl._strategy import strategies
from skmtl.weighting import Weighting

RESULTS = Path(__file__).parent / "results" / "weighting_speed.md"
BATCH_SIZE = 256
EQUAL = "equal"
#: Not weightings of their own: what the user gives.
GIVEN = ("fixed", "torchjd")
MOST_LOSSES, MOST_REPRESENTATION, MOST_PARAMETERS = 1.15, 1.5, 3.0

#: TorchJD's aggregators that need no further package, by our name of the method.
AGGREGATORS: dict[str, Callable[[], Any]] = {
    "Mean": aggregation.Mean,
    "mgda": aggregation.MGDA,
    "pcgrad": aggregation.PCGrad,
    "gradvac": aggregation.GradVac,
    "graddrop": aggregation.GradDrop,
    "imtl_g": aggregation.IMTLG,
    "aligned_mtl": aggregation.AlignedMTL,
    "config": aggregation.ConFIG,
    "excess_mtl": lambda: aggregation.ExcessMTL(0.01),
}

Cell = tuple[int, str]  # tasks, variant


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    n_tasks: tuple[int, ...]
    rounds: int
    n_rows: int = 20_000


FULL = Plan((2, 10, 50), rounds=5)
QUICK = Plan((2, 10), rounds=3, n_rows=5_000)


# ---- variants ----------------------------------------------------------------------------------


def made(alias: str, **params: Any) -> Any:
    """Return a weighting with default parameters and, where it takes them, these."""
    cls = strategies(Weighting)[alias]
    takes = inspect.signature(cls).parameters
    if "main" in takes:
        params["main"] = "t0"
    return cls(**{name: value for name, value in params.items() if name in takes})


def aliases(*, needs_gradients: bool) -> list[str]:
    table = strategies(Weighting)
    return [
        alias
        for alias in sorted(table)
        if alias not in (*GIVEN, EQUAL) and made(alias).needs_gradients == needs_gradients
    ]


def by_parameters_only(alias: str) -> bool:
    """Tell of weightings that keep averages of gradients, which a batch's rows have none of."""
    return "wrt" not in inspect.signature(strategies(Weighting)[alias]).parameters


def variants() -> dict[str, Any]:
    """Return `loss_weights` by the name of the variant."""
    found: dict[str, Any] = {EQUAL: None}
    found |= {alias: made(alias) for alias in aliases(needs_gradients=False)}
    for alias in aliases(needs_gradients=True):
        if not by_parameters_only(alias):
            found[f"{alias}, representation"] = made(alias)
            found[f"{alias}, representation, every step"] = made(alias, update_every=1)
        found[f"{alias}, parameters"] = made(alias, wrt="parameters")
        found[f"{alias}, parameters, every step"] = made(alias, wrt="parameters", update_every=1)
    return found


class TorchJDFit:
    """The same network trained by TorchJD's engine."""

    def __init__(self, job: Job, batch_size: int, aggregator: Any) -> None:
        self.X = torch.as_tensor(job.X, dtype=torch.float32)
        self.Y = torch.as_tensor(job.Y, dtype=torch.float32)
        self.batch_size = batch_size
        self.aggregator = aggregator
        torch.manual_seed(0)
        widths = (self.X.shape[1], *HIDDEN)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        n_outputs = [3 if kind == "multiclass" else 1 for kind in job.kinds]
        self.heads = nn.ModuleList(nn.Linear(HIDDEN[-1], n) for n in n_outputs)
        self.losses = ListLoss(job)
        parameters = [*self.trunk.parameters(), *self.heads.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, lr=LR, weight_decay=0.0, fused=True)

    def epochs(self, k: int) -> float:
        clock = Clock()
        for _ in range(k + 1):
            order = torch.randperm(len(self.X))
            parts = [
                part.index_select(0, order).split(self.batch_size) for part in (self.X, self.Y)
            ]
            for x, y in zip(*parts, strict=True):
                self.step(x, y)
            clock(self)
        return clock.per_epoch()

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.optimizer.zero_grad()
        h = self.trunk(x)
        losses = self.losses.each(tuple(head(h) for head in self.heads), y)
        mtl_backward(losses, features=h)
        jac_to_grad(self.trunk.parameters(), self.aggregator)
        self.optimizer.step()


# ---- measure -----------------------------------------------------------------------------------


def time_epochs(plan: Plan) -> dict[Cell, Times]:
    """Time an epoch of every variant and number of tasks."""
    measures: dict[Cell, Callable[[], float]] = {}
    for n_tasks in plan.n_tasks:
        job = Job.make(n_tasks, n=plan.n_rows)
        fits: dict[str, Any] = {
            name: Ours(job, BATCH_SIZE, loss_weights=value) for name, value in variants().items()
        }
        fits |= {
            f"TorchJD, {name}": TorchJDFit(job, BATCH_SIZE, make())
            for name, make in AGGREGATORS.items()
        }
        measures |= {(n_tasks, name): _epoch_of(fit) for name, fit in fits.items()}
    return take_turns(measures, plan.rounds)


def _epoch_of(fit: Any) -> Callable[[], float]:
    return lambda: fit.epochs(1)


# ---- report ------------------------------------------------------------------------------------


def times_equal(times: dict[Cell, Times], name: str, n_tasks: int) -> float:
    return ratio(times[n_tasks, name], times[n_tasks, EQUAL])


def cost_tables(times: dict[Cell, Times], plan: Plan) -> Iterator[str]:
    counts = [f"{n} tasks" for n in plan.n_tasks]
    ms = [EQUAL, *(f"{1e3 * median(times[n, EQUAL]):.0f}" for n in plan.n_tasks)]
    yield f"### CPU ms per epoch\n\n{markdown(['weighting', *counts], [ms])}"

    def row(name: str, label: str) -> list[str]:
        return [label, *(f"{times_equal(times, name, n):.2f}" for n in plan.n_tasks)]

    rows = [row(alias, alias) for alias in aliases(needs_gradients=False)]
    yield f"### Reads losses: times `equal`\n\n{markdown(['weighting', *counts], rows)}"
    gradients = aliases(needs_gradients=True)
    for wrt in ("representation", "parameters"):
        head = ["weighting", "every", *counts, *(f"{n} tasks, every step" for n in plan.n_tasks)]
        rows = []
        for alias in gradients:
            name = f"{alias}, {wrt}"
            if (plan.n_tasks[0], name) not in times:
                continue
            every = str(getattr(made(alias), "update_every", 1))
            rows.append([alias, every, *row(name, "")[1:], *row(f"{name}, every step", "")[1:]])
        title = f"### Reads gradients by the {wrt}: times `equal`"
        yield (
            f"{title}\n\n`every`: the default of `update_every`, for the columns after it.\n\n"
            f"{markdown(head, rows)}"
        )
    rows = [row(f"TorchJD, {name}", name) for name in AGGREGATORS]
    yield f"### TorchJD's `mtl_backward`: times `equal`\n\n{markdown(['weighting', *counts], rows)}"


def goals(times: dict[Cell, Times], plan: Plan) -> str:
    """Compare ratios with what was asked for."""
    rows = []

    def check(text: str, names: list[str], limit: float, counts: tuple[int, ...]) -> None:
        seen = {(name, n): times_equal(times, name, n) for name in names for n in counts}
        missed = [f"{name} ({n}): {r:.2f}" for (name, n), r in seen.items() if r > limit]
        holds = f"{len(seen) - len(missed)} of {len(seen)} held"
        worst = max(seen.values())
        rows.append([text, f"at most {limit:g}", f"{worst:.2f}", holds, "; ".join(missed)])

    gradients = aliases(needs_gradients=True)
    both = [alias for alias in gradients if not by_parameters_only(alias)]
    losses = aliases(needs_gradients=False)
    check("losses / equal", losses, MOST_LOSSES, plan.n_tasks)
    names = [f"{alias}, representation" for alias in both]
    check("representation / equal", names, MOST_REPRESENTATION, plan.n_tasks)
    names = [f"{alias}, parameters" for alias in gradients]
    check("parameters / equal, 10 tasks", names, MOST_PARAMETERS, (10,))
    slowest = 0.0
    for alias in gradients:
        theirs = f"TorchJD, {alias if alias in AGGREGATORS else 'Mean'}"
        ways = ["parameters", "parameters, every step"]
        ways += [] if by_parameters_only(alias) else ["representation, every step"]
        for way in ways:
            for n in plan.n_tasks:
                seen = ratio(times[n, f"{alias}, {way}"], times[n, theirs])
                slowest = max(slowest, seen)
    text = "ours / TorchJD's engine, every weighting and way, also in every step"
    held = "held" if slowest < 1 else "MISSED"
    rows.append([text, "below 1", f"{slowest:.2f}", held, ""])
    return "### Goals\n\n" + markdown(["ratio", "goal", "largest", "goal is", "missed by"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="2 and 10 tasks, few rows and repeats")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    loads = [os.getloadavg()[0]]
    with threadpool_limits(1):
        times = time_epochs(plan)
    loads.append(os.getloadavg()[0])
    parts = [*cost_tables(times, plan), goals(times, plan)]
    parts.insert(0, machine(loads, time.process_time()))
    print("\n\n".join(parts))
    if arguments.write:
        write_report(RESULTS, "Cost of weightings", __doc__, parts)


if __name__ == "__main__":
    main()
