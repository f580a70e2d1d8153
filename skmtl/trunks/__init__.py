"""Trunks: features -> representation.  One trunk a file."""

from skmtl.trunks._base import Trunk as Trunk
from skmtl.trunks._mlp import MLP as MLP
from skmtl.trunks._module import ModuleTrunk as ModuleTrunk
