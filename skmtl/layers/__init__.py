"""Layers: stacked building blocks of trunks, sharing schemes and heads."""

from skmtl.layers._activation import ACTIVATIONS as ACTIVATIONS
from skmtl.layers._activation import activation_layer as activation_layer
from skmtl.layers._checks import check_probability as check_probability
from skmtl.layers._checks import check_sizes as check_sizes
from skmtl.layers._dropout import Dropout as Dropout
from skmtl.layers._linear import StackedLinear as StackedLinear
from skmtl.layers._seeds import Seeds as Seeds
