"""Base of all optimizers: hyperparameters per step, for all parameters and for groups of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, fields, replace
from functools import cache
from math import inf
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

import dnnkit.parameter_groups as parameter_groups
from dnnkit.backends.program import Group, Program
from dnnkit.backends.state import Hyperparameters
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.optimizer_step.reference import Rule
from dnnkit.schedules import Schedule, checked, scheduled
from dnnkit.settings import (
    FLAG,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    UNLESS_DEFAULT,
    Expected,
    Settings,
    or_none,
    shown,
)

RATE = scheduled(NOT_NEGATIVE)
NUMBER_OR_FLAG = Expected(RATE.words, lambda value: value if isinstance(value, bool) else RATE.take(value))


def _which(value: Any) -> Any:
    if value not in ("average", "current"):
        raise ValueError
    return value


PREDICT_WITH = Expected('"average" or "current"', _which)


CLIPS = "global_clipnorm", "clipnorm", "clipvalue"
FACTOR = "learning_rate_factor"


@dataclass
class Optimizer(Settings):
    """Base class of all optimizers, also of custom ones.

    Hyperparameters may be assigned at any time and are validated on assignment. In a custom optimizer, a dataclass
    field not listed in `expects` takes a finite number of at least 0, a schedule of such numbers, or a flag.

    Arguments:
        learning_rate: step size; a number or a schedule, as for every other numeric hyperparameter.
        global_clipnorm: upper bound for the norm of the whole gradient; default None.
        clipnorm: upper bound for the norm of each parameter's gradient; default None.
        clipvalue: upper bound for the magnitude of each gradient element; default None. At most one of the three.
        use_ema: keep an exponential moving average of each parameter, and use it in predictions and evaluations;
            default False.
        ema_momentum: share of the previous average kept in a step, as in Keras; default 0.99.
        predict_with: with `use_ema`, "average" (default) or "current" for the parameters as trained.
        groups: hyperparameters of groups of parameters, by name pattern: `{"bias": {"weight_decay": 0}}`. A pattern
            with `*` as wildcard is matched with the whole name `dense_1/bias`, the layer's name, and its last part; if
            several match, later ones win. `learning_rate` is absolute, as in PyTorch; `learning_rate_factor` multiplies
            the optimizer's rate and so follows its schedule and callbacks.
        no_decay: name patterns of parameters without weight decay, such as "bias".

    Raises:
        ConfigurationError: a value is out of range; raised on construction and on assignment.
    """

    learning_rate: float | Schedule
    global_clipnorm: float | None = None
    clipnorm: float | None = field(default=None, kw_only=True, metadata=UNLESS_DEFAULT)
    clipvalue: float | None = field(default=None, kw_only=True, metadata=UNLESS_DEFAULT)
    use_ema: bool = field(default=False, kw_only=True, metadata=UNLESS_DEFAULT)
    ema_momentum: float | Schedule = field(default=0.99, kw_only=True, metadata=UNLESS_DEFAULT)
    predict_with: Literal["average", "current"] = field(default="average", kw_only=True, metadata=UNLESS_DEFAULT)
    groups: Any = field(default=(), kw_only=True, metadata=UNLESS_DEFAULT)
    no_decay: Any = field(default=(), kw_only=True, metadata=UNLESS_DEFAULT)

    name: ClassVar[str]
    expects: ClassVar = {
        "learning_rate": RATE,
        "global_clipnorm": or_none(POSITIVE),
        "clipnorm": or_none(POSITIVE),
        "clipvalue": or_none(POSITIVE),
        "use_ema": FLAG,
        "ema_momentum": scheduled(SHARE),
        "predict_with": PREDICT_WITH,
        "groups": Expected(parameter_groups.FORM, parameter_groups.pairs),
        "no_decay": Expected("patterns of names, such as 'bias'", parameter_groups.patterns),
    }
    full_batch: ClassVar[bool] = False
    """Whether a step uses all samples, so that an epoch is one step."""
    implied: ClassVar[Mapping[str, float]] = {}
    """Numbers of the rule that are not fields."""
    slots: ClassVar[tuple[str, ...]] = ()
    """Names of a custom rule's state arrays per parameter, initially zero; built-in rules declare theirs."""

    def __post_init__(self) -> None:
        pass  # fields are validated on assignment

    def __setattr__(self, name: str, value: Any) -> None:
        is_setting = any(field.name == name for field in fields(self))
        if is_setting:
            value = self._taken(name, value)
            if name in CLIPS and value is not None:
                self._refuse_two(name, value)
        super().__setattr__(name, value)
        vars(self).pop("_made", None)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_made"}  # a cache

    def _refuse_two(self, name: str, value: float) -> None:
        for other in CLIPS:
            if other != name and vars(self).get(other) is not None:
                raise ConfigurationError(
                    f"{type(self).__name__}({name}={shown(value)}, {other}={shown(vars(self)[other])}): expected at "
                    f"most one of {', '.join(CLIPS)}; leave out the others, or set them to None first"
                )

    def _taken(self, name: str, given: Any) -> Any:
        expected = self._expected(name)
        taken = expected.check(f"{type(self).__name__}({name}={shown(given)})", given)
        if name == "groups":
            return tuple((pattern, self._settings_of_group(pattern, settings)) for pattern, settings in taken)
        if name == "no_decay" and taken:
            parameter_groups.check_names(type(self).__name__, ["weight_decay"], self._own_settings())
        return taken

    def _expected(self, name: str) -> Expected:
        for kind in type(self).__mro__:
            if (expected := vars(kind).get("expects", {}).get(name)) is not None:
                return expected  # type: ignore[no-any-return] # user-defined dataclasses
        return NUMBER_OR_FLAG

    def _own_settings(self) -> list[str]:
        """Return what a group may set: the numbers, but not the flags, which select the rule."""
        defaults = {field.name: field.default for field in fields(self)}
        numbers = [name for name in _number_names(type(self)) if not isinstance(defaults[name], bool)]  # type: ignore[arg-type]
        return ["learning_rate", FACTOR, *numbers]

    def _settings_of_group(self, pattern: str, settings: Sequence[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
        kind = type(self).__name__
        parameter_groups.check_names(kind, [name for name, _ in settings], self._own_settings())
        if {"learning_rate", FACTOR} <= {name for name, _ in settings}:
            raise ConfigurationError(
                f"{kind}(groups={{{shown(pattern)}: ...}}): expected either learning_rate, which is absolute, or "
                f"{FACTOR}, which multiplies the optimizer's rate"
            )
        checked = []
        for name, value in settings:
            expected = NOT_NEGATIVE if name == FACTOR else self._expected(name)
            what = f"{kind}(groups={{{shown(pattern)}: {{{name!r}: {shown(value)}}}}})"
            taken = expected.check(what, value)
            if isinstance(taken, bool):
                raise ConfigurationError(f"{what}: expected {RATE.words}")
            checked.append((name, taken))
        return tuple(checked)

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Exclude parameters from weight decay, by name patterns; Keras's equivalent of `no_decay`.

        Arguments:
            var_list: must be None; parameters are selected by name.
            var_names: patterns, such as `["bias"]`.

        Raises:
            ConfigurationError: they are not names, or the optimizer has no weight decay.
        """
        names = parameter_groups.exclude(var_list, var_names)
        self.no_decay = (*self.no_decay, *(name for name in names if name not in self.no_decay))

    @property
    def rule(self) -> str | Rule:
        """Name of the update rule in `kernels/optimizer_step`, or a custom rule."""
        kind = type(self)
        if kind.update is Optimizer.update:
            return self.name
        return _own_rule(kind)  # type: ignore[arg-type] # classes are hashable

    @staticmethod
    def update(
        step: int, parameter: Array, gradient: Array, *slots_and_numbers: Any, xp: Namespace
    ) -> tuple[Array, ...]:
        """Return the parameter and its state after update number `step`; overridden by custom optimizers.

        Works elementwise on the backend's array namespace `xp` and must not modify its arguments.

        Arguments:
            step: number of this update, counted from 1.
            parameter, gradient: arrays of equal shape.
            slots_and_numbers: one array per name in `slots`, then `learning_rate`, then the custom dataclass's fields
                in order.
            xp: the array namespace.

        Returns:
            The new parameter, followed by its new state arrays in order.
        """
        raise NotImplementedError

    # -- for networks ------------------------------------------------------------------------------------------------

    @property
    def _patterns(self) -> list[tuple[str, Mapping[str, Any]]]:
        """All patterns and what they set, in order of increasing precedence."""
        excluded: list[tuple[str, Mapping[str, Any]]] = [(pattern, {"weight_decay": 0.0}) for pattern in self.no_decay]
        return [*excluded, *((pattern, dict(settings)) for pattern, settings in self.groups)]

    def groups_of(self, names: Sequence[str]) -> tuple[Group, ...]:
        """Return the groups of parameters with these names; raise `UnknownName` for a pattern without a match."""
        if not self.groups and not self.no_decay:
            return ()
        made, key = self._kept, ("groups", tuple(names))
        if key not in made:
            made[key] = parameter_groups.groups_of([pattern for pattern, _ in self._patterns], names)
        return made[key]  # type: ignore[no-any-return]

    def train(self, program: Program) -> Program:
        """Return the program with this optimizer's update; raise `UnknownName` for a pattern without a match."""
        groups = self.groups_of([parameter.name for parameter in program.parameters])
        return replace(program, rule=self.rule, groups=groups, averages=self.use_ema)

    def fits(self, program: Program) -> bool:
        """Whether the program trains with this optimizer's current rule and groups."""
        if program.rule != self.rule or program.averages != self.use_ema:
            return False
        if not (self.groups or self.no_decay or program.groups):
            return True
        return program.groups == self.groups_of([parameter.name for parameter in program.parameters])

    @property
    def needs_groups(self) -> bool:
        """Whether it needs backend features beyond `learning_rate`, constant numbers, and `global_clipnorm`."""
        others = [value for name, value in self._settings().items() if name != "learning_rate"]
        asks = bool(self.groups or self.no_decay) or self.use_ema or self.clipnorm is not None
        return asks or self.clipvalue is not None or any(isinstance(value, Schedule) for value in others)

    @property
    def _kept(self) -> dict[Any, Any]:
        """Cache of values derived from the hyperparameters, cleared on every assignment."""
        return vars(self).setdefault("_made", {})  # type: ignore[no-any-return]

    def hyperparameters(self, first: int, count: int, groups: Sequence[Group] = ()) -> Hyperparameters:
        """Return the hyperparameters of `count` updates after the first `first`, for all parameters and per group."""
        made, key = vars(self).get("_made"), groups if count == 1 else ("several", groups)
        found: Hyperparameters | None = None if made is None else made.get(key)
        if found is not None and len(found.learning_rates) == count:
            return found
        if found is None or not len(found.learning_rates):  # an empty one has nothing to repeat
            found = self._numbers(first, count, groups)
            if self._differs(groups):
                return found
        else:
            found = found.of_steps(np.zeros(count, np.intp))  # all steps have the same
        self._kept[key] = found
        return found

    def _differs(self, groups: Sequence[Group]) -> bool:
        """Whether any hyperparameter changes from step to step."""
        settings = [self._settings(), *(self._settings(group) for group in groups)]
        return any(isinstance(value, Schedule) for own in settings for value in own.values())

    def _settings(self, group: Group | None = None) -> dict[str, Any]:
        """Return numbers and schedules by name, for all parameters or for a group."""
        names = _number_names(type(self))  # type: ignore[arg-type] # classes are hashable
        settings = {"learning_rate": self.learning_rate, FACTOR: 1.0, **self.implied}
        settings |= {name: getattr(self, name) for name in names}
        if self.use_ema:
            settings["ema_momentum"] = self.ema_momentum
        patterns = self._patterns if group is not None else ()
        for place in () if group is None else group.patterns:
            own = patterns[place][1]
            settings |= {FACTOR: 1.0, **own} if "learning_rate" in own else own
        return settings

    def _numbers(self, first: int, count: int, groups: Sequence[Group]) -> Hyperparameters:
        own = tuple(Hyperparameters(*self._of_steps(self._settings(group), first, count)) for group in groups)
        rates, constants = self._of_steps(self._settings(), first, count)
        bounds = self.global_clipnorm, self.clipnorm, self.clipvalue
        return Hyperparameters(rates, constants, *bounds, own)

    def _of_steps(
        self, settings: Mapping[str, Any], first: int, count: int
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Return learning rates, and the rule's other numbers by name: a number, or an array with one per step."""
        values = {name: self._values(name, value, first, count) for name, value in settings.items()}
        rate, factor = values.pop("learning_rate"), values.pop(FACTOR)
        rates = rate if isinstance(rate, np.ndarray) else np.full(count, rate, np.float64)
        if not any(isinstance(value, np.ndarray) for value in values.values()):  # keep the object's identity if equal
            values = self._kept.setdefault(("numbers", *values.items()), values)
        return (rates if factor == 1 else factor * rates), values

    def _values(self, name: str, value: Any, first: int, count: int) -> Any:
        """Return a number, or those of a schedule for these steps."""
        if not isinstance(value, Schedule):
            return float(value)
        expected = self._expected(name)
        return np.fromiter(self._scheduled(value, expected, first, count), np.float64, count)

    @staticmethod
    def _scheduled(schedule: Schedule, expected: Expected, first: int, count: int) -> Iterator[float]:
        """Yield the schedule's numbers, checked."""
        for step in range(first, first + count):
            value = schedule(step)
            if not (isinstance(value, float) and 0 <= value < inf and expected is RATE):  # fast path for usual values
                value = checked(schedule, expected, step)
            yield value


@cache
def _number_names(kind: type) -> tuple[str, ...]:
    """Return the names of a class's own numbers, in order."""
    every = {field.name for field in fields(Optimizer)}
    return tuple(field.name for field in fields(kind) if field.name not in every)


@cache
def _own_rule(kind: type[Optimizer]) -> Rule:
    """Return the custom rule of a class; cached, so that programs with the same rule compare equal."""
    return Rule(kind.update, kind.slots, _number_names(kind))  # type: ignore[arg-type] # classes are hashable
