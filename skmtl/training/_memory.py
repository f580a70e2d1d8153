"""What to do when memory does not suffice."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch


def forget_frames(error: BaseException | None) -> None:
    """Let go of what the variables of an error's traceback keep alive; its text stays.

    Parameters
    ----------
    error : BaseException or None
        Caught, and to be kept or raised again; None: nothing is done.
    """
    while error is not None:
        trace = error.__traceback__
        traceback.clear_frames(trace)
        # And of those that called: they are kept, too, until one that is still under way.
        frame = None if trace is None else trace.tb_frame.f_back
        with suppress(RuntimeError):
            while frame is not None:
                frame.clear()
                frame = frame.f_back
        error = error.__cause__ or error.__context__


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
        forget_frames(error)
        words = str(error).strip().splitlines()[0]
    else:
        return
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    raise torch.OutOfMemoryError(f"{words} {advice}")
