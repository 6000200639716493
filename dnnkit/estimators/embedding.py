"""Columns of codes: each has a trained row of numbers for each code, beside the columns that are numbers.

The network is then one of several inputs, for an `Embedding` wants columns of its own; the matrix of the encoder is
divided into these, in its order.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from dnnkit import layers
from dnnkit.estimators.data import Columns
from dnnkit.initializers import RandomNormal
from dnnkit.layers.base import Layer
from dnnkit.network.model import Model
from dnnkit.network.sequential import Sequential
from dnnkit.network.whole import WholeNetwork

SIZE = 8
"""Numbers for each code, as of RealMLP."""


def assembled(chain: Sequence[Layer], columns: Columns, features: int, **options: Any) -> WholeNetwork:
    """The network of a chain of layers, on columns of which some may be codes.

    Arguments:
        chain: the layers that all numbers go through.
        columns: which columns are codes, and how many there are of each.
        features: how many columns there are.
        options: of the network.
    """
    if not columns.embedded:
        return Sequential(chain, **options)
    codes = dict(columns.embedded)
    starts = sorted({0, *codes, *(place + 1 for place in codes)} - {features})
    inputs, parts = [], []
    for start, end in pairwise([*starts, features]):
        given = layers.Input((end - start,), name=f"columns_{start}")
        inputs.append(given)
        if start in codes:
            table = layers.Embedding(
                codes[start], SIZE, embeddings_initializer=RandomNormal(1.0), name=f"embedding_{start}"
            )
            parts.append(layers.Flatten()(table(given)))
        else:
            parts.append(given)
    out: Any = layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    for layer in chain:
        out = layer(out)
    return Model(inputs, out, **options)


def inputs_of(net: WholeNetwork, x: Any) -> Any:
    """A matrix as the network's inputs take it: its columns side by side, if there are several."""
    inputs = net.graph.inputs
    if len(inputs) == 1:
        return x
    ends = np.cumsum([prod(each.shape or ()) for each in inputs])
    return np.split(x, ends[:-1], axis=1)
