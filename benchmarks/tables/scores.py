"""Scores of predictions, and the normalised error.

The normalised error is the error divided by that of a constant prediction made from the same training rows: for
classification, the misclassification rate over that of the most frequent class; for regression, the root mean squared
error over that of the mean. 0 is perfect, 1 means that nothing was learned; it does not depend on other methods.
"""

import numpy as np

CLIP = 1e-15
"""Probabilities are clipped to this before the logarithm; a wrong answer with certainty costs 34.5."""


def classification(
    y: np.ndarray, probabilities: np.ndarray, classes: np.ndarray, y_fit: np.ndarray
) -> dict[str, float]:
    """Score predicted probabilities.

    Arguments:
        y: true classes (rows,).
        probabilities: (rows, classes).
        classes: (classes,), the classes of the columns.
        y_fit: classes of the training rows, for the constant prediction.

    Returns:
        error, normalised, log_loss (nats per row), auc (one-vs-rest, mean over the classes).
    """
    from sklearn.metrics import roc_auc_score

    classes, probabilities = np.asarray(classes), np.asarray(probabilities, np.float64)
    right = classes[None, :] == y[:, None]
    predicted = classes[probabilities.argmax(axis=1)]
    names, counts = np.unique(y_fit, return_counts=True)
    error, constant = float(np.mean(predicted != y)), float(np.mean(y != names[counts.argmax()]))
    given = np.clip((probabilities * right).sum(axis=1), CLIP, 1.0)
    present = right.any(axis=0) & ~right.all(axis=0)
    auc = np.mean([roc_auc_score(right[:, k], probabilities[:, k]) for k in np.flatnonzero(present)])
    return {
        "error": error,
        "normalised": error / constant,
        "log_loss": float(-np.log(given).mean()),
        "auc": float(auc),
    }


def regression(y: np.ndarray, predicted: np.ndarray, y_fit: np.ndarray) -> dict[str, float]:
    """Score predicted numbers.

    Returns:
        error (root mean squared), normalised, mean_absolute.
    """
    off = np.asarray(predicted, np.float64).reshape(y.shape) - y
    error, constant = float(np.sqrt(np.mean(off**2))), float(np.sqrt(np.mean((y - y_fit.mean()) ** 2)))
    return {"error": error, "normalised": error / constant, "mean_absolute": float(np.abs(off).mean())}
