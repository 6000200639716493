"""Layers for columns of integer classes."""

from dataclasses import field
from typing import Any, ClassVar

from dnnkit.deferred import dataclass
from dnnkit.errors import ShapeError
from dnnkit.initializers import Initializer, Shape, get_initializer
from dnnkit.layers.base import LAYERS
from dnnkit.layers.of_kind import KindLayer
from dnnkit.regularizers import Regularizer, get_regularizer
from dnnkit.settings import UNLESS_DEFAULT, Expected, plain, whole

__all__ = ["CategoryEncoding", "Embedding", "OneHot"]


@LAYERS.named("Embedding")
@dataclass(frozen=True)
class Embedding(KindLayer):
    """Trainable lookup table: replaces each integer class by a row of `output_dim` numbers.

    Samples of integer classes from 0 to input_dim - 1, in any dtype, of shape (columns,), become (columns, output_dim);
    put `Flatten()` before a following `Dense`. Columns with different classes need separate embeddings.

    Arguments:
        input_dim: number of classes.
        output_dim: size of a row.
        embeddings_initializer: initializer of the table, default "uniform".
        embeddings_regularizer: penalty on the table; see `dk.regularizers`.

    Raises:
        DataError: the data has other numbers.
    """

    input_dim: int = field()  # the number of classes, unlike in other layers
    output_dim: int = field()
    embeddings_initializer: str | Initializer = "uniform"
    embeddings_regularizer: str | Regularizer | None = field(default=None, kw_only=True, metadata=UNLESS_DEFAULT)

    kind: ClassVar = "embedding"
    expects: ClassVar = {"input_dim": whole(1), "output_dim": whole(1)}

    def __post_init__(self) -> None:
        super().__post_init__()
        get_initializer(self.embeddings_initializer)
        get_regularizer(self.embeddings_regularizer)

    @property
    def sample_shape(self) -> Shape | None:  # noqa: D102
        return self.input_shape

    def output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        return (*input_shape, self.output_dim)

    def parameters(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:  # noqa: D102
        return {"embeddings": ((self.input_dim, self.output_dim), self.embeddings_initializer)}

    def settings(self, input_shape: Shape) -> dict[str, Any]:  # noqa: D102
        return {"classes": self.input_dim}


def _sizes(value: Any) -> int | tuple[int, ...]:
    if isinstance(value, list | tuple):
        return tuple(whole(1).take(plain(size)) for size in value)
    size: int = whole(1).take(value)
    return size


SIZES = Expected("a number of classes, or a list with one per column", _sizes)


@LAYERS.named("OneHot")
@dataclass(frozen=True)
class OneHot(KindLayer):
    """One-hot encoding of columns of integer classes: each column becomes as many columns as it has classes.

    The column of a row's class is 1, the others are 0. A following `Dense` layer skips columns that are 0 in the whole
    batch.

    Arguments:
        sizes: number of classes of a column, counted from 0: one number for all columns, or one per column.

    Raises:
        DataError: the data has other numbers.
    """

    sizes: int | tuple[int, ...]

    kind: ClassVar = "one_hot"
    expects: ClassVar = {"sizes": SIZES}

    def _of_columns(self, input_shape: Shape) -> tuple[int, ...]:
        if len(input_shape) != 1 or (isinstance(self.sizes, tuple) and len(self.sizes) != input_shape[0]):
            raise ShapeError(f"{self} got samples of shape {input_shape}: expected one column per size")
        return self.sizes if isinstance(self.sizes, tuple) else (self.sizes,) * input_shape[0]

    def output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        return (sum(self._of_columns(input_shape)),)

    def settings(self, input_shape: Shape) -> dict[str, Any]:  # noqa: D102
        return {"mode": "concatenate", "sizes": self._of_columns(input_shape)}


def _mode(value: Any) -> str:
    if value not in ("one_hot", "multi_hot", "count"):
        raise ValueError
    return str(value)


@LAYERS.named("CategoryEncoding")
@dataclass(frozen=True)
class CategoryEncoding(KindLayer):
    """Encode columns of integer classes that share their set of classes as one row with a number per class.

    Arguments:
        num_tokens: number of classes, counted from 0.
        output_mode: "multi_hot" (default): 1 for each class that occurs in any column of a row; "count": in how many
            columns it occurs; "one_hot": for a single column, where both are the same.

    Raises:
        DataError: the data has other numbers.
    """

    num_tokens: int
    output_mode: str = "multi_hot"

    kind: ClassVar = "one_hot"
    expects: ClassVar = {"num_tokens": whole(1), "output_mode": Expected("one_hot, multi_hot or count", _mode)}

    def output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        if len(input_shape) != 1 or (self.output_mode == "one_hot" and input_shape != (1,)):
            columns = "one column" if self.output_mode == "one_hot" else "columns"
            raise ShapeError(
                f"{self} got samples of shape {input_shape}: expected {columns} of class numbers; to encode each "
                f"column separately use OneHot({self.num_tokens})"
            )
        return (self.num_tokens,)

    def settings(self, input_shape: Shape) -> dict[str, Any]:  # noqa: D102
        mode = "count" if self.output_mode == "count" else "multi_hot"
        return {"mode": mode, "sizes": (self.num_tokens,) * input_shape[0]}
