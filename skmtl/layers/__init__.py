"""Layers: stacked building blocks of trunks, sharing schemes and heads."""

from skmtl.layers._activation import ACTIVATIONS as ACTIVATIONS
from skmtl.layers._activation import activation_layer as activation_layer
from skmtl.layers._block import COPY_OF_MODULE as COPY_OF_MODULE
from skmtl.layers._block import UNWEIGHTED as UNWEIGHTED
from skmtl.layers._block import Block as Block
from skmtl.layers._block import Inputs as Inputs
from skmtl.layers._block import Stack as Stack
from skmtl.layers._block import is_weight as is_weight
from skmtl.layers._checks import check_choice as check_choice
from skmtl.layers._checks import check_flag as check_flag
from skmtl.layers._checks import check_number as check_number
from skmtl.layers._checks import check_probability as check_probability
from skmtl.layers._checks import check_sizes as check_sizes
from skmtl.layers._checks import check_whole as check_whole
from skmtl.layers._conv import StackedConv2d as StackedConv2d
from skmtl.layers._dropout import Dropout as Dropout
from skmtl.layers._dropout import StackedDropout as StackedDropout
from skmtl.layers._encoding import PiecewiseLinearEncoding as PiecewiseLinearEncoding
from skmtl.layers._encoding import bin_edges as bin_edges
from skmtl.layers._layer_norm import StackedLayerNorm as StackedLayerNorm
from skmtl.layers._linear import StackedLinear as StackedLinear
from skmtl.layers._linear import mean_submodels as mean_submodels
from skmtl.layers._linear import spread_members as spread_members
from skmtl.layers._seeds import Seeds as Seeds
from skmtl.layers._seeds import global_generators as global_generators
from skmtl.layers._trace_norm import trace_norm as trace_norm
