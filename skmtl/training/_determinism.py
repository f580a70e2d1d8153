"""Asking torch for algorithms that give the same bits each time, while one of our fits runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()
_running: list[tuple[bool, bool]] = []  # torch's settings before the first of the fits under way


@contextmanager
def deterministic_algorithms(asks: bool) -> Iterator[None]:
    """Have torch use deterministic algorithms alone inside a `with` block.

    The setting is one for the whole process: fits that run beside this one have it too.

    Parameters
    ----------
    asks : bool
        False: nothing is set.

    Yields
    ------
    None
    """
    if not asks:
        yield
        return
    with _lock:
        before = (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        _running.append(_running[0] if _running else before)
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        with _lock:
            enabled, warns_only = _running.pop()
            if not _running:
                torch.use_deterministic_algorithms(enabled, warn_only=warns_only)
