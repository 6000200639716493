"""Conversion between several inputs or outputs and the single tables that executables work on."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from dnnkit.backends.base import Backend
from dnnkit.backends.outputs import LARGEST_LABEL, Output, balanced
from dnnkit.backends.program import Program
from dnnkit.backends.stagewise.finite import require_finite
from dnnkit.backends.state import HostArray
from dnnkit.errors import ConfigurationError, DataError, ShapeError, UnknownName
from dnnkit.graph.graph import Graph
from dnnkit.graph.symbols import as_form
from dnnkit.initializers import Shape
from dnnkit.kernels.array import Array, namespace
from dnnkit.network import checks, targets
from dnnkit.registry import did_you_mean
from dnnkit.settings import shown

NAMELESS = "input"
"""Name of an unnamed input. A dictionary with other keys is then not meant as data by input name."""

# -- inputs ----------------------------------------------------------------------------------------------------------


def as_samples(x: Any, graph: Graph, dtype: str, backend: Backend) -> Array:
    """Return samples (N, ...) of one input; with several, given as a list or dictionary, concatenate them to (N, F)."""
    if len(graph.inputs) == 1:
        return checks.as_samples(_only(x, graph), graph.inputs[0].shape, backend)
    names = [each.name for each in graph.inputs]
    given = _by_name("x", "input", x, names)
    if missing := [name for name in names if given[name] is None]:
        raise DataError(f"x is missing for the input {missing[0]!r}: expected samples for each of {', '.join(names)}")
    parts = [checks.as_samples(given[each.name], each.shape, backend, f"x[{each.name!r}]") for each in graph.inputs]
    for name, part in zip(names, parts, strict=True):
        if part.shape[0] != parts[0].shape[0]:
            raise ShapeError(
                f"x[{names[0]!r}] has {parts[0].shape[0]} samples but x[{name!r}] has {part.shape[0]}: expected the "
                "same number of rows in each"
            )
        require_finite(f"x[{name!r}]", part, dtype)
    return side_by_side(parts, dtype, backend)


def side_by_side(parts: Sequence[Array], dtype: str, backend: Backend) -> Array:
    """Flatten the rows of arrays (N, ...) and concatenate them, keeping a common dtype if there is one."""
    on_host = [isinstance(part, np.ndarray) for part in parts]
    if any(on_host) and not all(on_host):
        parts = [np.asarray(backend.to_numpy(part)) for part in parts]
    xp, rows = namespace(parts[0]), int(parts[0].shape[0])
    flat = [xp.reshape(part, (rows, prod(checks.shape_of(part)[1:]))) for part in parts]
    if not isinstance(flat[0], np.ndarray) and len({str(part.dtype) for part in flat}) > 1:
        flat = [xp.astype(part, getattr(xp, dtype)) for part in flat]  # the standard does not define mixed kinds
    return xp.concat(flat, axis=1)


def _only(x: Any, graph: Graph) -> Any:
    """Return the samples of the only input, unpacking a dictionary or a list of one element."""
    source = graph.inputs[0]
    if isinstance(x, Mapping) and (source.name in x or source.name != NAMELESS):
        return _by_name("x", "input", x, [source.name])[source.name]
    is_list = isinstance(x, list | tuple) and len(x) == 1 and source.shape is not None
    return x[0] if is_list and getattr(x[0], "ndim", 0) == len(source.shape or ()) + 1 else x


def _by_name(what: str, of: str, given: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return what a dictionary or list gives for each name, None for names missing in a dictionary."""
    if isinstance(given, Mapping):
        for name in given:
            if name not in names:
                near = did_you_mean(str(name), names)
                raise UnknownName(f"{what} names an {of} {shown(name)}: {near}the network has {', '.join(names)}")
        return {name: given.get(name) for name in names}
    if not isinstance(given, list | tuple) or len(given) != len(names):
        count = f"{len(given)} things" if isinstance(given, list | tuple) else _in_words(given)
        raise DataError(
            f"{what} is {count}, but the network has {len(names)} {of}s, {', '.join(names)}: expected an array for "
            f"each, in a list in this order, or in a dictionary, {{{names[0]!r}: ...}}"
        )
    return dict(zip(names, given, strict=True))


def _in_words(given: Any) -> str:
    shape = getattr(given, "shape", None)
    return "missing" if given is None else shown(given) if shape is None else f"one array of shape {tuple(shape)}"


# -- targets ---------------------------------------------------------------------------------------------------------


def as_targets(y: Any, samples: int, graph: Graph, program: Program, backend: Backend) -> Array:
    """Return y as the loss takes it (see `targets`); with several outputs, columns of numbers, concatenated."""
    if not program.outputs:
        return targets.as_targets(_only_target(y, graph, samples), samples, program, backend)
    asked = {output.name: (output, output.loss) for output in program.outputs if output.loss is not None}
    names = list(graph.output_names)
    if y is None:
        raise DataError(f"y is missing: fit and evaluate need the targets of {', '.join(asked)}")
    if isinstance(y, list | tuple) and len(y) == len(asked) < len(names):
        names = list(asked)
    given = _by_name("y", "output", y, names)
    if missing := [name for name in asked if given[name] is None]:
        raise DataError(f"y is missing for the output {missing[0]!r}: expected targets for each of {', '.join(asked)}")
    parts = []
    for name, (output, loss) in asked.items():
        part = targets.as_targets_of(f"y[{name!r}]", given[name], samples, loss, output.width, program.dtype, backend)
        _check_label(output, program.dtype)
        parts.append(_as_floats(part, program.dtype))
    return side_by_side(parts, program.dtype, backend)


def _as_floats(part: Array, dtype: str) -> Array:
    xp = namespace(part)
    return xp.astype(part, getattr(xp, dtype))


def _check_label(output: Output, dtype: str) -> None:
    if output.takes_labels and output.width > LARGEST_LABEL[dtype]:
        raise ConfigurationError(
            f"the output {output.name!r} has {output.width:,} classes, more than {dtype} represents exactly; with "
            "several outputs, targets are stored in that dtype: use dtype='float64'"
        )


def _only_target(y: Any, graph: Graph, samples: int) -> Any:
    """Return the targets of the only output, unpacking a dictionary or a list of one element."""
    name = graph.output_names[0]
    if isinstance(y, Mapping) and (name in y or graph.output_form == "named"):
        return _by_name("y", "output", y, [name])[name]
    if isinstance(y, list | tuple) and len(y) == 1 and samples != 1 and getattr(y[0], "ndim", 0) >= 1:
        return y[0]
    return y


def as_weights(
    sample_weight: Any, class_weight: Any, y: Array, graph: Graph, program: Program, backend: Backend
) -> Array | None:
    """Return weights (N,) of rows times those of their classes; (N, outputs) if outputs have their own.

    `y` is the result of `as_targets`. Weights per output are given in a dictionary by output name or in a list.

    Raises:
        ConfigurationError, DataError, ShapeError, UnknownName: the weights do not fit the samples, outputs or classes.
    """
    samples = int(y.shape[0])
    if not program.outputs:
        weights = checks.as_weights(_of_only("sample_weight", sample_weight, graph), samples, program, backend)
        given, loss = _of_only("class_weight", class_weight, graph), program.loss
        found = targets.class_weights(given, y, loss, program.output_features, backend)
        return weights if found is None else _times(found, weights, samples, program, backend, "sample_weight")
    is_list = isinstance(sample_weight, list | tuple) and any(hasattr(each, "__len__") for each in sample_weight)
    is_each = isinstance(sample_weight, Mapping) or is_list
    if class_weight is None and not is_each:
        return checks.as_weights(sample_weight, samples, program, backend)
    names = [output.name for output in program.outputs]
    of_rows = _by_name("sample_weight", "output", sample_weight, names) if is_each else dict.fromkeys(names)
    of_classes = dict.fromkeys(names) if class_weight is None else _classes_by_name(class_weight, names)
    common = None if is_each else checks.as_weights(sample_weight, samples, program, backend)
    columns = []
    for output in program.outputs:
        rows, classes, name = of_rows[output.name], of_classes[output.name], f"sample_weight[{output.name!r}]"
        if output.loss is None and not (rows is None and classes is None):
            raise ConfigurationError(f"weights are given for the output {output.name!r}, which has no loss")
        own = common if rows is None else checks.as_weights(rows, samples, program, backend, name)
        if classes is not None:
            wanted, of = output.targets_of(y, namespace(y)), f"class_weight[{output.name!r}]"
            found = targets.class_weights(classes, wanted, output.loss, output.width, backend, of)
            own = _times(found, own, samples, program, backend, name)
        columns.append(np.ones(samples) if own is None else np.asarray(backend.to_numpy(own), np.float64))
    return balanced(np.stack(columns, axis=1), program)


def _times(
    found: Any, weights: Array | None, samples: int, program: Program, backend: Backend, name: str
) -> Array | None:
    """Return the product of class weights and row weights."""
    own = 1.0 if weights is None else np.asarray(backend.to_numpy(weights), np.float64)
    return checks.as_weights(found * own, samples, program, backend, name)


def _of_only(what: str, given: Any, graph: Graph) -> Any:
    """Return what is given for the only output, also if it is given by name."""
    name = graph.output_names[0]
    return given[name] if isinstance(given, Mapping) and list(given) == [name] else given


def _classes_by_name(given: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return the class weights of each output, None for outputs without."""
    if isinstance(given, Mapping) and given and not any(isinstance(name, str) for name in given):
        raise ConfigurationError(
            f"class_weight is {shown(given)}, but the network has several outputs, {', '.join(names)}, with different "
            f"classes: expected one mapping for each, in a dictionary, {{{names[0]!r}: {{0: 1.0, 1: 2.5}}}}"
        )
    return _by_name("class_weight", "output", given, names)


# -- predictions -----------------------------------------------------------------------------------------------------


def arranged(found: HostArray, graph: Graph, shapes: Sequence[Shape]) -> Any:
    """Split predictions (N, O) into outputs, in the form in which the outputs were given."""
    parts, start = list[HostArray](), 0
    for shape in shapes:
        stop = start + prod(shape)
        part = found if len(shapes) == 1 else np.ascontiguousarray(found[:, start:stop])
        parts.append(part.reshape(-1, *shape))
        start = stop
    return as_form(graph.output_form, graph.output_names, tuple(parts))


def named_inputs(found: HostArray, graph: Graph) -> dict[str, HostArray]:
    """Split a gradient (N, F) into inputs by name; with a single input, it is called "input"."""
    if len(graph.inputs) == 1:
        return {"input": found}
    parts, start = dict[str, HostArray](), 0
    for each in graph.inputs:
        assert each.shape is not None
        stop = start + prod(each.shape)
        parts[each.name] = np.ascontiguousarray(found[:, start:stop]).reshape(-1, *each.shape)
        start = stop
    return parts
