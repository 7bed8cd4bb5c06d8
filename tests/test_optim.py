"""The fused Adam takes torch.optim.Adam's steps."""

import copy

import pytest
import torch

from fastparadime.training import optim
from fastparadime.training.progress import load_optimizer, optimizer_state


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_takes_the_steps_of_torchs_adam(dtype):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 2))
    model = model.to(dtype)
    other = copy.deepcopy(model)
    own = optim.make_optimizer(torch.optim.Adam, model, 0.01)
    theirs = torch.optim.Adam(other.parameters(), lr=0.01)
    assert isinstance(own, optim.Adam)
    for step in range(30):
        x = torch.randn(16, 5, dtype=dtype)
        for net, optimizer in ((model, own), (other, theirs)):
            optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / 30)
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


def test_leaves_parameters_without_gradient_alone():
    used, unused = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3))
    frozen = torch.nn.Parameter(torch.ones(3), requires_grad=False)
    optimizer = optim.Adam([used, unused, frozen], 0.1)
    used.sum().backward()
    optimizer.step()
    assert torch.equal(unused, torch.ones(3))
    assert torch.equal(frozen, torch.ones(3))
    torch.testing.assert_close(used.detach(), torch.full((3,), 0.9))
    optimizer.zero_grad()
    assert used.grad is None
    optimizer.step()
    torch.testing.assert_close(used.detach(), torch.full((3,), 0.9))


def test_options_and_other_classes_go_to_torch():
    model = torch.nn.Linear(2, 2)
    assert isinstance(
        optim.make_optimizer(torch.optim.Adam, model, 0.1, weight_decay=0.1), torch.optim.Adam
    )
    assert isinstance(optim.make_optimizer(torch.optim.SGD, model, 0.1), torch.optim.SGD)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.Adam, {}),
        (torch.optim.AdamW, {}),
        (torch.optim.SGD, {"momentum": 0.9}),
        (torch.optim.SGD, {}),
        (torch.optim.NAdam, {}),
        (torch.optim.Adagrad, {}),
    ],
)
def test_goes_on_from_its_state(kind, options):
    torch.manual_seed(0)
    model = torch.nn.Linear(5, 2)
    x = torch.randn(16, 5)

    def steps(net, count, state=None):
        optimizer = optim.make_optimizer(kind, net, 0.01, **options)
        if state is not None:
            load_optimizer(optimizer, state)
        for _ in range(count):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()
        return {name: part.clone() for name, part in optimizer_state(optimizer).items()}

    whole, parts = copy.deepcopy(model), copy.deepcopy(model)
    steps(whole, 5)
    steps(parts, 3, steps(parts, 2))
    for p, q in zip(parts.parameters(), whole.parameters(), strict=True):
        assert torch.equal(p, q)
