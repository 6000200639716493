"""One family of errors. Each message says what was given, what was expected and what to do.

A leaf: it imports nothing, so that kernels and backends may raise these too.
"""


class DnnkitError(Exception):
    """Base of every error that dnnkit raises on purpose."""

    told_elsewhere = False
    """Whether another process, of several that train together, has said it."""


class UnknownName(DnnkitError, KeyError, ValueError):
    """A name (of an activation, loss, optimizer, parameter, ...) that dnnkit does not know."""

    __str__ = Exception.__str__  # KeyError would put the message in quotation marks


class BackendUnavailable(DnnkitError, RuntimeError):
    """The backend asked for does not exist or cannot work on this machine."""


class ConfigurationError(DnnkitError, ValueError):
    """An argument with a value that cannot work, such as a batch size of 0."""


class NoAttribute(DnnkitError, AttributeError):
    """An attribute that dnnkit does not have; where Keras has it, what to use instead.

    Its words are an object that finds them when it is read: most are raised for `getattr(thing, name, None)`.
    """


class UnknownArgument(DnnkitError, TypeError):
    """An argument that a call does not take; where Keras takes it, what to use instead."""


class ShapeError(DnnkitError, ValueError):
    """An array of the wrong shape."""


class DataError(DnnkitError, ValueError):
    """Data that cannot be used: empty, not finite, labels out of range, a damaged data file."""


class CheckpointError(DnnkitError, RuntimeError):
    """A save that cannot be written, or is damaged, incomplete or of another network."""


class NotReady(DnnkitError, RuntimeError):
    """Something was asked of a network that has not been built or compiled."""


class ConcurrentUse(DnnkitError, RuntimeError):
    """A fit or a rebuilding of a network that another fit is training."""


class DistributedError(DnnkitError, RuntimeError):
    """Another rank of a training on several has failed."""


class WorkersLost(DnnkitError, RuntimeError):
    """Workers in other processes or on other machines, or what leads to them, are gone before their work was done."""


class DeviceMemoryError(DnnkitError, MemoryError):
    """The memory of a GPU is too small for what was asked of it."""


class TrainingWarning(UserWarning):
    """Training went on, but its result is in doubt (a loss that is not a number, say)."""


class FormulaWarning(UserWarning):
    """A formula of an activation or a loss overflows or is undefined for numbers that a network may come to."""
