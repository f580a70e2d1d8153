"""Sharing: how tasks share representations.  One scheme a file."""

from skmtl.sharing._adatt import AdaTT as AdaTT
from skmtl.sharing._attention import Attention as Attention
from skmtl.sharing._base import Body as Body
from skmtl.sharing._base import Sharing as Sharing
from skmtl.sharing._cgc import CGC as CGC
from skmtl.sharing._chain import Chain as Chain
from skmtl.sharing._cross_stitch import CrossStitch as CrossStitch
from skmtl.sharing._dselect_k import DSelectK as DSelectK
from skmtl.sharing._grouped import Grouped as Grouped
from skmtl.sharing._hard import Hard as Hard
from skmtl.sharing._independent import Independent as Independent
from skmtl.sharing._low_rank import LowRank as LowRank
from skmtl.sharing._mmoe import MMoE as MMoE
from skmtl.sharing._ple import PLE as PLE
from skmtl.sharing._sluice import Sluice as Sluice
from skmtl.sharing._soft import Soft as Soft
from skmtl.sharing._structure import Structure as Structure
