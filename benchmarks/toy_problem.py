"""Two losses of two numbers, on the way to whose Pareto front a sum of losses gets stuck.

    python -m benchmarks.toy_problem     # two minutes; draws results/toy_problem.png

The problem is that of CAGrad (Liu et al. 2021, arXiv:2110.14048, appendix), with the first loss
multiplied by 0.1 and the five starting points of Nash-MTL (Navon et al. 2022, arXiv:2202.01017) and
FAMO (Liu et al. 2023, arXiv:2306.03792); as there, Adam takes steps of 1e-3.  In the upper half two
deep and narrow valleys cross the plane, one of each loss; the front lies in the lower half, almost a
straight line from the minimum of one loss to that of the other.  A method has arrived where some mean
of both gradients vanishes.

Starting points are members of one module, as many networks that are trained at once would be.
FAMO, which takes logarithms, is given the losses above -2.1 and -21, which bound them from below,
as by its authors.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import brentq
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
    Direction,
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
#: The minimum of each loss lies above and below the front's ends.
FRONT_FROM, FRONT_TO = -7.0, 7.0


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
