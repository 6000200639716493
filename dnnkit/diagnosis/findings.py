"""Checks of a network's layers, from the records of a diagnosis."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dnnkit.diagnosis.checks import check, checks_at, found
from dnnkit.diagnosis.layers import Diagnosis, LayerCourse


def with_findings(diagnosis: Diagnosis) -> Diagnosis:
    """Return the diagnosis with the problems that the checks find."""
    return replace(diagnosis, findings=tuple(text for _, text in found(checks_at("diagnose"), diagnosis)))


@check("dead units", "diagnose")
def dead_units(diagnosis: Diagnosis) -> Iterator[str]:
    """Units with slope 0 for every sample, which no longer learn."""
    for layer in diagnosis.layers:
        if layer.last.dead > 0.2:
            since = " from the start" if layer.first.dead > 0.2 else ""
            cure = "scale the inputs, or use" if since else "lower the learning rate, or use"
            yield (
                f"layer {layer.name}: {layer.last.dead:.0%} of {layer.units} units are dead{since}: {cure} "
                "activation='leaky_relu'"
            )


@check("saturation", "diagnose")
def saturation(diagnosis: Diagnosis) -> Iterator[str]:
    """Outputs at the limits of their activation, where its slope vanishes; of the last layer, before training."""
    for layer in diagnosis.layers:
        at_limits = layer.first.at_limits if layer.is_last else layer.last.at_limits
        if at_limits > 0.5 and not layer.last.dead > 0.2:
            when = " before training" if layer.is_last else ""
            cure = "scale the inputs, or use smaller initial weights"
            if not layer.is_last:
                cure = "scale the inputs, lower the learning rate, or use activation='relu'"
            yield (
                f"layer {layer.name}: {at_limits:.0%} of its {layer.activation} outputs are at their limits{when}, "
                f"where they can hardly learn: {cure}"
            )


@check("vanishing gradients", "diagnose")
def vanishing_gradients(diagnosis: Diagnosis) -> Iterator[str]:
    """Gradients of an early layer below a thousandth of those of the last layer."""
    first, last = _ends(diagnosis)
    if first is not None and last is not None and 0 <= first.last.signal < 1e-3 * last.last.signal:
        yield (
            f"layer {first.name}: its gradient is {first.last.signal:.2g}, that of {last.name} {last.last.signal:.2g}: "
            "it vanishes in the backward pass. Use 'relu' with kernel_initializer='he_uniform', or fewer layers"
        )


@check("exploding gradients", "diagnose")
def exploding_gradients(diagnosis: Diagnosis) -> Iterator[str]:
    """Gradients of an early layer above a thousand times those of the last layer, or not finite."""
    first, last = _ends(diagnosis)
    if first is not None and last is not None and not first.last.signal <= 1e3 * last.last.signal:
        yield (
            f"layer {first.name}: its gradient is {first.last.signal:.2g}, that of {last.name} {last.last.signal:.2g}: "
            "it explodes in the backward pass. Use smaller initial weights, or an optimizer with global_clipnorm=1"
        )


@check("large updates", "diagnose")
def large_updates(diagnosis: Diagnosis) -> Iterator[str]:
    """Updates above a tenth of a layer's weights, where a thousandth is usual."""
    large = [layer for layer in diagnosis.layers if layer.last.update > 0.1]
    if large:
        most = max(layer.last.update for layer in large)
        yield f"{_named(large)}: an update is up to {most:.2g} of the weights, {_USUAL}: lower the learning rate"


@check("small updates", "diagnose")
def small_updates(diagnosis: Diagnosis) -> Iterator[str]:
    """Updates below a hundred-thousandth of the weights in every layer, from the start."""
    updates = [max(layer.first.update, layer.last.update) for layer in diagnosis.layers]
    if updates and max(updates) < 1e-5:
        yield (
            f"{_named(diagnosis.layers)}: an update is at most {max(updates):.2g} of the weights, {_USUAL}: the "
            "network hardly learns. Raise the learning rate"
        )


_USUAL = "where about 0.001 is usual"


def _named(layers: Sequence[LayerCourse]) -> str:
    return f"layer{'s' * (len(layers) > 1)} {', '.join(layer.name for layer in layers)}"


def _ends(diagnosis: Diagnosis) -> tuple[LayerCourse | None, LayerCourse | None]:
    """Return the first and last layer if there are at least three."""
    layers = diagnosis.layers
    return (layers[0], layers[-1]) if len(layers) > 2 else (None, None)
