"""The layers that several nets share, in the operators that exporters write for them."""

import numpy as np

from .graph import Graph


def linear(g: Graph, x: str, inputs: int, outputs: int, bias: bool = True, dtype=np.float32) -> str:
    """A linear layer on the last axis: MatMul, Add."""
    weight = g.weight("weight", g.normal(inputs, outputs, scale=inputs**-0.5, dtype=dtype))
    x = g.op("MatMul", x, weight)
    return g.op("Add", g.weight("bias", g.normal(outputs, scale=0.1, dtype=dtype)), x) if bias else x


def gemm(g: Graph, x: str, inputs: int, outputs: int, dtype=np.float32) -> str:
    """A linear layer on a matrix, as PyTorch exports it: Gemm with the weight transposed."""
    weight = g.weight("weight", g.normal(outputs, inputs, scale=inputs**-0.5, dtype=dtype))
    bias = g.weight("bias", g.normal(outputs, scale=0.1, dtype=dtype))
    return g.op("Gemm", x, weight, bias, alpha=1.0, beta=1.0, transB=1)


def conv(g: Graph, x: str, inputs: int, outputs: int, kernel: list[int], stride=1, group=1, bias=True) -> str:
    """A convolution that keeps the size (up to its stride)."""
    fan_in = inputs // group * int(np.prod(kernel))
    weight = g.weight("weight", g.normal(outputs, inputs // group, *kernel, scale=(2 / fan_in) ** 0.5))
    operands = [x, weight] + ([g.weight("bias", g.normal(outputs, scale=0.1))] if bias else [])
    return g.op(
        "Conv",
        *operands,
        dilations=[1] * len(kernel),
        group=group,
        kernel_shape=kernel,
        pads=[k // 2 for k in kernel] * 2,
        strides=[stride] * len(kernel),
    )


def scale_and_shift(g: Graph, *shape: int) -> tuple[str, str]:
    """The trained scale and shift of a normalization layer."""
    return g.weight("weight", g.normal(*shape, scale=0.1, mean=1.0)), g.weight("bias", g.normal(*shape, scale=0.1))


def layer_norm(g: Graph, x: str, width: int) -> str:
    """LayerNorm as one operator (opset 17)."""
    return g.op("LayerNormalization", x, *scale_and_shift(g, width), axis=-1, epsilon=1e-5)


def layer_norm_primitive(g: Graph, x: str, width: int) -> str:
    """LayerNorm as exporters wrote it before opset 17."""
    weight, bias = scale_and_shift(g, width)
    centred = g.op("Sub", x, g.op("ReduceMean", x, axes=[-1]))
    variance = g.op("ReduceMean", g.op("Pow", centred, g.constant(2.0)), axes=[-1])
    deviation = g.op("Sqrt", g.op("Add", variance, g.constant(1e-12)))
    return g.op("Add", g.op("Mul", g.op("Div", centred, deviation), weight), bias)


def gelu(g: Graph, x: str) -> str:
    """GELU by the error function."""
    erf = g.op("Erf", g.op("Div", x, g.constant(2**0.5)))
    return g.op("Mul", g.op("Mul", x, g.op("Add", erf, g.constant(1.0))), g.constant(0.5))


def gelu_tanh(g: Graph, x: str) -> str:
    """GELU by the hyperbolic tangent, as GPT-2 has it."""
    cubed = g.op("Mul", g.op("Pow", x, g.constant(3.0)), g.constant(0.044715))
    tanh = g.op("Tanh", g.op("Mul", g.op("Add", x, cubed), g.constant((2 / np.pi) ** 0.5)))
    return g.op("Mul", g.op("Mul", x, g.constant(0.5)), g.op("Add", tanh, g.constant(1.0)))


def silu(g: Graph, x: str) -> str:
    """x · sigmoid(x)."""
    return g.op("Mul", x, g.op("Sigmoid", x))


def split_heads(g: Graph, x: str, length: int, heads: int, width: int) -> str:
    """[1, length, width] to [1, heads, length, width / heads]."""
    x = g.op("Reshape", x, g.constant([1, length, heads, width // heads], np.int64))
    return g.op("Transpose", x, perm=[0, 2, 1, 3])


def join_heads(g: Graph, x: str, length: int, width: int) -> str:
    """The inverse of `split_heads`."""
    return g.op("Reshape", g.op("Transpose", x, perm=[0, 2, 1, 3]), g.constant([1, length, width], np.int64))


def attend(g: Graph, query: str, key: str, value: str, head_width: int, mask: str | None = None) -> str:
    """Scaled dot-product attention over heads already split, with an additive mask."""
    scores = g.op("MatMul", query, g.op("Transpose", key, perm=[0, 1, 3, 2]))
    scores = g.op("Div", scores, g.constant(head_width**0.5))
    if mask:
        scores = g.op("Add", scores, mask)
    return g.op("MatMul", g.op("Softmax", scores, axis=-1), value)


def quick_gelu(g: Graph, x: str) -> str:
    """GELU by the sigmoid, as CLIP has it."""
    return g.op("Mul", x, g.op("Sigmoid", g.op("Mul", x, g.constant(1.702))))


def self_attention(g: Graph, x: str, length: int, heads: int, width: int, names: dict, mask: str | None = None) -> str:
    """Multi-head self-attention up to, and without, its output projection.

    `names` gives the module names of the query, key and value projections; a key without a bias is Whisper's way.
    """
    projected = []
    for role in ("query", "key", "value"):
        with g.scope(names[role]):
            projected.append(linear(g, x, width, width, bias=role != "key" or names.get("key_bias", True)))
    split = [split_heads(g, p, length, heads, width) for p in projected]
    return join_heads(g, attend(g, *split, width // heads, mask), length, width)


def pre_norm_layer(
    g: Graph,
    x: str,
    length: int,
    names: dict,
    width: int = 64,
    heads: int = 4,
    hidden: int = 128,
    activation=gelu,
    mask: str | None = None,
) -> str:
    """A transformer layer that normalizes before attention and before its feed-forward part.

    `names` are the paths of its modules, which is all in which the layers of ViT, Whisper and CLIP differ here.
    """
    with g.scope(names["norm1"]):
        h = layer_norm(g, x, width)
    with g.scope(names["attention"]):
        h = self_attention(g, h, length, heads, width, names, mask)
    with g.scope(names["out"]):
        h = linear(g, h, width, width)
    x = g.op("Add", x, h)
    with g.scope(names["norm2"]):
        h = layer_norm(g, x, width)
    with g.scope(names["fc1"]):
        h = linear(g, h, width, hidden)
    with g.scope(names["activation"]):
        h = activation(g, h)
    with g.scope(names["fc2"]):
        h = linear(g, h, hidden, width)
    return g.op("Add", x, h)


def patches(g: Graph, x: str, side: int, patch: int, width: int, bias: bool) -> str:
    """Cuts an image of 3 × side × side into patches, and projects each to a token: [1, count, width]."""
    weight = g.weight("weight", g.normal(width, 3, patch, patch, scale=(3 * patch * patch) ** -0.5))
    operands = [x, weight] + ([g.weight("bias", g.normal(width, scale=0.1))] if bias else [])
    x = g.op("Conv", *operands, kernel_shape=[patch, patch], strides=[patch, patch])
    x = g.op("Reshape", x, g.constant([1, width, (side // patch) ** 2], np.int64))
    return g.op("Transpose", x, perm=[0, 2, 1])
