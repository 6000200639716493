"""Signatures of the functions of `dnnkit.ops`, for editors and type checkers.

Written by `python -m tests.dnnkit.ops_stub`, from the registries of activations and losses.
"""

from collections.abc import Callable
from typing import Any

Array = Any
"""An array of the current backend."""

def __getattr__(name: str) -> Callable[..., Any]:
    """Activations and losses that are registered by users."""

def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> float:
    """Return the fraction of predictions on the same side of the threshold as their targets are of ½."""

def binary_crossentropy(y_true: Any, y_pred: Any, *, from_logits: bool = False, label_smoothing: float = 0.0, output_weights: Any = None) -> Array:
    """Return the loss binary_crossentropy."""

def binary_crossentropy_backward(y_true: Any, y_pred: Any, *, from_logits: bool = False, label_smoothing: float = 0.0, output_weights: Any = None) -> Array:
    """Return the gradient with respect to y_pred of the loss binary_crossentropy."""

def binary_focal_crossentropy(y_true: Any, y_pred: Any, *, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False, label_smoothing: float = 0.0, output_weights: Any = None) -> Array:
    """Return the loss binary_focal_crossentropy."""

def binary_focal_crossentropy_backward(y_true: Any, y_pred: Any, *, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False, label_smoothing: float = 0.0, output_weights: Any = None) -> Array:
    """Return the gradient with respect to y_pred of the loss binary_focal_crossentropy."""

def categorical_accuracy(y_true: Any, y_pred: Any) -> float:
    """Return the fraction of rows whose largest prediction is that of their class."""

def categorical_crossentropy(y_true: Any, y_pred: Any, *, from_logits: bool = False, label_smoothing: float = 0.0, epsilon: float = 0.0) -> Array:
    """Return the loss categorical_crossentropy."""

def categorical_crossentropy_backward(y_true: Any, y_pred: Any, *, from_logits: bool = False, label_smoothing: float = 0.0, epsilon: float = 0.0) -> Array:
    """Return the gradient with respect to y_pred of the loss categorical_crossentropy."""

def categorical_focal_crossentropy(y_true: Any, y_pred: Any, *, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False, label_smoothing: float = 0.0) -> Array:
    """Return the loss categorical_focal_crossentropy."""

def categorical_focal_crossentropy_backward(y_true: Any, y_pred: Any, *, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False, label_smoothing: float = 0.0) -> Array:
    """Return the gradient with respect to y_pred of the loss categorical_focal_crossentropy."""

def elu(x: Any) -> Array:
    """Return elu(x), elementwise."""

def elu_grad(x: Any) -> Array:
    """Return the derivative of elu, at its input."""

def elu_grad_from_output(x: Any) -> Array:
    """Return the derivative of elu, from its output."""

def gamma(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the loss gamma."""

def gamma_backward(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the gradient with respect to y_pred of the loss gamma."""

def gelu(x: Any) -> Array:
    """Return gelu(x), elementwise."""

def gelu_grad(x: Any) -> Array:
    """Return the derivative of gelu, at its input."""

def hard_sigmoid(x: Any) -> Array:
    """Return hard_sigmoid(x), elementwise."""

def hard_sigmoid_grad(x: Any) -> Array:
    """Return the derivative of hard_sigmoid, at its input."""

def hard_sigmoid_grad_from_output(x: Any) -> Array:
    """Return the derivative of hard_sigmoid, from its output."""

def hinge(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the loss hinge."""

def hinge_backward(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the gradient with respect to y_pred of the loss hinge."""

def huber(y_true: Any, y_pred: Any, *, delta: float = 1.0, output_weights: Any = None) -> Array:
    """Return the loss huber."""

def huber_backward(y_true: Any, y_pred: Any, *, delta: float = 1.0, output_weights: Any = None) -> Array:
    """Return the gradient with respect to y_pred of the loss huber."""

def inner_product(y_true: Any, y_pred: Any) -> Array:
    """Return the loss inner_product."""

def inner_product_backward(y_true: Any, y_pred: Any) -> Array:
    """Return the gradient with respect to y_pred of the loss inner_product."""

def kl_divergence(y_true: Any, y_pred: Any) -> Array:
    """Return the loss kl_divergence."""

def kl_divergence_backward(y_true: Any, y_pred: Any) -> Array:
    """Return the gradient with respect to y_pred of the loss kl_divergence."""

def leaky_relu(x: Any) -> Array:
    """Return leaky_relu(x), elementwise."""

def leaky_relu_grad(x: Any) -> Array:
    """Return the derivative of leaky_relu, at its input."""

def leaky_relu_grad_from_output(x: Any) -> Array:
    """Return the derivative of leaky_relu, from its output."""

def linear(x: Any) -> Array:
    """Return linear(x), elementwise."""

def linear_grad(x: Any) -> Array:
    """Return the derivative of linear, at its input."""

def linear_grad_from_output(x: Any) -> Array:
    """Return the derivative of linear, from its output."""

def log_cosh(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the loss log_cosh."""

def log_cosh_backward(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the gradient with respect to y_pred of the loss log_cosh."""

def mean_absolute_error(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the loss mean_absolute_error."""

def mean_absolute_error_backward(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the gradient with respect to y_pred of the loss mean_absolute_error."""

def mean_squared_error(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the loss mean_squared_error."""

def mean_squared_error_backward(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the gradient with respect to y_pred of the loss mean_squared_error."""

def mish(x: Any) -> Array:
    """Return mish(x), elementwise."""

def mish_grad(x: Any) -> Array:
    """Return the derivative of mish, at its input."""

def poisson(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the loss poisson."""

def poisson_backward(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the gradient with respect to y_pred of the loss poisson."""

def quantile(y_true: Any, y_pred: Any, *, quantile: float = 0.5, output_weights: Any = None) -> Array:
    """Return the loss quantile."""

def quantile_backward(y_true: Any, y_pred: Any, *, quantile: float = 0.5, output_weights: Any = None) -> Array:
    """Return the gradient with respect to y_pred of the loss quantile."""

def relu(x: Any) -> Array:
    """Return relu(x), elementwise."""

def relu_grad(x: Any) -> Array:
    """Return the derivative of relu, at its input."""

def relu_grad_from_output(x: Any) -> Array:
    """Return the derivative of relu, from its output."""

def selu(x: Any) -> Array:
    """Return selu(x), elementwise."""

def selu_grad(x: Any) -> Array:
    """Return the derivative of selu, at its input."""

def selu_grad_from_output(x: Any) -> Array:
    """Return the derivative of selu, from its output."""

def sigmoid(x: Any) -> Array:
    """Return sigmoid(x), elementwise."""

def sigmoid_grad(x: Any) -> Array:
    """Return the derivative of sigmoid, at its input."""

def sigmoid_grad_from_output(x: Any) -> Array:
    """Return the derivative of sigmoid, from its output."""

def silu(x: Any) -> Array:
    """Return silu(x), elementwise."""

def silu_grad(x: Any) -> Array:
    """Return the derivative of silu, at its input."""

def softmax(x: Any, axis: int = -1) -> Any:
    """Return exp(x) / Σ exp(x) along an axis."""

def softmax_grad(x: Any) -> Array:
    """Return the derivative of softmax, at its input."""

def softplus(x: Any) -> Array:
    """Return softplus(x), elementwise."""

def softplus_grad(x: Any) -> Array:
    """Return the derivative of softplus, at its input."""

def softplus_grad_from_output(x: Any) -> Array:
    """Return the derivative of softplus, from its output."""

def softsign(x: Any) -> Array:
    """Return softsign(x), elementwise."""

def softsign_grad(x: Any) -> Array:
    """Return the derivative of softsign, at its input."""

def softsign_grad_from_output(x: Any) -> Array:
    """Return the derivative of softsign, from its output."""

def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, *, from_logits: bool = False, label_smoothing: float = 0.0, epsilon: float = 0.0) -> Array:
    """Return the loss sparse_categorical_crossentropy."""

def sparse_categorical_crossentropy_backward(y_true: Any, y_pred: Any, *, from_logits: bool = False, label_smoothing: float = 0.0, epsilon: float = 0.0) -> Array:
    """Return the gradient with respect to y_pred of the loss sparse_categorical_crossentropy."""

def squared_hinge(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the loss squared_hinge."""

def squared_hinge_backward(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the gradient with respect to y_pred of the loss squared_hinge."""

def step(x: Any) -> Array:
    """Return step(x), elementwise."""

def step_grad(x: Any) -> Array:
    """Return the derivative of step, at its input."""

def step_grad_from_output(x: Any) -> Array:
    """Return the derivative of step, from its output."""

def sum_squared_error(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the loss sum_squared_error."""

def sum_squared_error_backward(y_true: Any, y_pred: Any, *, output_weights: Any = None) -> Array:
    """Return the gradient with respect to y_pred of the loss sum_squared_error."""

def tanh(x: Any) -> Array:
    """Return tanh(x), elementwise."""

def tanh_grad(x: Any) -> Array:
    """Return the derivative of tanh, at its input."""

def tanh_grad_from_output(x: Any) -> Array:
    """Return the derivative of tanh, from its output."""
