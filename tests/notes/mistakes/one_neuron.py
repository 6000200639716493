"""Typical wrong answers to `1_one_neuron`: (blank, wrong code, what the check has to say)."""

MISTAKES: list[tuple[str, str, str]] = [
    ("predictions", "predictions = dk.ops.sigmoid(first_weights.T @ X.T)", "transposed"),
    ("predictions", "predictions = X @ first_weights", "4 of 4 numbers are wrong"),
    ("loss", "loss = np.sum((y - predictions) ** 2)", "2 times too large"),
    ("loss", "loss = 0.5 * (y - predictions) ** 2", "a sum or mean is missing"),
    (
        "delta rule",
        "update = X.T @ ((predictions - y) * dk.ops.sigmoid_grad_from_output(predictions))",
        "the sign is wrong",
    ),
    (
        "delta rule",
        "update = X.T @ ((y - predictions) * dk.ops.sigmoid_grad_from_output(predictions)) / len(X)",
        "4 times too small",
    ),
    ("delta rule", "update = X.T @ (y - predictions)", "3 of 3 numbers are wrong"),
    (
        "training loop",
        """\
p = dk.ops.sigmoid(X @ weights)
weights = weights + X.T @ (y - p)
""",
        "training loop: weights: .* 3 of 3 numbers are wrong",
    ),
    ("new rows", "answers = net.predict(new_rows).ravel()", r"shape \(5,\) where \(5, 1\) is expected"),
    (
        "update without inputs",
        "update = (y - predictions) * dk.ops.sigmoid_grad_from_output(predictions)",
        "a sum or mean is missing",
    ),
    ("slope of tanh", "slope = p * (1 - p)", "numbers are wrong"),
    ("decisions", "decisions = net.predict(X)", "4 of 4 numbers are wrong"),
    ("decisions", "decisions = net.predict(X) < 0.5", "4 of 4 numbers are wrong"),
]
