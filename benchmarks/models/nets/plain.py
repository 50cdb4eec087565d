"""Plain nets: a multi-layer perceptron, the same in float16, and one whose batch is dynamic."""

import numpy as np

from .graph import Case, Graph
from .layers import gemm

FEATURES, HIDDEN, CLASSES = 32, 64, 10


def _perceptron(g: Graph, x: str, rows, dtype=np.float32) -> Case:
    for i, (inputs, outputs) in enumerate([(FEATURES, HIDDEN), (HIDDEN, HIDDEN)]):
        with g.scope(f"layers.{i}"):
            with g.scope("linear"):
                x = gemm(g, x, inputs, outputs, dtype)
            with g.scope("act"):
                x = g.op("Relu", x)
    with g.scope("head"):
        x = gemm(g, x, HIDDEN, CLASSES, dtype)
    elem_type = {np.float32: 1, np.float16: 10}[dtype]
    g.output("logits", x, [rows, CLASSES], elem_type)
    return g.case()


def mlp() -> Case:
    """Two hidden layers; two rows."""
    g = Graph("mlp", "other")
    return _perceptron(g, g.input("features", g.normal(2, FEATURES)), 2)


def mlp_fp16() -> Case:
    """The same in float16, inputs and outputs included."""
    g = Graph("mlp-fp16", "other")
    return _perceptron(g, g.input("features", g.normal(2, FEATURES, dtype=np.float16)), 2, np.float16)


def mlp_dynamic() -> Case:
    """The same with a dynamic batch axis, tested with three rows."""
    g = Graph("mlp-dynamic", "other")
    return _perceptron(g, g.input("features", g.normal(3, FEATURES), {0: "batch"}), "batch")
