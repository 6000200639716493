"""Typical wrong answers to the exercise on the binary classifier."""

MISTAKES: list[tuple[str, str, str]] = [
    (
        "binary cross-entropy",
        "return np.mean(targets * np.log(predictions) + (1 - targets) * np.log(1 - predictions))",
        "loss of the ten predictions: the sign is wrong",
    ),
    (
        "binary cross-entropy",
        "return -np.mean(targets * np.log(predictions) + (1 - targets) * np.log(1 - predictions))",
        "loss of predictions that are 0 and 1: it has NaN",
    ),
    (
        "binary cross-entropy",
        "return -(targets * np.log(predictions) + (1 - targets) * np.log(1 - predictions))",
        "loss of the ten predictions: shape .10,. where .. is expected: a sum or mean is missing",
    ),
    (
        "binary cross-entropy backward",
        "return (predictions - targets) / (predictions * (1 - predictions))",
        "gradient in the ten predictions: the scale is wrong: it is 10 times too large",
    ),
    (
        "one step down the gradient",
        "return learning_rate * dk.ops.binary_cross_entropy_loss_backward(targets, predictions)",
        "change in one step: the sign is wrong",
    ),
    (
        "forward pass",
        """\
first = dk.ops.relu(x @ parameters["dense/kernel"])
second = dk.ops.relu(first @ parameters["dense_1/kernel"])
return dk.ops.sigmoid(second @ parameters["dense_2/kernel"])
""",
        "forward pass: it is 0.* is expected; 1000 of 1000 numbers are wrong",
    ),
    (
        "accuracy",
        "return np.mean((model.predict(x)[:, 0] > 0.5) == (y[:, 0] > 0.5)) * 100",
        "accuracy on training data: the scale is wrong: it is 100 times too large",
    ),
    (
        "gradients of the last layer",
        "delta = p - y\nkernel_gradient = delta.T @ h2\nbias_gradient = delta.sum(axis=0)",
        "gradient of the last kernel: shape .1, 64. where .64, 1. is expected: it is transposed",
    ),
    (
        "gradients of the last layer",
        "delta = p - y\nkernel_gradient = h2.T @ delta\nbias_gradient = delta.sum(axis=0)",
        "gradient of the last bias: the scale is wrong: it is 1000 times too large",
    ),
    (
        "one training step",
        """\
for name, gradient in gradients.items():
    model.parameters[name] = model.parameters[name] + gradient
return loss
""",
        "change of dense/kernel: the scale is wrong: it is 100 times too large, and the sign is wrong",
    ),
    (
        "training loop",
        """\
losses = []
validation_losses = []
plot.init()
for step in range(1, 1001):
    losses.append(train(model, x, y, LEARNING_RATE))
    validation_losses.append(model.evaluate(x, y)["loss"])
    plot.add(step, losses[-1], validation_losses[-1])
plot.finish()
""",
        "list of validation losses: it is 0.* of 1000 numbers are wrong",
    ),
]
