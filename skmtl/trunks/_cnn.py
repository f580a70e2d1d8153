"""A convolutional network for images."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from math import prod
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from skmtl.layers import (
    Block,
    Dropout,
    Inputs,
    Seeds,
    StackedConv2d,
    StackedLinear,
    activation_layer,
    check_probability,
    check_sizes,
    check_whole,
)
from skmtl.trunks._base import Trunk


class CNN(Trunk):
    """Convolution, activation and max-pooling, then fully connected layers.

    For images.  X holds samples of shape (channels, height, width) or (height, width); or
    flat rows with `image_shape`, as a ``Pipeline`` of scikit-learn passes them on.

    Parameters
    ----------
    channels : tuple of int, default=(16, 32)
        Channels of each convolution; at least one convolution.
    kernel_size : int, default=3
        Height and width of the kernels.  The border is filled with zeros, so that a
        convolution keeps the size of the image.
    pool_size : int, default=2
        Height and width of the max-pooling behind each convolution; 1 for none.  Windows
        that reach over the border count what is there: an image of 1 pixel stays one.
    hidden_layer_sizes : tuple of int, default=(64,)
        Widths of the fully connected layers.  Empty: the flattened image is the
        representation.
    activation : str or type, default="relu"
        One of ``skmtl.layers.ACTIVATIONS``, or a class of ``torch.nn.Module``.
    dropout : float, default=0.0
        Probability of dropping an activation behind the last convolution and behind each
        fully connected layer in training, in [0, 1).
    image_shape : tuple of int, default=None
        (height, width) or (channels, height, width) of what each row of a table holds.

    Notes
    -----
    Departure: LeNet-5 averages where this takes the largest of a window.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-Based Learning Applied to Document
    Recognition, Proceedings of the IEEE 86, 1998, section II.

    Examples
    --------
    >>> from skmtl.trunks import CNN
    >>> CNN(channels=(8,), image_shape=(8, 8))
    CNN(channels=(8,), image_shape=(8, 8))
    """

    alias = "cnn"
    takes_arrays = True
    test_input_shape: ClassVar[tuple[int, ...]] = (2, 6, 5)

    def __init__(
        self,
        channels: tuple[int, ...] = (16, 32),
        kernel_size: int = 3,
        pool_size: int = 2,
        hidden_layer_sizes: tuple[int, ...] = (64,),
        activation: str | type[nn.Module] = "relu",
        dropout: float = 0.0,
        image_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.channels = channels
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.image_shape = image_shape

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [
            {"channels": (3, 4), "hidden_layer_sizes": (6,)},
            {"channels": (3,), "kernel_size": 2, "hidden_layer_sizes": (), "dropout": 0.2},
        ]

    def blocks(self, inputs: Inputs) -> list[Block]:
        """Plan a block for each convolution and each fully connected layer.

        Parameters
        ----------
        inputs : Inputs
            What is known of the features.

        Returns
        -------
        list of Block
            From images to images, then to vectors.

        Raises
        ------
        ValueError
            If the samples are no images, or a parameter is out of its range.
        """
        channels, sizes = self._check()
        channels_in, *image = self._image(inputs)
        read = inputs.shape
        blocks = []
        for i, (n_in, n_out) in enumerate(pairwise((channels_in, *channels))):
            is_last = i == len(channels) - 1
            conv = partial(StackedConv2d, in_channels=n_in, out_channels=n_out)
            made = (n_out, *[-(-size // self.pool_size) for size in image])
            flat = (prod(made),) if is_last and not sizes else made
            settings = (self.kernel_size, self.pool_size, self.activation)
            dropout = self.dropout if is_last else 0.0
            make = partial(_ConvBlock, conv, (len(read), (n_in, *image)), settings, dropout, flat)
            blocks.append(Block(make, flat))
            read, image = made, list(made[1:])
        for n_in, n_out in pairwise((prod(read), *sizes)):
            reads = (len(read), n_in)
            dense = partial(_DenseBlock, reads, n_out, self.activation, self.dropout)
            blocks.append(Block(dense, (n_out,)))
            read = (n_out,)
        return blocks

    def _check(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Check the parameters and return the channels and the widths."""
        channels = check_sizes(self.channels, "channels")
        if not channels:
            raise ValueError(
                "Parameter `channels` must hold at least one convolution. Found `channels = ()`. "
                "Use MLP for fully connected layers alone."
            )
        check_whole(self.kernel_size, "kernel_size")
        check_whole(self.pool_size, "pool_size")
        check_probability(self.dropout, "dropout")
        activation_layer(self.activation)
        return channels, check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")

    def _image(self, inputs: Inputs) -> tuple[int, ...]:
        """Return channels, height and width of one sample."""
        found = inputs.shape
        given = found if self.image_shape is None else check_sizes(self.image_shape, "image_shape")
        if len(found) == 1 and self.image_shape is None:
            raise ValueError(
                "The trunk CNN reads images. Found a table, X of shape (n_samples, "
                f"{found[0]}). Set `trunk=CNN(image_shape=(height, width))`, or with (channels, "
                "height, width), or give X of shape (n_samples, channels, height, width)."
            )
        if len(found) == 1 and inputs.categories:
            start, stop = inputs.categories[0]
            raise ValueError(
                "The trunk CNN reads the columns of X as pixels. Found a table that holds "
                f"categories, encoded as {stop - start} columns of 0 and 1. Leave columns of words "
                "out of X."
            )
        if len(given) not in {2, 3}:
            raise ValueError(
                "An image must have the axes (height, width) or (channels, height, width). Found "
                f"{'samples of' if given is found else '`image_shape`, a'} shape {given}."
            )
        if len(found) == 1 and prod(given) != found[0]:
            raise ValueError(
                f"`image_shape = {given}` must multiply to the number of encoded features: "
                f"{' * '.join(map(str, given))} = {prod(given)}. Found {found[0]} features."
            )
        if len(found) > 1 and given != found:
            raise ValueError(
                f"`image_shape = {given}` must be the shape of a sample where X holds images. "
                f"Found samples of shape {found}. Leave `image_shape` out."
            )
        return given if len(given) == 3 else (1, *given)


class _ConvBlock(nn.Module):
    def __init__(
        self,
        conv: Any,
        reads: tuple[int, tuple[int, ...]],
        settings: tuple[int, int, Any],
        dropout: float,
        output_shape: tuple[int, ...],
        n_copies: int,
        seeds: Seeds,
    ) -> None:
        super().__init__()
        kernel_size, self.pool_size, activation = settings
        self.n_axes, self.image_shape = reads
        self.output_shape = output_shape
        self.conv = conv(n_copies, kernel_size=kernel_size, generator=seeds.weights)
        self.activation = activation_layer(activation)
        self.dropout = Dropout(dropout, seeds.draw()) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        # Rows of a table and images without channels become (channel, height, width).
        images = x.reshape(*x.shape[: x.dim() - self.n_axes], *self.image_shape)
        h = self.activation(self.conv(images))  # (copy, sample, channel, height, width)
        if self.pool_size > 1:
            # In the order of the convolution's memory, so that nothing is copied.
            joined = h.transpose(0, 1).flatten(1, 2)  # (sample, copy*channel, height, width)
            pooled = F.max_pool2d(joined, self.pool_size, ceil_mode=True)
            h = pooled.unflatten(1, (len(h), -1)).transpose(0, 1)
        return self.dropout(h).reshape(*h.shape[:2], *self.output_shape)


class _DenseBlock(nn.Module):
    def __init__(
        self,
        reads: tuple[int, int],
        n_out: int,
        activation: Any,
        dropout: float,
        n_copies: int,
        seeds: Seeds,
    ) -> None:
        super().__init__()
        self.n_axes, n_in = reads
        self.linear = StackedLinear(n_copies, n_in, n_out, seeds.weights)
        self.activation = activation_layer(activation)
        self.dropout = Dropout(dropout, seeds.draw()) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(x.dim() - self.n_axes)  # (copy, sample, feature) or (sample, feature)
        return self.dropout(self.activation(self.linear(flat)))  # (copy, sample, feature)
