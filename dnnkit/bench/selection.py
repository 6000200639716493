"""Selection of what to measure, from names that are checked before anything is timed."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import dnnkit.formula as formula
from dnnkit.activations import key_of
from dnnkit.backends import available, get_backend
from dnnkit.backends.base import Backend
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.kernels import registry


@dataclass(frozen=True)
class Effort:
    """Effort of a measurement: rounds, and seconds per round and case."""

    rounds: int
    seconds: float


QUICK, USUAL = Effort(7, 0.001), Effort(15, 0.003)


@dataclass(frozen=True)
class Selection:
    """What a benchmark compares; the first activation and the first backend are the baselines."""

    backends: tuple[Backend, ...]
    activations: tuple[str, ...] = ()
    seeds: int = 5
    width: int = 128
    depth: int = 1
    epochs: int = 60
    iterations: int = 2000
    """Maximum number of iterations on the truth table."""
    effort: Effort = USUAL
    added: Mapping[str, Any] = field(default_factory=dict)
    """Custom activations by their name in the results, as layers take them."""

    def layer(self, name: str) -> Any:
        """Return the activation with that name as a layer takes it."""
        return self.added.get(name, name)

    def kernel(self, name: str) -> registry.Activation:
        """Return the activation's kernel."""
        return registry.activation(key_of(self.added[name]) if name in self.added else name)


def select_backends(names: Sequence[str] | None) -> tuple[Backend, ...]:
    """Return the named backends; without names all that work here, the default first."""
    if names:
        return tuple(get_backend(name) for name in dict.fromkeys(names))
    chosen = get_backend()
    others = [info.name for info in available() if info.available and info.name != chosen.name]
    return (chosen, *(get_backend(name) for name in others))


def select_activations(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the named activations; without names all elementwise ones, the baseline ReLU first."""
    if not names:
        found = [name for name in registry.names("activation") if registry.activation(name).elementwise]
        return tuple(sorted(found, key=lambda name: name != "relu"))
    for name in names:
        if not registry.activation(name).elementwise:
            raise ConfigurationError(
                f"{name} is not elementwise: choose another activation, or use `dnnkit bench kernels`"
            )
    return tuple(dict.fromkeys(names))


def activations_from_text(texts: Sequence[str]) -> dict[str, Any]:
    """Parse activations given as `name=formula`; those named like a built-in are marked in the results."""
    formulas = [formula.activation_from_text(text) for text in texts]
    built_in = registry.names("activation")
    return {f"{each} (formula)" if str(each) in built_in else str(each): each for each in formulas}
