"""Trunks: features -> representation.  One trunk a file."""

from skmtl.trunks._base import Trunk as Trunk
from skmtl.trunks._cnn import CNN as CNN
from skmtl.trunks._embedding import NumEmbedding as NumEmbedding
from skmtl.trunks._mlp import MLP as MLP
from skmtl.trunks._module import ModuleTrunk as ModuleTrunk
from skmtl.trunks._periodic import Periodic as Periodic
from skmtl.trunks._piecewise_linear import PiecewiseLinear as PiecewiseLinear
from skmtl.trunks._resnet import ResNet as ResNet
from skmtl.trunks._tabm import TabM as TabM
