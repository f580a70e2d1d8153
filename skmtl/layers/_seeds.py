"""Randomness of one fit, apart from torch's and NumPy's global generators."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

#: One thread at a time may borrow torch's global generators.
_one_at_a_time = threading.RLock()


@contextmanager
def global_generators(device: torch.device | None = None) -> Iterator[Callable[[int], None]]:
    """Let torch's global generators follow seeds, and then be as they were.

    For code that is not ours and draws from them.  Other threads wait for their turn, since all
    have the same generators: each gets the numbers that it would get alone.

    Parameters
    ----------
    device : torch.device or None, default=None
        Where the code draws, beside the CPU.

    Yields
    ------
    callable
        Seeds the generators with a whole number.
    """
    cuda = [device] if device is not None and device.type == "cuda" else []
    with _one_at_a_time, torch.random.fork_rng(devices=cuda):

        def seed_with(seed: int) -> None:
            # torch.manual_seed would also seed every GPU, and nothing would put that back.
            torch.default_generator.manual_seed(seed)
            if cuda:
                torch.cuda.manual_seed(seed)

        yield seed_with


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
