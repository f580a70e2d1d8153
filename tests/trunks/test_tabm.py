import numpy as np
import pytest
import torch

from skmtl.layers import Inputs, Seeds
from skmtl.trunks import MLP, TabM

MATRICES = ("weight", "bias")


def build(n_copies=2, n_features=4, inputs=None, **params):
    seeds = Seeds.spawn(np.random.RandomState(0))
    params = {"dropout": 0.0, **params}
    return TabM(**params).build(inputs or Inputs((n_features,)), n_copies, seeds).double()


def randomised(trunk):
    with torch.no_grad():
        for parameter in trunk.parameters():
            parameter.normal_()
    return trunk


def reference(trunk, arch, copy, k, n_in, width):
    """The authors' network with the weights of one copy."""
    tabm = pytest.importorskip("tabm", reason="needs the authors' package, tabm")
    common = {"d_in": n_in, "n_blocks": 2, "d_block": width, "dropout": 0.0, "k": k}
    if arch == "tabm":
        backbone = tabm.MLPBackboneBatchEnsemble(
            **common, tabm_init=True, scaling_init="normal", start_scaling_init_chunks=None
        )
    else:
        backbone = tabm.MLPBackboneMiniEnsemble(
            **common, affine_bias=False, affine_scaling_init="normal"
        )
    backbone.double()
    with torch.no_grad():
        for i, block in enumerate(trunk.blocks):
            ours, theirs = block.layer, backbone.blocks[i][0]
            if arch == "tabm":
                theirs.weight.copy_(ours.weight[copy].T)
                theirs.r.copy_(ours.input_scale[copy, :, 0])
                theirs.s.copy_(ours.output_scale[copy, :, 0])
                theirs.bias.copy_(ours.bias[copy, :, 0])
            else:
                theirs.weight.copy_(ours.linear.weight[copy].T)
                theirs.bias.copy_(ours.linear.bias[copy, 0])
        if arch == "tabm_mini":
            backbone.affine.weight.copy_(trunk.blocks[0].layer.input_scale[copy, :, 0])
    return backbone


@pytest.mark.parametrize("arch", ["tabm", "tabm_mini"])
@pytest.mark.parametrize("own_input", [False, True])
def test_against_the_package_of_the_authors(arch, own_input):
    k, n, n_in, width = 5, 7, 4, 6
    trunk = randomised(build(3, n_in, hidden_layer_sizes=(width, width), k=k, arch=arch))
    x = torch.randn((3, k * n, n_in) if own_input else (k * n, n_in), dtype=torch.float64)
    h = trunk(x)
    assert h.shape == (3, k * n, width)
    for copy in range(3):
        theirs = reference(trunk, arch, copy, k, n_in, width)
        rows = (x[copy] if own_input else x).unflatten(0, (k, n))
        expected = theirs(rows.transpose(0, 1)).transpose(0, 1)  # (submodel, sample, feature)
        torch.testing.assert_close(h[copy].unflatten(0, (k, n)), expected, rtol=0, atol=1e-12)


def test_by_hand():
    trunk = build(1, 2, hidden_layer_sizes=(1,), k=2, activation="identity")
    values = {
        "weight": [[[1.0], [10.0]]],
        "input_scale": [[[[1.0, 2.0]], [[3.0, 4.0]]]],
        "output_scale": [[[[1.0]], [[0.5]]]],
        "bias": [[[[0.25]], [[-1.0]]]],
    }
    with torch.no_grad():
        for name, value in values.items():
            getattr(trunk.blocks[0].layer, name).copy_(torch.tensor(value))
    x = torch.tensor([[1.0, 1.0], [0.0, 1.0]] * 2, dtype=torch.float64)  # submodel-major
    # 1*1 + 2*10 + .25, 2*10 + .25; (3*1 + 4*10) / 2 - 1, 4*10 / 2 - 1
    assert trunk(x).tolist() == [[[21.25], [20.25], [20.5], [19.0]]]


@pytest.mark.parametrize("arch", ["tabm", "tabm_mini"])
def test_one_submodel_with_scales_of_one_is_an_mlp(arch):
    trunk = build(3, hidden_layer_sizes=(6, 5), k=1, arch=arch)
    mlp = MLP(hidden_layer_sizes=(6, 5)).build(
        Inputs((4,)), 3, Seeds.spawn(np.random.RandomState(0))
    )
    with torch.no_grad():
        trunk.blocks[0].layer.input_scale.fill_(1.0)
        for ours, theirs in zip(trunk.blocks, mlp.blocks, strict=True):
            linear = ours.layer if arch == "tabm" else ours.layer.linear
            for name in MATRICES:
                target = getattr(linear, name)
                target.copy_(getattr(theirs.linear, name).view_as(target))
    x = torch.randn(7, 4, dtype=torch.float64)
    torch.testing.assert_close(trunk(x), mlp.double()(x), rtol=0, atol=1e-13)


def test_the_start_of_the_authors():
    inputs = Inputs((7,), numbers=(0, 1), categories=((2, 5),))
    trunk = build(2, inputs=inputs, hidden_layer_sizes=(6, 5), k=40)
    first, second = (block.layer for block in trunk.blocks)
    signs = first.input_scale
    assert set(signs.unique().tolist()) == {-1.0, 1.0}
    assert (signs[..., 2:3] == signs[..., 2:5]).all()  # one sign for a category column
    pairs = [(0, 1), (1, 2), (4, 5), (5, 6)]
    assert all((signs[..., i] != signs[..., j]).any() for i, j in pairs)
    assert (signs[0] != signs[1]).any()
    for scale in (first.output_scale, second.input_scale, second.output_scale):
        assert (scale == 1).all()
    for layer in (first, second):
        assert (layer.bias == layer.bias[:, :1]).all()  # equal for all submodels
        assert layer.bias.std() > 0


@pytest.mark.parametrize("arch", ["tabm", "tabm_mini"])
def test_with_embeddings_the_first_scales_are_normal_and_one_for_each_embedding(arch):
    inputs = Inputs((6,), numbers=(1, 3), categories=((4, 6),))
    trunk = build(
        2,
        inputs=inputs,
        hidden_layer_sizes=(6,),
        k=300,
        arch=arch,
        num_embeddings="periodic",
        cat_embeddings=3,
    )
    scale = trunk.blocks[0].block.layer.input_scale  # 2 numbers of 8, a category of 3, 2 others
    assert scale.shape == (2, 300, 1, 8 + 8 + 3 + 2)
    starts = [0, 8, 16, 19, 20]
    for start, stop in zip(starts, [*starts[1:], 21], strict=True):
        assert (scale[..., start:stop] == scale[..., start : start + 1]).all()
    values = scale[..., starts]
    assert abs(values.mean()) < 0.1
    assert abs(values.std() - 1) < 0.1
    x = torch.randn(300 * 2, 6, dtype=torch.float64)
    assert trunk(x).shape == (2, 600, 6)


def test_submodels_add_vectors_not_matrices():
    def size(k):
        trunk = build(1, 20, hidden_layer_sizes=(128, 128), k=k)
        return sum(parameter.numel() for parameter in trunk.parameters())

    mlp = sum((n + 1) * m for n, m in ((20, 128), (128, 128)))
    assert size(1) == mlp + 20 + 3 * 128  # an MLP, and its scales
    assert size(32) == mlp + 31 * 2 * 128 + 32 * (20 + 3 * 128)  # about twice as many
    assert TabM(k=32).n_submodels == 32


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"hidden_layer_sizes": ()}, r"must hold at least one layer.*Use MLP"),
        ({"arch": "tabm-mini"}, r"Found `arch = 'tabm-mini'`\. Did you mean 'tabm_mini'\?"),
        ({"k": 0}, r"`k` must be a whole number of at least 1\. Found `k = 0`"),
        ({"dropout": -0.1}, r"`dropout` must be a number in \[0, 1\)"),
        ({"activation": "rellu"}, r"Did you mean 'relu'\?"),
    ],
)
def test_wrong_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        build(**params)
