"""Optimizer updates on flat parameters: accumulation, clipping, groups of parameters, constraints, running means."""

from operator import is_

from dnnkit.backends.stagewise.flat import FlatExecutable
from dnnkit.backends.state import Hyperparameters
from dnnkit.kernels.array import Array
from dnnkit.kernels.optimizer_step.reference import Rule


class UpdatingExecutable(FlatExecutable):
    """Adds the optimizer's updates, by the backend's operations, to flat parameters."""

    def _apply_update(self, learning_rate: float, hyperparameters: Hyperparameters) -> None:
        """Apply one optimizer step with `_gradient`; the hyperparameters are those of the step."""
        assert self._rule is not None, "the network checks that it is compiled"
        gradient, together = self._gradient, self.program.accumulation
        place = self.state.step % together
        self.state.step += 1
        if together > 1:
            *others, total = self._slots
            gradient = self._backend.accumulate(total, gradient, self.program.summand, is_first=place == 0)
            self._slots = [*others, gradient]
            if place + 1 < together:
                return
        gradient = self._clipped(gradient, hyperparameters)
        slots, first = list(self._slots), 0
        for rule in self.program.rules:
            own = slice(first, first + len(rule.slots))
            slots[own] = self._apply_rule(rule, gradient, slots[own], learning_rate, hyperparameters)
            first = own.stop
            if rule is self._rule:  # a running mean is taken after the constraints
                self._constrain()
        self._slots = slots

    def _apply_rule(
        self, rule: Rule, gradient: Array, slots: list[Array], learning_rate: float, hyperparameters: Hyperparameters
    ) -> list[Array]:
        """Update the trained parameters by a rule; return its slots."""
        end, has_frozen = self._trained.size, bool(self.program.frozen_parameters)
        trained = self._parameters[:end] if has_frozen else self._parameters
        pieces = self._pieces if rule is self._rule else [(slice(0, end), 0)]
        updated, slots = self._update_by(rule, pieces, trained, gradient, slots, learning_rate, hyperparameters)
        if not has_frozen:
            self._parameters = updated
        elif updated is not trained:  # otherwise it was written in place
            self._parameters = self._xp.concat([updated, self._parameters[end:]])
        return slots

    def _constrain(self) -> None:
        """Enforce the constraints on parameters."""
        for bound in self._regularization.bounds:
            value = self._layout.view(self._parameters, bound.parameter, self._xp)
            if (constrained := self._regularization.constrain(value, bound)) is not None:
                self.write_parameter(bound.parameter, constrained)

    @property
    def _updates(self) -> int:
        """Number of updates, including the current one."""
        return self.state.step // self.program.accumulation

    def _clipped(self, gradient: Array, hyperparameters: Hyperparameters) -> Array:
        """Return the gradient, clipped if there is a bound."""
        if hyperparameters.clip_norm is not None:
            return self._backend.clip_norm(gradient, hyperparameters.clip_norm, out=gradient)
        if hyperparameters.clip_value is not None:
            return self._backend.clip_value(gradient, hyperparameters.clip_value, out=gradient)
        if hyperparameters.clip_each is None:
            return gradient
        parts = [self._trained.part(gradient, name) for name in self._trained.names]
        clipped = [self._backend.clip_norm(part, hyperparameters.clip_each, out=part) for part in parts]
        return gradient if all(map(is_, clipped, parts)) else self._xp.concat(clipped)

    def _update_by(
        self,
        rule: Rule,
        pieces: list[tuple[slice, int]],
        parameters: Array,
        gradient: Array,
        slots: list[Array],
        learning_rate: float,
        hyperparameters: Hyperparameters,
    ) -> tuple[Array, list[Array]]:
        """Return trained parameters and slots after a step of a rule, each piece with its group's hyperparameters."""
        if len(pieces) == 1:
            rate, numbers = self._numbers(rule, pieces[0][1], learning_rate, hyperparameters)
            return self._backend.update(rule, self._updates, parameters, gradient, slots, rate, *numbers)
        before, after = list[Array](), list[list[Array]]()
        for piece, group in pieces:
            rate, numbers = self._numbers(rule, group, learning_rate, hyperparameters)
            given = parameters[piece], gradient[piece], [slot[piece] for slot in slots]
            updated, own = self._backend.update(rule, self._updates, *given, rate, *numbers)
            before.append(given[0])
            after.append([updated, *own])
        if all(now is given for (now, *_), given in zip(after, before, strict=True)):  # written in place
            return parameters, slots
        parameters, *slots = (self._xp.concat(list(parts)) for parts in zip(*after, strict=True))
        return parameters, slots

    def _numbers(
        self, rule: Rule, group: int, learning_rate: float, hyperparameters: Hyperparameters
    ) -> tuple[float, list[float]]:
        """Return the learning rate of a parameter group, and the rule's other numbers."""
        own = hyperparameters.of_group(group)
        return float(own.learning_rates[0]) if group else learning_rate, own.numbers(rule)
