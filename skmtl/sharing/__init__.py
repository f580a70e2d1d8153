"""Sharing: how tasks share representations.  One scheme a file."""

from skmtl.sharing._base import Sharing as Sharing
from skmtl.sharing._hard import Hard as Hard
from skmtl.sharing._independent import Independent as Independent
