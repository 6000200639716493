"""Exceptions. Each message says what was given, what was expected and what to do.

A leaf module: it imports nothing, so that kernels and backends may raise these too.
"""


class DnnkitError(Exception):
    """Base class of all errors that dnnkit raises."""

    told_elsewhere = False
    """Whether another process of the same distributed training has already reported it."""


class UnknownName(DnnkitError, KeyError, ValueError):
    """An unknown name of an activation, loss, optimizer, parameter, ..."""

    __str__ = Exception.__str__  # KeyError would quote the message


class BackendUnavailable(DnnkitError, RuntimeError):
    """The requested backend does not exist or does not work on this machine."""


class ConfigurationError(DnnkitError, ValueError):
    """An argument with an invalid value, such as a batch size of 0."""


class NoAttribute(DnnkitError, AttributeError):
    """An attribute that dnnkit does not have; if Keras has it, the message says what to use instead.

    The message is an object that is formatted on demand, because most are raised for `getattr(thing, name, None)`.
    """


class UnknownArgument(DnnkitError, TypeError):
    """An argument that a call does not take; if Keras takes it, the message says what to use instead."""


class ShapeError(DnnkitError, ValueError):
    """An array has the wrong shape."""


class DataError(DnnkitError, ValueError):
    """Data cannot be used: empty, not finite, labels out of range, a damaged data file."""


class CheckpointError(DnnkitError, RuntimeError):
    """A save cannot be written, or is damaged, incomplete or of another network."""


class NotReady(DnnkitError, RuntimeError):
    """The network has not been built or compiled yet."""


class ConcurrentUse(DnnkitError, RuntimeError):
    """The network is already being trained by a fit in another call or thread."""


class DistributedError(DnnkitError, RuntimeError):
    """Another rank of a distributed training has failed."""


class WorkersLost(DnnkitError, RuntimeError):
    """Workers in other processes or on other machines, or the connection to them, were lost before they finished."""


class DeviceMemoryError(DnnkitError, MemoryError):
    """GPU memory is exhausted."""


class TrainingWarning(UserWarning):
    """Training continues, but its result is doubtful; for example, the loss is NaN."""


class FormulaWarning(UserWarning):
    """A formula of an activation or loss overflows or is undefined for inputs that can occur in training."""
