"""The same structure for all tasks, tied in the first layers."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from skmtl.layers import Block, Inputs, Seeds, Stack, check_whole
from skmtl.sharing._base import Body, Sharing
from skmtl.sharing._levels import for_copies


class Structure(Sharing):
    """The first blocks of the trunk for all tasks, the others for each task alone.

    ``h_it = own_t(shared(x_i))``: the seam between independent nets (no shared block) and hard
    sharing (all of them).  Low-level features are often common where the rest is not.

    Parameters
    ----------
    n_shared_blocks : int, default=None
        How many of the trunk's blocks, from the features on, all tasks share; None: all but
        the last.

    References
    ----------
    R. Caruana: Multitask Learning, Machine Learning 28, 1997, section 1.
    J. Yosinski, J. Clune, Y. Bengio, H. Lipson: How Transferable Are Features in Deep Neural
    Networks?, NIPS 2014.

    Examples
    --------
    >>> from skmtl.sharing import Structure
    >>> Structure(n_shared_blocks=1)
    Structure(n_shared_blocks=1)
    """

    alias = "structure"

    def __init__(self, n_shared_blocks: int | None = None) -> None:
        self.n_shared_blocks = n_shared_blocks

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Return parameter sets for the contract tests."""
        return [{}, {"n_shared_blocks": 0}]

    def build(
        self, trunk: Any, *, inputs: Inputs, layout: Any, n_members: int, seeds: Seeds
    ) -> Body:
        """Build the shared blocks once, the others for each task."""
        blocks = trunk.blocks(inputs)
        n_shared = max(len(blocks) - 1, 0)
        if self.n_shared_blocks is not None:
            n_shared = check_whole(self.n_shared_blocks, "n_shared_blocks", 0)
        if n_shared > len(blocks):
            raise ValueError(
                "Parameter `n_shared_blocks` can be at most the number of blocks of the trunk, "
                f"{len(blocks)} here. Found `n_shared_blocks = {n_shared}`."
            )
        return _StructureBody(blocks, inputs, n_shared, (n_members, layout.n_tasks), seeds)


class _StructureBody(Body):
    def __init__(
        self,
        blocks: list[Block],
        inputs: Inputs,
        n_shared: int,
        size: tuple[int, int],
        seeds: Seeds,
    ) -> None:
        super().__init__()
        self.n_members, self.n_tasks = size
        shared = Stack(blocks[:n_shared], inputs, self.n_members, seeds)
        own = blocks[n_shared:]
        read = Inputs(blocks[n_shared - 1].output_shape) if n_shared else inputs
        stacks = [shared]
        if own:
            stacks.append(Stack(own, read, self.n_members * self.n_tasks, seeds))
        self.shares_weights = n_shared > 0
        self.has_common_features = self.has_one_representation = not own
        self.trunk = nn.ModuleList(stacks)
        self.out_features = stacks[-1].out_features

    def forward(self, x: Tensor) -> Tensor:
        shared, *own = self.trunk
        if not own:
            return shared(x).unsqueeze(1)  # (member, task=1, sample, feature)
        h = for_copies(shared(x), self.n_tasks) if len(shared.blocks) else x
        return own[0](h).unflatten(0, (self.n_members, self.n_tasks))
