"""Optional dependencies: one helper that names the missing extra."""

from __future__ import annotations

import importlib
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Import an optional module, or say which extra brings it.

    Parameters
    ----------
    module : str
        The dotted name of the module.
    extra : str
        The extra of skmtl that installs it.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ImportError
        If the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"This needs `{module}`, which is not installed. Install it with "
            f"`pip install 'skmtl[{extra}]'`."
        ) from error
