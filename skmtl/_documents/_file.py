"""The file: one safetensors file, whose header holds a document of JSON.

Layout: eight bytes that say how long the header is; the header, which names type, shape and place of
each array and holds, as ``__metadata__``, the strings below; the arrays.  No archive, so there are no
names that could lead out of a folder, and nothing compressed that could blow up.  What safetensors
does not have is added: a version, and a checksum for the document and for each array.
"""

from __future__ import annotations

import glob
import json
import os
import threading
import time
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

#: What a file says that it is.
FORMAT = "skmtl.export"

#: The newest version of the format, which is written; all up to it are read.
FORMAT_VERSION = 1


#: Seconds after which a part is left, where processes cannot be asked.
ABANDONED = 3_600

#: Whose versions a file tells, for people who look into it.
LIBRARIES = ("torch", "scikit-learn", "skorch", "numpy", "pandas")


class FileError(ValueError):
    """A file is damaged, of a newer version, or none of ``skmtl.export``."""


def write_file(path: str | os.PathLike[str], document: Any, arrays: dict[str, np.ndarray]) -> None:
    """Write a document and its arrays; the file appears under its name once it is complete.

    Parameters
    ----------
    path : str or os.PathLike
        Name of the file.
    document : object
        JSON.
    arrays : dict of str to ndarray
        By name.
    """
    metadata = {"format": FORMAT, "format_version": str(FORMAT_VERSION)}
    parts = {
        "written_by": {name: version(name) for name in ("skmtl", *LIBRARIES)},
        "document": document,
        "arrays": {name: _checksum(array) for name, array in arrays.items()},
    }
    for part, content in parts.items():
        text = json.dumps(content, allow_nan=False, separators=(",", ":"))
        metadata |= {part: text, f"{part}_sha256": sha256(text.encode()).hexdigest()}
    write_whole(Path(path), save_arrays(arrays, metadata))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file at once: whenever this is killed, there is the old file or the new one.

    Parameters
    ----------
    path : Path
        Name of the file.
    content : bytes
        All of it.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {str(path.parent)!r} to write {path.name!r} into."
        )
    # A name that no other process or thread takes.
    part = path.with_name(f".{path.name}.{os.getpid()}.{uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    if os.name == "posix":  # the new name, too, shall outlast a power cut
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_parts(path: Path) -> None:
    """Remove what processes that were killed have left of a file.

    Parameters
    ----------
    path : Path
        Name of the file.
    """
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with suppress(FileNotFoundError):  # another process removes it, too
            if _is_left(part, part.name.removeprefix(f".{path.name}.").split(".")[0]):
                part.unlink()


def _is_left(part: Path, pid: str) -> bool:
    """Tell whether nobody writes a part any more."""
    if os.name != "posix" or not pid.isdigit():
        return time.time() - part.stat().st_mtime > ABANDONED
    try:
        os.kill(int(pid), 0)  # asks, and sends nothing
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # of another user, or no number of a process
        return False
    # In a container each start may have the same number.
    return int(pid) == os.getpid() and threading.active_count() == 1


def read_file(path: str | os.PathLike[str]) -> tuple[Any, dict[str, np.ndarray]]:
    """Read a file, and check each part of it.

    Parameters
    ----------
    path : str or os.PathLike
        Name of the file.

    Returns
    -------
    document : object
        JSON.
    arrays : dict of str to ndarray
        By name.

    Raises
    ------
    FileError
        If the file is damaged, was written by a newer version, or is of another kind.
    """
    content = Path(path).read_bytes()
    length = int.from_bytes(content[:8], "little")
    metadata: Any = {}
    try:
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
        if metadata.get("format") == FORMAT:
            _check_version(path, metadata)
        # Before anything is allocated: whether the sizes in the header are those of the file.
        arrays = load_arrays(content)
    except FileError:
        raise
    # A header that is no JSON, or not of this shape, or of types that NumPy has not.
    except (
        SafetensorError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as e:
        raise FileError(
            f"{path} is not a whole file of skmtl.export ({type(e).__name__}: {e}). Copy it again "
            "from where it was saved; what joblib or pickle wrote is read by joblib.load or "
            "pickle.load."
        ) from e
    _check_version(path, metadata)
    _checked(path, metadata, "written_by")
    document = _checked(path, metadata, "document")
    sums = _checked(path, metadata, "arrays")
    if not isinstance(sums, dict):
        raise FileError(f"{path} is damaged: it has no list of its arrays. Copy the file again.")
    for name in sorted({*sums, *arrays}):
        if name not in arrays or sums.get(name) != _checksum(arrays[name]):
            raise FileError(
                f"{path} is damaged: array {name!r} is not what was saved. Copy the file again."
            )
    return document, arrays


def _check_version(path: Any, metadata: Any) -> None:
    if metadata.get("format") != FORMAT:
        raise FileError(f"{path} holds arrays, but was not written by skmtl.export.save.")
    text = metadata.get("format_version", "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    if number > FORMAT_VERSION:
        raise FileError(
            f"{path} has format {number}, written by {metadata.get('written_by')}. This is skmtl "
            f"{version('skmtl')}, which reads formats up to {FORMAT_VERSION}. Install a newer one."
        )
    if number < 1:
        raise FileError(f"{path} is damaged: its format is {text!r}. Copy the file again.")


def _checked(path: Any, metadata: dict[str, str], part: str) -> Any:
    text = metadata.get(part, "")
    if sha256(text.encode("utf-8", "surrogatepass")).hexdigest() != metadata.get(f"{part}_sha256"):
        raise FileError(
            f"{path} is damaged: its part {part!r} is not what was saved. Copy the file again."
        )
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is damaged: {part!r} is no JSON: {error}.") from error


def _checksum(array: np.ndarray) -> str:
    kind = f"{array.dtype.str}{array.shape}".encode()
    return sha256(kind + np.ascontiguousarray(array).tobytes()).hexdigest()
