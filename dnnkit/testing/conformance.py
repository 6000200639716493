"""The conformance suite: all questions, for any implementation."""

from dnnkit.testing import activations, data, dense, losses, metrics, optimizers, stages
from dnnkit.testing.questions import QUESTIONS, Question, asked, kernels

__all__ = [
    "QUESTIONS",
    "Question",
    "activations",
    "asked",
    "data",
    "dense",
    "kernels",
    "losses",
    "metrics",
    "optimizers",
    "stages",
]
