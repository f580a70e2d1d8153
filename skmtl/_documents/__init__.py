"""Documents: objects as JSON with arrays beside it, in one file that holds no code."""

from skmtl._documents._file import FileError as FileError
from skmtl._documents._file import read_file as read_file
from skmtl._documents._file import remove_parts as remove_parts
from skmtl._documents._file import write_file as write_file
from skmtl._documents._reader import NetParts as NetParts
from skmtl._documents._reader import Reader as Reader
from skmtl._documents._writer import Writer as Writer
