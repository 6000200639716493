"""Typical wrong answers to the exercise on the image classifier."""

MISTAKES: list[tuple[str, str, str]] = [
    ("rescaling", "return images / 256", r"scale is wrong: it is 1\.004 times too small"),
    ("mean squared error", "return np.sum((answers - targets) ** 2)", r"scale is wrong: it is 3 times too large"),
    ("mean squared error", "return (answers - targets) ** 2", r"a sum or mean is missing"),
    ("softmax", "powers = np.exp(logits)\nreturn powers / powers.sum(axis=1, keepdims=True)", r"NaN or infinite"),
    (
        "softmax",
        "powers = np.exp(logits - logits.max(axis=1, keepdims=True))\nreturn powers / powers.sum()",
        r"9 of 9 numbers are wrong",
    ),
    (
        "the network by hand",
        "hidden = flat @ W1 + b1\nreturn np.asarray(dk.ops.softmax(hidden @ W2 + b2))",
        r"\d+ of 50 numbers are wrong",
    ),
    (
        "the network by hand",
        "return np.maximum(0, flat @ W1 + b1)",
        r"shape \(5, 128\) where \(5, 10\) is expected",
    ),
    (
        "cross-entropy",
        "of_truth = probabilities[np.arange(len(labels)), labels]\nreturn np.mean(np.log(of_truth))",
        r"sign is wrong",
    ),
    ("cross-entropy", "return -np.log(probabilities[:, labels[0]])", r"a sum or mean is missing"),
    (
        "network with dropout",
        """with_dropout = dk.Sequential(
    [
        dk.Rescaling(1 / 255),
        dk.Flatten(),
        dk.Dense(128, activation="relu"),
        dk.Dense(10, activation="softmax"),
        dk.Dropout(0.4),
    ],
    seed=0,
)""",
        r"it is 0 at \(3,\) where 0\.4 is expected",
    ),
    (
        "network with dropout",
        """with_dropout = dk.Sequential(
    [dk.Rescaling(1 / 255), dk.Flatten(), dk.Dense(128, activation="relu"), dk.Dropout(0.4), dk.Dense(10)], seed=0
)""",
        r"the output before training: .* numbers are wrong",
    ),
    (
        "accuracy",
        "predicted = probabilities.argmax(axis=1)\nreturn np.sum(predicted == labels)",
        r"1e\+04 times too large",
    ),
    ("accuracy", "return probabilities.argmax(axis=1) == labels", r"a sum or mean is missing"),
    ("a batch of one", "batch = image", r"shape \(28, 28\) where \(1, 28, 28\) is expected"),
]
