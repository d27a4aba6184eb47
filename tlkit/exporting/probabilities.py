"""What turns the outputs of a network into calibrated probabilities, as operations of the exported network."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from tlkit.analysis.calibration import LEAST, LEAST_OF_TWO
from tlkit.inference.compiler.writer import Handle, Writer
from tlkit.training.classifier import Classifier


class Operations(Protocol):
    """The operations that this takes; tensors are ``(batch, classes)`` float32."""

    def number(self, value: float) -> Any:
        """Return one number."""
        ...

    def unary(self, operation: str, x: Any) -> Any:
        """Return log, negative or sigmoid of x."""
        ...

    def binary(self, operation: str, x: Any, y: Any) -> Any:
        """Return add, subtract, multiply or maximum of x and y."""
        ...

    def softmax(self, x: Any) -> Any:
        """Return the softmax over the classes."""
        ...

    def join(self, x: Any, y: Any) -> Any:
        """Return the classes of y behind those of x."""
        ...


class WriterOperations:
    """:class:`Operations` of a network that is emitted."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def number(self, value: float) -> Handle:
        """See the protocol, as for all that follow."""
        return self._writer.constant(np.float32(value))

    def unary(self, operation: str, x: Handle) -> Handle:
        """Emit a unary operation."""
        return self._writer.unary(operation, x)

    def binary(self, operation: str, x: Handle, y: Handle) -> Handle:
        """Emit a binary operation."""
        return self._writer.binary(operation, x, y)

    def softmax(self, x: Handle) -> Handle:
        """Emit a softmax."""
        return self._writer.softmax(x, 1)

    def join(self, x: Handle, y: Handle) -> Handle:
        """Emit a concatenation."""
        return self._writer.concatenate([x, y], 1)


def to_probabilities(classifier: Classifier, outputs: Any, operations: Operations) -> Any:
    """Return the probabilities ``(batch, classes)`` that :meth:`Classifier.probabilities` gives, as operations.

    Args:
        classifier: What the outputs are, and the temperature.
        outputs: Of its network, ``(batch, outputs)`` float32.
        operations: What computes.
    """
    if classifier.outputs == "logits":
        return operations.softmax(outputs)
    if classifier.outputs != "probabilities":
        second = outputs
        if classifier.outputs == "logit of the second":
            second = operations.unary("sigmoid", outputs)
        return operations.join(operations.binary("subtract", operations.number(1), second), second)
    if classifier.temperature == 1:
        return outputs
    logits = _log(outputs, LEAST, operations)
    if classifier.thresholds is not None:  # labels that do not exclude each other
        others = operations.binary("subtract", operations.number(1), outputs)
        logits = operations.binary("subtract", logits, _log(others, LEAST_OF_TWO, operations))
    scaled = operations.binary("multiply", logits, operations.number(1 / classifier.temperature))
    return operations.softmax(scaled) if classifier.thresholds is None else operations.unary("sigmoid", scaled)


def _log(x: Any, least: float, operations: Operations) -> Any:
    return operations.unary("log", operations.binary("maximum", x, operations.number(least)))
