"""Export: fitted estimators as files without code."""

from skmtl._documents import FileError as FileError
from skmtl.export._save import load as load
from skmtl.export._save import save as save
