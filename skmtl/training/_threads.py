"""How many threads torch uses while one of our fits or predictions runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()
_running = 0
_before = 0


@contextmanager
def torch_threads(n_threads: int | None) -> Iterator[None]:
    """Set torch's threads on a CPU for a while.

    More threads than idle cores make small networks many times slower, since every product
    ends with a barrier.  The setting is torch's own, for the whole process: when several
    fits run at once, the former value comes back after the last of them.

    Parameters
    ----------
    n_threads : int or None
        Number of threads, at least 1; None leaves torch's setting alone.

    Yields
    ------
    None
    """
    global _running, _before
    if n_threads is None:
        yield
        return
    with _lock:
        if _running == 0:
            _before = torch.get_num_threads()
        _running += 1
        if torch.get_num_threads() != n_threads:
            torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            if _running == 0 and torch.get_num_threads() != _before:
                torch.set_num_threads(_before)
