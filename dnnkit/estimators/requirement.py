"""scikit-learn: imported where it is needed, with one error where it is missing."""

from typing import Any

from dnnkit.errors import ConfigurationError


def require_sklearn(what: str) -> Any:
    """The module `sklearn`; `what` needs it, such as "DNNClassifier".

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import sklearn
    except ImportError as error:
        raise ConfigurationError(
            f"{what} needs scikit-learn, which cannot be imported ({error}): pip install 'dnnkit[sklearn]'"
        ) from error
    return sklearn
