"""Rules, groups, constraints, running means and schedules compared with torch.optim: the same after a hundred steps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit import optimizers
from dnnkit.schedules import CosineDecayRestarts, OneCycle

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.extras

STEPS = 100
X = np.random.default_rng(0).normal(size=(16, 4))
Y = np.random.default_rng(1).normal(size=(16, 3))

CASES: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "sgd": (dk.SGD(0.05, weight_decay=0.1), lambda p: torch.optim.SGD(p, 0.05, weight_decay=0.1)),
    "momentum": (dk.SGD(0.02, momentum=0.9), lambda p: torch.optim.SGD(p, 0.02, 0.9)),
    "nesterov": (
        dk.SGD(0.02, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.02, momentum=0.9, nesterov=True),
    ),
    "rmsprop": (dk.RMSprop(2e-4, rho=0.9), lambda p: torch.optim.RMSprop(p, 2e-4, alpha=0.9, eps=1e-8)),
    "adam": (dk.Adam(0.01), lambda p: torch.optim.Adam(p, 0.01)),
    "adamw": (dk.AdamW(0.01, weight_decay=0.1), lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1)),
    "amsgrad": (
        dk.Adam(0.01, beta_2=0.9, amsgrad=True),
        lambda p: torch.optim.Adam(p, 0.01, betas=(0.9, 0.9), amsgrad=True),
    ),
    "amsgrad, decayed": (
        dk.AdamW(0.01, beta_2=0.9, weight_decay=0.1, amsgrad=True),
        lambda p: torch.optim.AdamW(p, 0.01, betas=(0.9, 0.9), weight_decay=0.1, amsgrad=True),
    ),
    "adagrad": (
        optimizers.Adagrad(0.05),
        lambda p: torch.optim.Adagrad(p, 0.05, initial_accumulator_value=0.1, eps=1e-8),
    ),
    "adamax": (optimizers.Adamax(0.01), lambda p: torch.optim.Adamax(p, 0.01)),
    "nadam": (
        optimizers.Nadam(0.01, momentum_decay=4e-3, weight_decay=0.1),
        lambda p: torch.optim.NAdam(p, 0.01, weight_decay=0.1, decoupled_weight_decay=True),
    ),
    "nadam, as Keras's": (optimizers.Nadam(0.01), lambda p: torch.optim.NAdam(p, 0.01, momentum_decay=1.0)),
    "groups": (
        dk.AdamW(0.01, weight_decay=0.1, no_decay="bias", groups={"bias": {"learning_rate": 0.03, "beta_1": 0.5}}),
        lambda p: torch.optim.AdamW(
            [{"params": p[:1]}, {"params": p[1:], "lr": 0.03, "weight_decay": 0.0, "betas": (0.5, 0.999)}],
            0.01,
            weight_decay=0.1,
        ),
    ),
}


def network(optimizer: Any) -> dk.Sequential:
    net = dk.Sequential([dk.Dense(3)], seed=3, dtype="float64", backend="numpy")
    net.build(4)
    net.compile(optimizer, "mean_squared_error")
    return net


def trained_by_torch(net: dk.Sequential, make: Callable[[Any], Any], before_step: Any = None, after_step: Any = None):
    """Return kernel and bias after the steps."""
    parameters = [torch.tensor(value, requires_grad=True) for value in net.parameters.values()]
    x, y, optimizer = torch.tensor(X), torch.tensor(Y), make(parameters)
    for _ in range(STEPS):
        optimizer.zero_grad()
        ((x @ parameters[0] + parameters[1] - y) ** 2).mean().backward()
        if before_step is not None:
            before_step(parameters)
        optimizer.step()
        if after_step is not None:
            after_step(optimizer, parameters)
    return [parameter.detach().numpy() for parameter in parameters]


def check(net: dk.Sequential, expected: list[Any], parameters: Any = None) -> None:
    for _ in range(STEPS):
        net.train_step(X, Y)
    for value, wanted in zip((parameters or (lambda: net.parameters))().values(), expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_is_that_of_torch(name: str) -> None:
    optimizer, make = CASES[name]
    net = network(optimizer)
    check(net, trained_by_torch(net, make))


def test_bounds_are_those_of_torch() -> None:
    def each(parameters):
        for parameter in parameters:
            torch.nn.utils.clip_grad_norm_([parameter], 0.05)

    bounds = {
        "clipnorm": each,
        "global_clipnorm": lambda parameters: torch.nn.utils.clip_grad_norm_(parameters, 0.05),
        "clipvalue": lambda parameters: torch.nn.utils.clip_grad_value_(parameters, 0.05),
    }
    for name, bound in bounds.items():
        net = network(dk.SGD(0.1, **{name: 0.05}))
        # torch divides by the norm plus 1e-6
        expected = trained_by_torch(net, lambda p: torch.optim.SGD(p, 0.1), before_step=bound)
        for _ in range(STEPS):
            net.train_step(X, Y)
        for value, wanted in zip(net.parameters.values(), expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=2e-4, err_msg=name)


def test_running_means_are_those_of_torch() -> None:
    means: list[Any] = []
    average = torch.optim.swa_utils.get_ema_avg_fn(0.9)

    def follow(_, parameters):
        now = [parameter.detach().clone() for parameter in parameters]
        means[:] = [average(mean, p, None) for mean, p in zip(means, now, strict=True)] if means else now

    net = network(dk.Adam(0.01, use_ema=True, ema_momentum=0.9))
    trained_by_torch(net, lambda p: torch.optim.Adam(p, 0.01), after_step=follow)
    check(net, [mean.numpy() for mean in means], lambda: net.averages)


@pytest.mark.parametrize(
    ("schedule", "make"),
    [
        (OneCycle(0.1, 90), lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, 90, cycle_momentum=False)),
        (
            OneCycle(0.1, 90, pct_start=0.5, div_factor=5, final_div_factor=10),
            lambda o: torch.optim.lr_scheduler.OneCycleLR(
                o, 0.1, 90, pct_start=0.5, div_factor=5, final_div_factor=10, cycle_momentum=False
            ),
        ),
        (CosineDecayRestarts(0.1, 7, 2.0), lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 7, 2)),
        (CosineDecayRestarts(0.1, 7, 1.0), lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 7, 1)),
    ],
)
def test_a_schedule_is_that_of_torch(schedule: Any, make: Callable[[Any], Any]) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    scheduler = make(optimizer)
    for step in range(90):
        assert schedule(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9, abs=1e-12), step
        optimizer.step()
        if step < 89:
            scheduler.step()
