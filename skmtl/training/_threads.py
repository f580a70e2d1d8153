"""What torch is set to while one of our fits or predictions runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch


class _Running(threading.local):
    """Fits and predictions under way, and torch's setting before the first of them."""

    lock = threading.Lock()
    count = 0
    before = 0

    def __init__(self) -> None:
        self.within: int | None = None  # what the innermost fit of this thread has set


_running = _Running()


@contextmanager
def torch_settings(n_threads: int | None) -> Iterator[None]:
    """Have torch compute as it does by default, whatever is set around a fit.

    Gradients are recorded, numbers keep their type, and tensors are made on the CPU unless told
    otherwise.  Inside ``torch.no_grad()``, ``torch.inference_mode()``, ``torch.autocast()`` or with
    another default device, some networks could not be trained, and others would differ.

    Parameters
    ----------
    n_threads : int or None
        As for :func:`torch_threads`.

    Yields
    ------
    None
    """
    with torch_threads(n_threads):
        changes = _changes()
        if not changes:
            yield
            return
        with ExitStack() as settings:
            for change in changes:
                settings.enter_context(change)
            yield


def _changes() -> list[Any]:
    """List what leads back to torch's defaults."""
    changes: list[Any] = []
    if torch.is_inference_mode_enabled():
        changes.append(torch.inference_mode(False))
    if not torch.is_grad_enabled():
        changes.append(torch.enable_grad())
    if torch.is_autocast_enabled("cpu"):
        changes.append(torch.autocast("cpu", enabled=False))
    if torch.is_autocast_enabled("cuda"):
        changes.append(torch.autocast("cuda", enabled=False))
    if not torch.empty(0).is_cpu:
        changes.append(torch.device("cpu"))
    return changes


@contextmanager
def torch_threads(n_threads: int | None) -> Iterator[None]:
    """Set torch's threads on a CPU for a while.

    More threads than idle cores make small networks many times slower, since every product
    ends with a barrier.  Torch keeps the number for each thread, and new threads start with
    the number that was set last: each thread puts back what was set before the first of the
    fits that run at once, and a prediction within a fit what the fit had set.

    Parameters
    ----------
    n_threads : int or None
        Number of threads, at least 1; None leaves torch's setting alone.

    Yields
    ------
    None
    """
    if n_threads is None:
        yield
        return
    outer = _running.within
    with _Running.lock:
        if _Running.count == 0:
            _Running.before = torch.get_num_threads()
        _Running.count += 1
    try:
        _set_threads(n_threads)
        _running.within = n_threads
        yield
    finally:
        _running.within = outer
        with _Running.lock:
            _Running.count -= 1
            _set_threads(_Running.before if outer is None else outer)


def _set_threads(n_threads: int) -> None:
    if torch.get_num_threads() != n_threads:
        torch.set_num_threads(n_threads)
