"""Randomness of one fit, apart from torch's and NumPy's global generators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Seeds:
    """The sources of randomness of one fit.

    Parameters
    ----------
    weights : torch.Generator
        Draws initial weights, on the CPU.
    shuffle : torch.Generator
        Draws the order of the rows in each epoch, on the CPU.
    random : numpy.random.RandomState
        Draws everything else: the validation rows, and the seeds of dropout layers.
    """

    weights: torch.Generator
    shuffle: torch.Generator
    random: np.random.RandomState

    @classmethod
    def spawn(cls, random_state: np.random.RandomState) -> Seeds:
        """Derive independent sources from one.

        Parameters
        ----------
        random_state : numpy.random.RandomState
            Drawn from three times.

        Returns
        -------
        Seeds
            The sources.
        """
        seeds = [int(random_state.randint(2**31 - 1)) for _ in range(3)]
        return cls(
            torch.Generator().manual_seed(seeds[0]),
            torch.Generator().manual_seed(seeds[1]),
            np.random.RandomState(seeds[2]),
        )

    def draw(self) -> int:
        """Return a seed for one more generator."""
        return int(self.random.randint(2**31 - 1))
