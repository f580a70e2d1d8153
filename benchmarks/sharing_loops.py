"""Sharing schemes as Python loops over tasks and experts; `sharing.py` times them.

Plain `nn.Linear` for each task, expert, gate and head, one call after the other, as published
code has it.  Where such code differs, the faster way stands here: what several tasks mix is
stacked once, and each task's mixture is one product, not one for each pair of tasks.  The
arithmetic is that of `skmtl.sharing` with default parameters, which `largest_difference` shows
with copied weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.fit_variants import HIDDEN, LR, Job, ListLoss, NaiveLoop, Ours

N_EXPERTS = 4
#: A layer of a loop, our stacked layers, and the copy of it there.
Pair = tuple[nn.Linear, Any, int]


class Trunk(nn.Sequential):
    """Linear layers, each with a ReLU after it."""

    def __init__(self, *widths: int) -> None:
        pairs = pairwise(widths)
        super().__init__(*(m for pair in pairs for m in (nn.Linear(*pair), nn.ReLU())))

    def pairs(self, blocks: Any, copy: int) -> Iterator[Pair]:
        for layer, block in zip(list(self)[::2], blocks, strict=True):
            yield layer, block.linear, copy


class Form(nn.Module):
    """A body of a network: features -> a representation for each task."""

    alias: ClassVar[str]

    def __init__(self, n_features: int, n_tasks: int) -> None:
        super().__init__()
        self.widths = (n_features, *HIDDEN)
        self.n_tasks = n_tasks

    def trunks(self, n: int, *widths: int) -> nn.ModuleList:
        return nn.ModuleList(Trunk(*(widths or self.widths)) for _ in range(n))

    def levels(self) -> list[tuple[int, int]]:
        return list(pairwise(self.widths))

    def penalty(self) -> Tensor | float:
        return 0.0

    def pairs(self, body: Any) -> Iterator[Pair]:
        """List which layer is which copy of ours."""
        raise NotImplementedError

    def others(self, body: Any) -> Iterator[tuple[Tensor, Tensor]]:
        """List the other parameters, and ours."""
        yield from ()


def gates(n: int, n_in: int, n_experts: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(n_in, n_experts) for _ in range(n))


def copies(layers: Any, ours: Any) -> Iterator[Pair]:
    for copy, layer in enumerate(layers):
        yield layer, ours, copy


def mixture(gate: nn.Linear, x: Tensor, experts: Tensor) -> Tensor:
    """Mix experts of shape (sample, expert, feature) by a gate that reads x."""
    weights = torch.softmax(gate(x), dim=1)
    return torch.matmul(weights.unsqueeze(1), experts).squeeze(1)  # (sample, feature)


class Independent(Form):
    alias = "independent"

    def __init__(self, n_features: int, n_tasks: int) -> None:
        super().__init__(n_features, n_tasks)
        self.own = self.trunks(n_tasks)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [trunk(x) for trunk in self.own]

    def pairs(self, body: Any) -> Iterator[Pair]:
        for task, trunk in enumerate(self.own):
            yield from trunk.pairs(body.trunk.blocks, task)


class MMoE(Form):
    alias = "mmoe"

    def __init__(self, n_features: int, n_tasks: int) -> None:
        super().__init__(n_features, n_tasks)
        self.experts = self.trunks(N_EXPERTS)
        self.gates = gates(n_tasks, n_features, N_EXPERTS)

    def forward(self, x: Tensor) -> list[Tensor]:
        experts = torch.stack([expert(x) for expert in self.experts], dim=1)
        return [mixture(gate, x, experts) for gate in self.gates]

    def pairs(self, body: Any) -> Iterator[Pair]:
        for copy, expert in enumerate(self.experts):
            yield from expert.pairs(body.trunk.blocks, copy)
        yield from copies(self.gates, body.gate.linear)


class PLE(Form):
    """A level for each layer, one expert of each task and one shared one."""

    alias = "ple"

    def __init__(self, n_features: int, n_tasks: int) -> None:
        super().__init__(n_features, n_tasks)
        self.own, self.shared = nn.ModuleList(), nn.ModuleList()
        self.gates, self.shared_gates = nn.ModuleList(), nn.ModuleList()
        for n_in, n_out in self.levels():
            self.own.append(self.trunks(n_tasks, n_in, n_out))
            self.shared.append(Trunk(n_in, n_out))
            self.gates.append(gates(n_tasks, n_in, 2))
        for n_in, _ in self.levels()[:-1]:
            self.shared_gates.append(nn.Linear(n_in, n_tasks + 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        inputs, shared_input = [x] * self.n_tasks, x
        for level, (own, shared) in enumerate(zip(self.own, self.shared, strict=True)):
            outputs = [expert(h) for expert, h in zip(own, inputs, strict=True)]
            common = shared(shared_input)
            mixed = [
                mixture(gate, h, torch.stack([output, common], dim=1))
                for gate, h, output in zip(self.gates[level], inputs, outputs, strict=True)
            ]
            if level < len(self.shared_gates):
                experts = torch.stack([*outputs, common], dim=1)
                shared_input = mixture(self.shared_gates[level], shared_input, experts)
            inputs = mixed
        return inputs

    def pairs(self, body: Any) -> Iterator[Pair]:
        for level, experts in enumerate(body.trunk):
            for task, trunk in enumerate(self.own[level]):
                yield from trunk.pairs(experts["own"].blocks, task)
            yield from self.shared[level].pairs(experts["shared"].blocks, 0)
            yield from copies(self.gates[level], body.gates[level].task.linear)
        for level, gate in enumerate(self.shared_gates):
            yield gate, body.gates[level].shared.linear, 0


class CrossStitch(Form):
    alias = "cross_stitch"

    def __init__(self, n_features: int, n_tasks: int) -> None:
        super().__init__(n_features, n_tasks)
        self.layers = nn.ModuleList(self.trunks(n_tasks, *pair) for pair in self.levels())
        self.stitches = nn.Parameter(torch.eye(n_tasks).repeat(len(HIDDEN), 1, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        inputs = [x] * self.n_tasks
        for layers, stitch in zip(self.layers, self.stitches, strict=True):
            outputs = [layer(h) for layer, h in zip(layers, inputs, strict=True)]
            stacked = torch.stack(outputs)  # (task, sample, feature)
            inputs = [torch.tensordot(weights, stacked, dims=1) for weights in stitch]
        return inputs

    def pairs(self, body: Any) -> Iterator[Pair]:
        for level, block in enumerate(body.trunk):
            for task, layer in enumerate(self.layers[level]):
                yield from layer.pairs([block], task)

    def others(self, body: Any) -> Iterator[tuple[Tensor, Tensor]]:
        yield self.stitches, body.stitches[0]


class AdaTT(Form):
    alias = "adatt"

    def __init__(self, n_features: int, n_tasks: int) -> None:
        super().__init__(n_features, n_tasks)
        self.layers = nn.ModuleList(self.trunks(n_tasks, *pair) for pair in self.levels())
        self.gates = nn.ModuleList(gates(n_tasks, n_in, n_tasks) for n_in, _ in self.levels())
        self.native = nn.Parameter(torch.ones(len(HIDDEN), n_tasks))

    def forward(self, x: Tensor) -> list[Tensor]:
        inputs = [x] * self.n_tasks
        for level, layers in enumerate(self.layers):
            outputs = [layer(h) for layer, h in zip(layers, inputs, strict=True)]
            experts = torch.stack(outputs, dim=1)
            native = self.native[level]
            inputs = [
                mixture(gate, h, experts) + weight * output
                for gate, h, weight, output in zip(
                    self.gates[level], inputs, native, outputs, strict=True
                )
            ]
        return inputs

    def pairs(self, body: Any) -> Iterator[Pair]:
        for level, stack in enumerate(body.trunk):
            for task, layer in enumerate(self.layers[level]):
                yield from layer.pairs(stack.blocks, task)
            yield from copies(self.gates[level], body.gates[level].linear)

    def others(self, body: Any) -> Iterator[tuple[Tensor, Tensor]]:
        yield self.native, body.native[0, :, :, 0]


class Attention(Form):
    alias = "attention"
    reduction = 4

    def __init__(self, n_features: int, n_tasks: int) -> None:
        super().__init__(n_features, n_tasks)
        self.layers = nn.ModuleList(Trunk(*pair) for pair in self.levels())
        self.masks = nn.ModuleList()
        before = 0
        for _, width in self.levels():
            hidden = -(-width // self.reduction)
            self.masks.append(
                nn.ModuleList(
                    nn.Sequential(
                        nn.Linear(width + before, hidden),
                        nn.ReLU(),
                        nn.Linear(hidden, width),
                        nn.Sigmoid(),
                    )
                    for _ in range(n_tasks)
                )
            )
            before = width

    def forward(self, x: Tensor) -> list[Tensor]:
        u, attended = x, None
        for layer, masks in zip(self.layers, self.masks, strict=True):
            u = layer(u)
            if attended is None:
                attended = [mask(u) * u for mask in masks]
            else:
                attended = [
                    mask(torch.cat([u, h], dim=1)) * u
                    for mask, h in zip(masks, attended, strict=True)
                ]
        return attended or []

    def pairs(self, body: Any) -> Iterator[Pair]:
        for level, block in enumerate(body.trunk):
            yield from self.layers[level].pairs([block], 0)
            for position in (0, 2):
                layers = [mask[position] for mask in self.masks[level]]
                yield from copies(layers, body.masks[level][position])


class LowRank(Form):
    alias = "low_rank"
    sparsity = 1e-3

    def __init__(self, n_features: int, n_tasks: int) -> None:
        super().__init__(n_features, n_tasks)
        n_latent = (n_tasks + 2) // 2
        self.latent = self.trunks(n_latent)
        self.combinations = nn.Parameter(torch.rand(n_tasks, n_latent))

    def forward(self, x: Tensor) -> list[Tensor]:
        stacked = []  # (latent, ...) of each layer
        for position in range(0, 2 * len(HIDDEN), 2):
            layers = [trunk[position] for trunk in self.latent]
            weights = torch.stack([layer.weight for layer in layers])
            stacked.append((weights, torch.stack([layer.bias for layer in layers])))
        outputs = []
        for shares in self.combinations:
            h = x
            for weights, biases in stacked:
                own = (torch.tensordot(shares, part, dims=1) for part in (weights, biases))
                h = F.linear(h, *own).relu()
            outputs.append(h)
        return outputs

    def penalty(self) -> Tensor | float:
        return self.sparsity * self.combinations.abs().sum()

    def pairs(self, body: Any) -> Iterator[Pair]:
        for copy, trunk in enumerate(self.latent):
            yield from trunk.pairs(body.trunk.blocks, copy)

    def others(self, body: Any) -> Iterator[tuple[Tensor, Tensor]]:
        yield self.combinations, body.combinations[0]


FORMS = {
    form.alias: form for form in (Independent, MMoE, PLE, CrossStitch, AdaTT, Attention, LowRank)
}


class LoopNet(nn.Module):
    """A form, and a list of heads."""

    def __init__(self, form: Callable[[int, int], Form], job: Job) -> None:
        super().__init__()
        self.body = form(job.X.shape[1], len(job.kinds))
        self.heads = nn.ModuleList(
            nn.Linear(HIDDEN[-1], 3 if kind == "multiclass" else 1) for kind in job.kinds
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(head(h) for head, h in zip(self.heads, self.body(x), strict=True))

    @torch.no_grad()
    def copy_weights(self, network: Any) -> None:
        """Take the weights of one of our networks."""
        for layer, ours, copy in self.body.pairs(network.body):
            layer.weight.copy_(ours.weight[copy].T)
            layer.bias.copy_(ours.bias[copy, 0])
        for parameter, tensor in self.body.others(network.body):
            parameter.copy_(tensor)
        start, output = 0, network.heads.output
        for head in self.heads:
            rows = slice(start, start + head.out_features)
            head.weight.copy_(output.weight[0, :, rows].T)
            head.bias.copy_(output.bias[0, 0, rows])
            start = rows.stop


class LoopFit(NaiveLoop):
    """Fused AdamW on batches that are slices of one permuted copy; a loss per task."""

    def __init__(self, job: Job, batch_size: int, alias: str) -> None:
        self.X = torch.as_tensor(job.X, dtype=torch.float32)
        self.Y = torch.as_tensor(job.Y, dtype=torch.float32)
        self.batch_size = batch_size
        self.net, self.criterion = LoopNet(FORMS[alias], job), ListLoss(job)
        parameters = self.net.parameters()
        self.optimizer = torch.optim.AdamW(parameters, lr=LR, weight_decay=0.0, fused=True)

    def epoch(self, order: Tensor) -> float:
        """Train on the rows in this order, and return the mean objective of the batches."""
        batches = [part.index_select(0, order).split(self.batch_size) for part in (self.X, self.Y)]
        total = torch.zeros(())
        for x, y in zip(*batches, strict=True):
            self.optimizer.zero_grad()
            loss = self.criterion(self.net(x), y) + self.net.body.penalty()
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        return total.item() / len(batches[0])


def largest_difference(alias: str, n_tasks: int, n: int = 64) -> tuple[float, float]:
    """Compare a form and our network with the same weights.

    Returns the largest absolute difference of the outputs, and of the gradients of the first
    weights of each.
    """
    job = Job.make(n_tasks, n=n, d=6)
    network = Ours(job, 32, sharing=alias, dtype="float64").estimator.net_.module_
    loop = LoopNet(FORMS[alias], job).double()
    loop.copy_weights(network)
    x = torch.as_tensor(job.X)
    theirs, ours = torch.cat(loop(x), dim=1), network(x)[0].T  # (sample, output row)
    gradients = []
    for outputs, net in ((theirs, loop), (ours, network)):
        net.zero_grad()
        outputs.square().sum().backward()
        layers = loop.body.pairs(network.body)
        gradients.append(
            torch.cat(
                [
                    (layer.weight.grad if net is loop else stacked.weight.grad[copy].T).flatten()
                    for layer, stacked, copy in layers
                ]
            )
        )
    outputs = [theirs.detach(), ours.detach()]
    by_pair = (outputs, gradients)
    differences = [float((left - right).abs().max()) for left, right in by_pair]
    return differences[0], differences[1]
