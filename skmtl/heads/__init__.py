"""Heads: layer, loss and link of each kind of task.  One kind a file."""

from skmtl.heads._absolute import AbsoluteHead as AbsoluteHead
from skmtl.heads._base import Head as Head
from skmtl.heads._binary import BinaryHead as BinaryHead
from skmtl.heads._count import CountHead as CountHead
from skmtl.heads._focal import FocalBinaryHead as FocalBinaryHead
from skmtl.heads._focal import FocalMulticlassHead as FocalMulticlassHead
from skmtl.heads._huber import HuberHead as HuberHead
from skmtl.heads._layout import HeadGroup as HeadGroup
from skmtl.heads._layout import HeadSpec as HeadSpec
from skmtl.heads._layout import Layout as Layout
from skmtl.heads._multiclass import MulticlassHead as MulticlassHead
from skmtl.heads._multilabel import MultilabelHead as MultilabelHead
from skmtl.heads._ordinal import OrdinalHead as OrdinalHead
from skmtl.heads._quantile import QuantileHead as QuantileHead
from skmtl.heads._regression import RegressionHead as RegressionHead
from skmtl.heads._stacked import StackedHeads as StackedHeads
