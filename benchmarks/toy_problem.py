"""Two losses of two numbers, on the way to whose Pareto front a sum of losses gets stuck.

    python -m benchmarks.toy_problem     # ten minutes; draws results/toy_problem.png

The problem is that of CAGrad (Liu et al. 2021, arXiv:2110.14048, appendix), with the first loss
multiplied by 0.1 and the five starting points of Nash-MTL (Navon et al. 2022, arXiv:2202.01017);
as in both, Adam takes steps of 1e-3.  In the upper half two deep and narrow valleys cross the
plane, one of each loss; the front lies in the lower half, almost a straight line from the minimum
of one loss to that of the other.  There some mean of both gradients vanishes, as it also does on
the line between both halves, where a way that ends has not arrived.

Starting points are members of one module, as many networks that are trained at once would be.
FAMO, which takes logarithms, is given the losses above -2.1 and -21, which bound them from below.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skmtl.heads import HeadSpec, Layout
from skmtl.layers import Seeds
from skmtl.weighting import (
    FAMO,
    IMTLG,
    MGDA,
    AlignedMTL,
    CAGrad,
    ConFIG,
    Equal,
    FairGrad,
    GradVac,
    NashMTL,
    PCGrad,
    TaskGradients,
    UPGrad,
    Weighting,
)

PICTURE = Path(__file__).parent / "results" / "toy_problem.png"
STARTS = ((-8.5, 7.5), (0.0, 0.0), (9.0, 9.0), (-7.5, -0.5), (9.0, -1.0))
SCALE = (0.1, 1.0)
#: Both losses are above these.
BOUNDS = (-2.1, -21.0)
#: Where the minimum of either loss is, across, and between what heights the front lies.
ENDS = (-7.0, 7.0)
HEIGHTS = (-9.0, -8.0)
LAYOUT = Layout.of([HeadSpec(name, "regression", 1, 0) for name in ("first", "second")])
PRESENT = torch.ones(2, dtype=torch.bool)
#: Distance from the front at which a method has arrived.
NEAR = 0.2

METHODS: dict[str, Weighting] = {
    "equal weights": Equal(),
    "PCGrad": PCGrad(update_every=1),
    "GradVac": GradVac(update_every=1),
    "CAGrad": CAGrad(update_every=1),
    "MGDA": MGDA(update_every=1),
    "IMTL-G": IMTLG(update_every=1),
    "Nash-MTL": NashMTL(update_every=1),
    "FairGrad, alpha = 2": FairGrad(alpha=2.0, update_every=1),
    "Aligned-MTL": AlignedMTL(update_every=1),
    "ConFIG": ConFIG(update_every=1),
    "UPGrad": UPGrad(update_every=1),
    "FAMO": FAMO(update_every=1),
}


# ---- the problem -------------------------------------------------------------------------------


def losses(x: Tensor) -> Tensor:
    """Return both losses.

    Parameters
    ----------
    x : Tensor of shape (point, 2)
        Points.

    Returns
    -------
    Tensor of shape (point, loss)
        Losses, at least -2 and -20.
    """
    across, up = x[:, :1], x[:, 1:]
    sign = x.new_tensor([1.0, -1.0])
    # Upper half: logarithms of the distances from two curves, y = +-tanh, cut off near to them.
    distance = (0.5 * across + x.new_tensor([3.5, -3.5]) - sign * torch.tanh(up)).abs()
    valleys = distance.clamp_min(5e-6).log() + 6
    # Lower half: bowls around (7, -8) and (-7, -8).
    bowls = ((across - 7 * sign) ** 2 + 0.1 * (up + 8) ** 2) / 10 - 20
    half = torch.tanh(0.5 * up)
    return x.new_tensor(SCALE) * (valleys * half.clamp_min(0.0) + bowls * (-half).clamp_min(0.0))


class GivenGradients(TaskGradients):
    """Gradients that are there.

    Parameters
    ----------
    jacobian : Tensor of shape (point, loss, 2)
        Gradients.
    """

    def __init__(self, jacobian: Tensor) -> None:
        self._jacobian = jacobian

    @property
    def gramian(self) -> Tensor:
        """Products of both gradients, shape (point, loss, loss)."""
        return self._jacobian @ self._jacobian.mT

    @property
    def jacobian(self) -> Tensor:
        """Gradients, shape (point, loss, 2)."""
        return self._jacobian


def losses_and_gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return both losses and their gradients.

    Parameters
    ----------
    x : Tensor of shape (point, 2)
        Points.

    Returns
    -------
    losses : Tensor of shape (point, loss)
        Losses.
    gradients : Tensor of shape (point, loss, 2)
        Gradients.
    """
    copies = x.detach().repeat_interleave(2, dim=0).requires_grad_()  # (point * loss, 2)
    own = losses(copies).unflatten(0, (-1, 2)).diagonal(dim1=1, dim2=2)
    own.sum().backward()
    assert copies.grad is not None
    return own.detach(), copies.grad.unflatten(0, (-1, 2))


def front(n: int = 200) -> np.ndarray:
    """Return points of the Pareto front, where the gradients point in opposite directions.

    Parameters
    ----------
    n : int, default=200
        How many.

    Returns
    -------
    ndarray of shape (n, 2)
        From the minimum of one loss to that of the other.
    """
    across = torch.linspace(*ENDS, n, dtype=torch.float64)
    low, high = (torch.full_like(across, height) for height in HEIGHTS)
    for _ in range(50):  # bisection
        middle = (low + high) / 2
        points = torch.stack([across, middle], dim=1)
        turn = torch.linalg.det(losses_and_gradients(points)[1])
        low, high = torch.where(turn > 0, middle, low), torch.where(turn > 0, high, middle)
    return points.numpy()


def distance(x: Tensor) -> np.ndarray:
    """Return the distance from the front.

    Parameters
    ----------
    x : Tensor of shape (point, 2)
        Points.

    Returns
    -------
    ndarray of shape (point,)
        Distances.
    """
    return np.linalg.norm(x.numpy()[:, None] - front(), axis=2).min(1)


def shortest_mean(x: Tensor) -> Tensor:
    """Return the length of the shortest mean of both gradients, which is 0 on the front.

    Parameters
    ----------
    x : Tensor of shape (point, 2)
        Points.

    Returns
    -------
    Tensor of shape (point,)
        Lengths.
    """
    _, gradients = losses_and_gradients(x)
    first, second = gradients.unbind(1)
    gap = second - first
    squares = gap.square().sum(1).clamp_min(torch.finfo(gap.dtype).tiny)
    share = (-(first * gap).sum(1) / squares).clamp(0.0, 1.0).unsqueeze(1)
    return (first + share * gap).norm(dim=1)


# ---- the way ---------------------------------------------------------------------------------


class Way(NamedTuple):
    """Where a method went.

    Parameters
    ----------
    points : Tensor of shape (step, start, 2)
        Points, with some steps left out.
    end : Tensor of shape (start, 2)
        The last ones.
    """

    points: Tensor
    end: Tensor


def follow(
    weighting: Weighting, starts: Tensor, n_steps: int, lr: float = 1e-3, every: int = 20
) -> Way:
    """Take steps of Adam in the direction that a method makes of both gradients.

    Parameters
    ----------
    weighting : Weighting
        The method.
    starts : Tensor of shape (start, 2)
        Where to begin.
    n_steps : int
        How many steps.
    lr : float, default=1e-3
        Learning rate.
    every : int, default=20
        Steps from one point that is kept to the next.

    Returns
    -------
    Way
        Points.
    """
    module = weighting.build(LAYOUT, len(starts), Seeds.spawn(np.random.RandomState(0)))
    module = module.to(starts.dtype)
    x = starts.clone().requires_grad_()
    optimizer = torch.optim.Adam([x], lr=lr)
    bounds = starts.new_tensor(BOUNDS)
    points = []
    for step in range(n_steps):
        if step % every == 0:
            points.append(x.detach().clone())
        values, gradients = losses_and_gradients(x)
        values = values - bounds
        if module.needs_gradients:
            weights = module.direction(values, PRESENT, GivenGradients(gradients)).weights
        else:
            weights = module.scales(values, PRESENT)
        x.grad = (weights.unsqueeze(1) @ gradients).squeeze(1)
        optimizer.step()
        if module.needs_losses_after_step:
            module.after_step(losses(x.detach()) - bounds, PRESENT)
    return Way(torch.stack([*points, x.detach()]), x.detach())


# ---- the picture -----------------------------------------------------------------------------


def draw(ways: dict[str, Way], path: Path) -> None:
    """Draw the ways of all methods over the contours of the summed losses.

    Parameters
    ----------
    ways : dict
        Names to ways.
    path : Path
        Of the picture.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    n_columns = 4
    n_rows = -(-len(ways) // n_columns)
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=(11, 2.75 * n_rows + 0.8), sharex=True, sharey=True,
        layout="constrained",
    )  # fmt: skip
    grid = torch.linspace(-11, 11, 400, dtype=torch.float64)
    across, up = torch.meshgrid(grid, grid, indexing="xy")
    both = losses(torch.stack([across.flatten(), up.flatten()], dim=1))
    total = both.sum(1).view_as(across)
    ends = front()
    for axis in axes.flat[len(ways) :]:
        axis.set_visible(False)
    for axis, (name, way) in zip(axes.flat, ways.items(), strict=False):
        axis.contour(across, up, total, levels=18, cmap="Greys_r", linewidths=0.6, alpha=0.8)
        axis.plot(*ends.T, color="0.25", linewidth=5, solid_capstyle="round", alpha=0.45)
        is_near = distance(way.end) < NEAR
        for k, start in enumerate(STARTS):
            colour = f"C{k}"
            axis.plot(*way.points[:, k].T, color=colour, linewidth=1.4)
            axis.plot(*start, marker="o", markersize=5, color=colour, markeredgecolor="white")
            marker = {"marker": "*", "markersize": 11} if is_near[k] else {"marker": "X"}
            axis.plot(*way.end[k], color=colour, markeredgecolor="black", zorder=5, **marker)
        axis.set(title=name, xlim=(-11, 11), ylim=(-11, 11), aspect="equal")
        axis.set(xticks=(-10, 0, 10), yticks=(-10, 0, 10))
    keys = [
        plt.Line2D([], [], color="0.25", linewidth=5, alpha=0.45, label="Pareto front"),
        plt.Line2D([], [], color="0.4", marker="o", linestyle="", label="start"),
        plt.Line2D([], [], color="0.4", marker="*", markersize=11, linestyle="",
                   markeredgecolor="black", label="end, on the front"),
        plt.Line2D([], [], color="0.4", marker="X", linestyle="", markeredgecolor="black",
                   label="end, not on the front"),
    ]  # fmt: skip
    figure.legend(handles=keys, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Follow all methods, and draw."""
    parser = argparse.ArgumentParser(description="Draw the ways of weightings on a toy problem.")
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--out", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    starts = torch.tensor(STARTS, dtype=torch.float64)
    ways = {}
    for name, weighting in METHODS.items():
        ways[name] = follow(weighting, starts, arguments.steps)
        left = ", ".join(f"{value:7.3f}" for value in distance(ways[name].end))
        print(f"{name:20} {left}  from the front", flush=True)
    draw(ways, arguments.out)


if __name__ == "__main__":
    main()
