"""What tests compare measures of a net with: losses of the mixed table by torch's own functions."""

import numpy as np
import torch
import torch.nn.functional as F


def losses_by_hand(z, Y, names):
    """Losses of all tasks of the table on labelled rows, from outputs (output row, sample)."""
    row, losses = 0, {}
    for name in names:
        width = 3 if name == "kind" else 1
        keep = np.array(Y[name].notna())
        outputs, y = z[row : row + width, keep].T, Y[name][keep]
        row += width
        if name == "kind":
            losses[name] = F.cross_entropy(
                outputs, torch.as_tensor(y.factorize(sort=True)[0].copy())
            )
        elif name == "sold":
            target = torch.as_tensor(np.array(y == "yes"), dtype=torch.float64)
            losses[name] = F.binary_cross_entropy_with_logits(outputs[:, 0], target)
        else:
            numbers = np.array(y, dtype=float)
            target = torch.as_tensor((numbers - numbers.mean()) / numbers.std())
            losses[name] = F.mse_loss(outputs[:, 0], target)
    return losses
