"""What to do when memory does not suffice."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def memory_advice(advice: str) -> Iterator[None]:
    """Say what to change when a device, or torch on a CPU, has no memory left.

    What the failed computation held is let go first: the error would keep it alive, through the
    variables of its traceback, for as long as somebody looks at it.

    Parameters
    ----------
    advice : str
        Follows torch's own words.

    Yields
    ------
    None

    Raises
    ------
    torch.OutOfMemoryError
        In place of torch's.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(
            error
        ):
            raise
        traceback.clear_frames(error.__traceback__)
        words = str(error).strip().splitlines()[0]
    else:
        return
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    raise torch.OutOfMemoryError(f"{words} {advice}")
