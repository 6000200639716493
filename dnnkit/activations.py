"""Activations by name: built-in kernels, formulas, and registered ones.

dk.register("activation", "swish", "x / (1 + exp(-x))")     # like dk.activation, but an existing name is an error
dk.register("activation", "cube", Cube)                     # forward(x, xp) and derivative(x, xp)
"""

from typing import Any

from dnnkit.backends.registry import get_backend
from dnnkit.deferred import dataclass
from dnnkit.errors import UnknownName
from dnnkit.formula import Formula, activation, definition
from dnnkit.kernels import registry as kernels
from dnnkit.kernels.array import Array
from dnnkit.kernels.registry import RuntimeActivation, register_activation
from dnnkit.namespaces import open_namespace
from dnnkit.registry import Lazy, Registry
from dnnkit.settings import shown

__all__: list[str] = []
"""Each activation is an attribute of the module: see `ActivationFunction`."""


def _is_activation(thing: object) -> bool:
    if isinstance(thing, str | Formula):
        return True
    slopes = ("derivative", "derivative_from_output", "backward")
    return hasattr(thing, "forward") and any(hasattr(thing, slope) for slope in slopes)


class _Activations(Registry[Any]):
    """Registry whose entries are also registered as kernels; includes activations defined by `dk.activation`."""

    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*super().names(), *definition.NAMED]))

    def add(self, name: str, thing: Any, *others: str) -> None:
        super().add(name, thing, *others)
        if not isinstance(thing, Lazy):
            _make_known(name, thing)

    def __getitem__(self, name: str) -> Any:
        thing = super().__getitem__(name)
        _make_known(name, thing)  # an entry point is loaded only now
        return thing


ACTIVATIONS = _Activations(
    "activation",
    "a formula in x, or an object with forward(x, xp) and one of derivative(x, xp), derivative_from_output(y, xp) and, "
    "where an output depends on several inputs, backward(dy, y, xp)",
    _is_activation,
    elsewhere=lambda: kernels.names("activation"),
)
"""Registered activations; the built-in ones are in `kernels/activations`."""
ACTIVATIONS.also("silu", "swish")


def _make_known(name: str, thing: Any) -> None:
    if isinstance(thing, Formula):
        activation(name, thing.formula, **dict(thing.parameters))
    elif isinstance(thing, str):
        activation(name, thing)
    else:
        register_activation(name, RuntimeActivation.of(thing))


def names() -> tuple[str, ...]:
    """Return all names of activations."""
    return ACTIVATIONS.names()


def find(given: Any) -> str | Formula:
    """Return the current formula of a name, or the name itself if it has none.

    A text that is not a name but contains x is a formula: "x * sigmoid(x)", "x * sigmoid(beta * x); beta = 2". Objects
    with `stands_for`, such as `dk.activations.relu` or a ReLU layer, mean that activation.
    """
    if not isinstance(given, str | Formula | type):
        given = getattr(given, "stands_for", given)
    if isinstance(given, Formula):
        return given
    if isinstance(given, str):
        if given not in definition.NAMED and given in ACTIVATIONS:
            ACTIVATIONS[given]  # the look-up registers it as a kernel
        if given in definition.NAMED:
            return definition.NAMED[given]
        if (name := ACTIVATIONS.name_of(given)) is not None:
            if name in ACTIVATIONS:
                ACTIVATIONS[name]
            return definition.NAMED.get(name, name)
        if definition.is_formula(given):
            return definition.formula_from_text(given)
    if callable(given) and not isinstance(given, type):
        raise UnknownName(
            f"the activation is the function {shown(given)}, whose derivative is unknown: define it by its formula, "
            "dk.activation('mine', 'x * ...'), or register an object with forward and derivative (docs/extending.md)"
        )
    raise UnknownName(f"{ACTIVATIONS.unknown(given)}, or define it: dk.activation({shown(given)}, 'x * ...')")


@dataclass(frozen=True)
class ActivationFunction:
    """An activation as a function on arrays, on the current backend; accepted wherever its name is."""

    name: str

    @property
    def stands_for(self) -> str | Formula:
        """The activation as layers take it."""
        return find(self.name)

    def __call__(self, x: Any, axis: int = -1) -> Array:
        """Return the activation of x, elementwise, or, for softmax, along an axis."""
        backend = get_backend()
        with backend.on_device():
            array, xp = backend.asarray(x), backend.xp
            if not xp.isdtype(array.dtype, "real floating"):
                array = backend.asarray(array, "float64")
            moved = xp.moveaxis(array, axis, -1) if array.ndim else array
            made = backend.activation(kernels.activation(key_of(self.name)), moved)
            return xp.moveaxis(made, -1, axis) if array.ndim else made

    def __repr__(self) -> str:
        return f"<activation {self.name}>"


def key_of(given: str | Formula) -> str:
    """Return the name by which programs and kernels know it."""
    found = find(given)
    return found.key if isinstance(found, Formula) else found


open_namespace(__name__, ACTIVATIONS, ActivationFunction)
