"""The models of the speed benchmarks: next to no work, much data, and some milliseconds of work."""

import numpy as np

from .graph import Case, Graph
from .layers import gemm


# Each is 64 · 256 · 256 multiply-adds: a third of a millisecond in one thread of wasm on a core that runs at 3 GHz.
WORK_LAYERS = 9


def mlp64() -> Case:
    """64 numbers in, 64 out, and so little work between that what is measured is the way there and back."""
    g = Graph("mlp64", "other")
    x = g.input("x", g.normal(1, 64))
    with g.scope("layers.0"):
        x = g.op("Relu", gemm(g, x, 64, 64))
    with g.scope("layers.1"):
        g.output("y", gemm(g, x, 64, 64), [1, 64])
    return g.case()


def mlp1m() -> Case:
    """y = relu(x / 2 + 1) over 1 MiB: what is measured is moving data. The numbers are exact in every backend."""
    g = Graph("mlp1m", "other")
    count = (1 << 20) // 4
    x = g.input("x", ((np.arange(count) % 1021 - 510) / 64).astype(np.float32))
    x = g.op("Add", g.op("Mul", x, g.constant(0.5)), g.constant(1.0))
    g.output("y", g.op("Relu", x), [count])
    return g.case()


def work3ms() -> Case:
    """64 numbers in and out, as in mlp64, with matrix products between: 2 to 5 ms in one thread of wasm."""
    g = Graph("work3ms", "other")
    width = 256
    x = g.input("x", g.normal(1, 64))
    x = g.op("Transpose", x, perm=[1, 0])
    x = g.op("MatMul", x, g.weight("spread.weight", g.normal(1, width, scale=0.3)))
    # One weight for all of them keeps the file small; the work is the same.
    weight = g.weight("mix.weight", g.normal(width, width, scale=1.2 * width**-0.5))
    for i in range(WORK_LAYERS):
        with g.scope(f"layers.{i}"):
            x = g.op("Tanh", g.op("MatMul", x, weight))
    x = g.op("MatMul", x, g.weight("gather.weight", g.normal(width, 1, scale=width**-0.5)))
    g.output("y", g.op("Transpose", x, perm=[1, 0]), [1, 64])
    return g.case()
