"""Many MLPs in one that share most of their weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from skmtl._strategy import did_you_mean
from skmtl.layers import (
    Block,
    Dropout,
    Inputs,
    Seeds,
    StackedLinear,
    activation_layer,
    check_probability,
    check_sizes,
    check_whole,
    spread_members,
)
from skmtl.trunks._base import Trunk
from skmtl.trunks._embedding import NumEmbedding, embed

_ARCHITECTURES = ("tabm", "tabm_mini")


class TabM(Trunk):
    r"""An ensemble of `k` MLPs that share the matrices of their layers.

    Often the most accurate trunk for a table, at several times the cost of an :class:`MLP`.
    Submodel m computes ``s_m * (W^T (r_m * x)) + b_m`` in each layer: ``W`` is shared, the
    vectors ``r_m, s_m, b_m`` are its own, and so are its heads.  The loss is the mean of the
    submodels' losses, the prediction the mean of their predictions.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(128, 128)
        Width of each layer; at least one layer.
    k : int, default=32
        Number of submodels.
    arch : {"tabm", "tabm_mini"}, default="tabm"
        ``"tabm_mini"`` has one vector per submodel only, ``r_m`` of the first layer.
    activation : str or type, default="relu"
        One of ``skmtl.layers.ACTIVATIONS``, or a class of ``torch.nn.Module``.
    dropout : float, default=0.1
        Probability of dropping an activation in training, in [0, 1).
    num_embeddings : str or NumEmbedding, default=None
        Embedding of each number: ``"piecewise_linear"``, ``"periodic"``, an object, or None.
    cat_embeddings : int or str, default=None
        Width of the embedding of each column of words or categories that
        ``preprocess="auto"`` encodes, ``"auto"`` for a width by the number of categories, or
        None for one-hot columns.

    Notes
    -----
    Shared by the submodels: the matrices of all layers, and the embeddings.  The matrix
    products cost as much as `k` nets of this size; the weights grow by vectors only (32
    submodels of two layers of 128 hold about twice those of one MLP).

    At the start the first ``r_m`` is a random sign for each feature (with `num_embeddings` a
    normal number), the same for all columns of an embedding or of a category; all other
    ``r_m`` and ``s_m`` are 1, and the ``b_m`` equal.

    References
    ----------
    Y. Gorishniy, A. Kotelnikov, A. Babenko: TabM: Advancing Tabular Deep Learning with
    Parameter-Efficient Ensembling, ICLR 2025, arXiv 2410.24210, section 3.

    Y. Wen, D. Tran, J. Ba: BatchEnsemble: An Alternative Approach to Efficient Ensemble and
    Lifelong Learning, ICLR 2020, eq. (5).

    Examples
    --------
    >>> from skmtl.trunks import TabM
    >>> TabM(k=16, arch="tabm_mini").n_submodels
    16
    """

    alias = "tabm"

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] = (128, 128),
        k: int = 32,
        arch: str = "tabm",
        activation: str | type[nn.Module] = "relu",
        dropout: float = 0.1,
        num_embeddings: str | NumEmbedding | None = None,
        cat_embeddings: int | str | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.k = k
        self.arch = arch
        self.activation = activation
        self.dropout = dropout
        self.num_embeddings = num_embeddings
        self.cat_embeddings = cat_embeddings

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [
            {"hidden_layer_sizes": (8, 6), "k": 3},
            {"hidden_layer_sizes": (7,), "k": 2, "arch": "tabm_mini", "num_embeddings": "periodic"},
        ]

    @property
    def n_submodels(self) -> int:
        """The number of submodels, `k`."""
        return check_whole(self.k, "k")

    def blocks(self, inputs: Inputs) -> list[Block]:
        """Plan a block for each hidden layer.

        Parameters
        ----------
        inputs : Inputs
            What is known of the features; of shape ``(n_features,)``.

        Returns
        -------
        list of Block
            Each maps (submodel*sample, feature), shared by all copies, or
            (copy, submodel*sample, feature) to (copy, submodel*sample, feature).

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """
        sizes = self._check()
        k = self.n_submodels
        embedding = embed(inputs, self.num_embeddings, self.cat_embeddings)
        draws = _Draws(embedding.chunks, is_normal=self.num_embeddings is not None)
        layer: type[nn.Module] = _BatchEnsemble if self.arch == "tabm" else _Shared
        blocks = []
        for i, (n_in, n_out) in enumerate(pairwise((embedding.out_features, *sizes))):
            made = partial(layer, k, n_in, n_out, draws if i == 0 else None)
            blocks.append(Block(partial(_TabMBlock, made, self.activation, self.dropout), (n_out,)))
        return embedding.before(blocks, k)

    def _check(self) -> tuple[int, ...]:
        """Check the parameters and return the widths."""
        sizes = check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        if not sizes:
            raise ValueError(
                "Parameter `hidden_layer_sizes` of TabM must hold at least one layer: submodels "
                "differ in their layers. Found `hidden_layer_sizes = ()`. Use MLP for a linear "
                "model."
            )
        if self.arch not in _ARCHITECTURES:
            raise ValueError(
                f"Parameter `arch` must be one of {list(_ARCHITECTURES)}. Found `arch = "
                f"{self.arch!r}`.{did_you_mean(self.arch, _ARCHITECTURES)}"
            )
        check_probability(self.dropout, "dropout")
        activation_layer(self.activation)
        return sizes


class _Draws:
    """The first scales of the submodels: one random number per feature and submodel."""

    def __init__(self, chunks: Sequence[int], *, is_normal: bool) -> None:
        self.chunks = torch.tensor(chunks, dtype=torch.long)
        self.is_normal = is_normal

    def draw(self, n_copies: int, k: int, generator: torch.Generator) -> Tensor:
        drawn = torch.empty(
            n_copies, k, 1, len(self.chunks), dtype=torch.float32
        )  # (copy, submodel, 1, feature)
        if self.is_normal:
            drawn.normal_(generator=generator)
        else:
            drawn.bernoulli_(0.5, generator=generator).mul_(2).sub_(1)
        return drawn.repeat_interleave(self.chunks, dim=-1)


class _BatchEnsemble(nn.Module):
    """Linear layers of `k` submodels with one matrix."""

    def __init__(
        self, k: int, n_in: int, n_out: int, draws: _Draws | None, n_copies: int, seeds: Seeds
    ) -> None:
        super().__init__()
        start = StackedLinear(n_copies, n_in, n_out, seeds.weights)
        ones = torch.ones(n_copies, k, 1, n_in)  # (copy, submodel, 1, feature)
        self.k = k
        self.weight = start.weight
        self.input_scale = nn.Parameter(
            ones if draws is None else draws.draw(n_copies, k, seeds.weights)
        )
        self.output_scale = nn.Parameter(torch.ones(n_copies, k, 1, n_out))
        self.bias = nn.Parameter(start.bias.detach().unsqueeze(1).repeat(1, k, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 3:
            x = spread_members(x, len(self.weight))
        x = x.unflatten(-2, (self.k, -1)) * self.input_scale  # (copy, submodel, sample, feature)
        y = torch.bmm(x.flatten(1, 2), self.weight).unflatten(1, (self.k, -1))
        return torch.addcmul(self.bias, self.output_scale, y).flatten(1, 2)


class _Shared(nn.Module):
    """A linear layer that all submodels share, in the first block with scales of their own."""

    def __init__(
        self, k: int, n_in: int, n_out: int, draws: _Draws | None, n_copies: int, seeds: Seeds
    ) -> None:
        super().__init__()
        self.k = k
        self.linear = StackedLinear(n_copies, n_in, n_out, seeds.weights)
        drawn = None if draws is None else draws.draw(n_copies, k, seeds.weights)
        self.input_scale = None if drawn is None else nn.Parameter(drawn)

    def forward(self, x: Tensor) -> Tensor:
        if self.input_scale is not None:
            if x.dim() == 3:
                x = spread_members(x, len(self.input_scale))
            x = x.unflatten(-2, (self.k, -1)) * self.input_scale
            x = x.flatten(1, 2)  # (copy, submodel*sample, feature)
        return self.linear(x)  # (copy, submodel*sample, feature)


class _TabMBlock(nn.Module):
    def __init__(
        self, layer: Any, activation: Any, dropout: float, n_copies: int, seeds: Seeds
    ) -> None:
        super().__init__()
        self.layer = layer(n_copies, seeds)
        self.activation = activation_layer(activation)
        self.dropout = Dropout(dropout, seeds.draw()) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.activation(self.layer(x)))  # (copy, submodel*sample, feature)
