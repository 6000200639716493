"""Typical wrong answers to the exercise "A network from scratch on MNIST"."""

BACKWARD = """\
D2 = (P - T) / len(X)
dw2 = Z.T @ D2
db2 = D2.sum(axis=0)
D1 = (D2 @ W2.T) * Z * (1 - Z)
dw1 = X.T @ D1
db1 = D1.sum(axis=0)
"""
"""The right answer for two layers, of which each mistake changes one line."""

MISTAKES: list[tuple[str, str, str]] = [
    ("sum of squared errors", "return np.sum((y - t) ** 2)", "2 times too large"),
    (
        "cross-entropy with labels",
        "of_truth = y[np.arange(len(labels)), labels]\nreturn -np.sum(np.log(of_truth))",
        "5 times too large",
    ),
    (
        "cross-entropy with labels",
        "of_truth = y[np.arange(len(labels)), labels]\nreturn np.mean(np.log(of_truth))",
        "the sign is wrong",
    ),
    ("cross-entropy with labels", "return -np.log(y[np.arange(len(labels)), labels])", "a sum or mean is missing"),
    ("numerical derivative", "return (f(x + h) - f(x - h) / (2 * h))", r"3 of 3 numbers are wrong"),
    ("numerical derivative", "return (f(x + h) - f(x - h)) / h", "2 times too large"),
    ("numerical gradient", "return (f(x + h) - f(x - h)) / (2 * h)", r"shape \(\) where \(2,\) is expected"),
    (
        "numerical gradient",
        "gradient = np.zeros(x.size)\n"
        "for place, index in enumerate(np.ndindex(x.shape)):\n"
        "    step = np.zeros_like(x)\n"
        "    step[index] = h\n"
        "    gradient[place] = (f(x + step) - f(x - step)) / (2 * h)\n"
        "return gradient",
        r"shape \(6,\) where \(2, 3\) is expected: the number of elements is right, so reshape it",
    ),
    ("gradient-descent step", "x = x + lr * dk.numerical_gradient(f, x)", "first step: the sign is wrong"),
    ("gradient-descent step", "x = x - dk.numerical_gradient(f, x)", "first step: the scale is wrong: it is 10 times"),
    ("gradient-descent step", "x = -lr * dk.numerical_gradient(f, x)", "second step: it is"),
    (
        "backpropagation of simpleNet",
        "error = target - p\ngradient = np.outer(x, error)",
        "the sign is wrong",
    ),
    (
        "backpropagation of simpleNet",
        "error = p - target\ngradient = np.outer(error, x)",
        "it is transposed",
    ),
    (
        "backpropagation through two layers",
        BACKWARD.replace(" / len(X)", ""),
        "gradient of dense_1/kernel: the scale is wrong: it is 100 times too large",
    ),
    (
        "backpropagation through two layers",
        BACKWARD.replace("D2.sum(axis=0)", "D2.sum()"),
        r"gradient of dense_1/bias: shape \(\) where \(10,\) is expected: there is one sum or mean too many",
    ),
    (
        "backpropagation through two layers",
        BACKWARD.replace(" * Z * (1 - Z)", ""),
        r"gradient of dense/kernel: ",
    ),
    (
        "backpropagation through two layers",
        BACKWARD.replace("X.T @ D1", "D1.T @ X"),
        "gradient of dense/kernel: .*it is transposed",
    ),
]
