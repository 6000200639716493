"""What to measure: names that people type, checked before anything is timed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dnnkit import formula
from dnnkit.activations import key_of
from dnnkit.backends import available, get_backend
from dnnkit.backends.base import Backend
from dnnkit.bench.timing import USUAL, Effort
from dnnkit.errors import ConfigurationError
from dnnkit.kernels import registry


@dataclass(frozen=True)
class Choice:
    """What a bench compares: the first of the activations and of the backends is what others are compared with."""

    backends: tuple[Backend, ...]
    activations: tuple[str, ...] = ()
    seeds: int = 5
    width: int = 128
    depth: int = 1
    epochs: int = 60
    iterations: int = 2000
    """After so many, the truth table is given up."""
    effort: Effort = USUAL
    added: Mapping[str, Any] = field(default_factory=dict)
    """Activations of the user's own, by the name that they have in the results: what a layer takes for them."""

    def layer(self, name: str) -> Any:
        """What a layer takes for the activation of that name."""
        return self.added.get(name, name)

    def kernel(self, name: str) -> registry.Activation:
        """Its kernel."""
        return registry.activation(key_of(self.added[name]) if name in self.added else name)


def backends(names: Sequence[str] | None) -> tuple[Backend, ...]:
    """Those named, or all that work here, the one that is chosen without a name first."""
    if names:
        return tuple(get_backend(name) for name in dict.fromkeys(names))
    chosen = get_backend()
    others = [info.name for info in available() if info.available and info.name != chosen.name]
    return (chosen, *(get_backend(name) for name in others))


def activations(names: Sequence[str] | None) -> tuple[str, ...]:
    """Those named, or all that work element by element; ReLU first, as the others are compared with it."""
    if not names:
        found = [name for name in registry.names("activation") if registry.activation(name).elementwise]
        return tuple(sorted(found, key=lambda name: name != "relu"))
    for name in names:
        if not registry.activation(name).elementwise:
            raise ConfigurationError(
                f"{name} is no activation of one number: choose another, or `dnnkit bench kernels`"
            )
    return tuple(dict.fromkeys(names))


def add(texts: Sequence[str]) -> dict[str, Any]:
    """Activations from formulas, `name=formula`; one that has the name of a built-in is told from it in the results."""
    formulas = [formula.activation_from_text(text) for text in texts]
    built_in = registry.names("activation")
    return {f"{each} (formula)" if str(each) in built_in else str(each): each for each in formulas}
