"""A trunk of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from skmtl.layers import Block, Inputs, Seeds, global_generators, spread_members
from skmtl.trunks._base import Trunk


class ModuleTrunk(Trunk):
    r"""A trunk made of the user's own ``torch.nn.Module``.

    The way to images, sequences and layers that the package does not have.  One module is
    made per copy, and copies are computed one after the other.

    Parameters
    ----------
    module : callable
        A class or function that returns a ``torch.nn.Module`` mapping
        (sample, \*shape of one sample) to (sample, feature).
    module_params : dict, default=None
        Keyword arguments for it.

    Notes
    -----
    Initial weights come from the estimator's seed.  What the module draws itself in training,
    as ``torch.nn.Dropout`` does, comes from torch's global generator: seed that, or use
    :class:`skmtl.layers.Dropout`.

    References
    ----------
    None: the model is the user's.

    Examples
    --------
    >>> from torch import nn
    >>> from skmtl.trunks import ModuleTrunk
    >>> def images():
    ...     return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten())
    >>> trunk = ModuleTrunk(images)
    """

    alias = "module"
    takes_arrays = True
    follows_dtype = False

    def __init__(
        self, module: Callable[..., nn.Module], module_params: dict[str, Any] | None = None
    ) -> None:
        self.module = module
        self.module_params = module_params

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{"module": nn.LazyLinear, "module_params": {"out_features": 6}}]

    def blocks(self, inputs: Inputs) -> list[Block]:
        """Plan one block: the user's module.

        Parameters
        ----------
        inputs : Inputs
            What is known of the features.

        Returns
        -------
        list of Block
            The module as a whole.

        Raises
        ------
        TypeError
            If `module` is not callable or does not return a ``torch.nn.Module``.
        ValueError
            If the module's output is not of shape (sample, feature).
        """
        if not callable(self.module):
            raise TypeError(
                "Parameter `module` must be a class or function that returns a "
                f"torch.nn.Module. Found `module = {self.module!r}`."
            )
        _, out_features = self._make(1, inputs.shape, seed=0)
        return [Block(partial(self._stack, inputs.shape), (out_features,))]

    def _stack(self, input_shape: tuple[int, ...], n_copies: int, seeds: Seeds) -> nn.Module:
        copies, out_features = self._make(n_copies, input_shape, seeds.draw())
        return _ModuleCopies(copies, out_features, len(input_shape))

    def _make(
        self, n_copies: int, input_shape: tuple[int, ...], seed: int
    ) -> tuple[list[nn.Module], int]:
        """Make modules from a seed; the global generator of torch is left as it was."""
        # User modules draw their initial weights from the global generator.
        with global_generators() as seed_with:
            seed_with(seed)
            copies = [self.module(**(self.module_params or {})) for _ in range(n_copies)]
            for copy in copies:
                if not isinstance(copy, nn.Module):
                    raise TypeError(
                        f"`module` must return a torch.nn.Module. Found {type(copy).__name__}."
                    )
            outputs = [_trace(copy, input_shape) for copy in copies]
        output = outputs[0]
        found = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else repr(type(output))
        if not isinstance(output, Tensor) or output.dim() != 2 or len(output) != 2:
            raise ValueError(
                "The trunk's module must map (sample, ...) to (sample, feature). For two samples "
                f"of shape {input_shape} it returned {found}."
            )
        return copies, output.shape[1]


def _trace(module: nn.Module, input_shape: tuple[int, ...]) -> Any:
    training = module.training
    try:
        with torch.no_grad():
            return module.eval()(torch.zeros(2, *input_shape))
    except Exception as error:
        error.add_note(f"The trunk's module was called on two samples of shape {input_shape}.")
        raise
    finally:
        module.train(training)


class _ModuleCopies(nn.Module):
    def __init__(self, copies: list[nn.Module], out_features: int, n_axes: int) -> None:
        super().__init__()
        self.copies = nn.ModuleList(copies)
        self.out_features = out_features
        self.n_axes = n_axes

    def forward(self, x: Tensor) -> Tensor:
        shared = x.dim() == self.n_axes + 1
        x = x if shared else spread_members(x, len(self.copies))
        outputs = [copy(x if shared else x[i]) for i, copy in enumerate(self.copies)]
        return torch.stack(outputs)  # (copy, sample, feature)

    def call_copies(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        """Call the module with other parameters, any number of copies of them.

        Parameters
        ----------
        parameters : dict of str to Tensor of shape (copy, ...)
            By name within this module, without the number of the copy.
        x : Tensor of shape (sample, ...) or (copy, sample, ...)
            Input.

        Returns
        -------
        Tensor of shape (copy, sample, feature)
            Outputs.
        """
        named = {name.removeprefix("copies."): p for name, p in parameters.items()}
        n_copies = len(next(iter(named.values())))
        shared = x.dim() == self.n_axes + 1
        x = x if shared else spread_members(x, n_copies)
        outputs = [
            functional_call(
                self.copies[0],
                {name: p[i] for name, p in named.items()},
                (x if shared else x[i],),
            )
            for i in range(n_copies)
        ]
        return torch.stack(outputs)  # (copy, sample, feature)
