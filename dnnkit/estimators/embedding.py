"""Networks with embedded columns: each category code has a trained vector, concatenated with the numeric columns.

An `Embedding` layer needs its own input, so the network has several inputs; the encoder's matrix is split into them
in column order.
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
"""Dimensions of each embedding, as in RealMLP."""


def assembled(chain: Sequence[Layer], columns: Columns, features: int, **options: Any) -> WholeNetwork:
    """Return the network of a chain of layers, with embeddings in front if some columns are codes.

    Arguments:
        chain: the layers after the embeddings.
        columns: which columns are codes, and the number of codes of each.
        features: number of columns.
        options: options of the network, such as its seed.
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
    """Split a matrix into the network's inputs, if it has several."""
    inputs = net.graph.inputs
    if len(inputs) == 1:
        return x
    ends = np.cumsum([prod(each.shape or ()) for each in inputs])
    return np.split(x, ends[:-1], axis=1)
