"""Vision: a vision transformer, a MobileNetV2, and the down-and-up block of a diffusion U-Net."""

import numpy as np

from .graph import Case, Graph
from .layers import conv, gemm, layer_norm, patches, pre_norm_layer, scale_and_shift, silu


VIT = {
    "norm1": "layernorm_before",
    "attention": "attention/attention",
    "query": "query",
    "key": "key",
    "value": "value",
    "out": "attention/output/dense",
    "norm2": "layernorm_after",
    "fc1": "intermediate/dense",
    "activation": "intermediate/intermediate_act_fn",
    "fc2": "output/dense",
}


def vit() -> Case:
    """A 32 × 32 image in 8 × 8 patches and a class token, through two layers, to ten classes."""
    g = Graph("vit", "vision")
    width, layers, patch, side = 64, 2, 8, 32
    length = (side // patch) ** 2 + 1
    x = g.input("pixel_values", g.normal(1, 3, side, side))
    with g.scope("vit/embeddings"):
        with g.scope("patch_embeddings/projection"):
            x = patches(g, x, side, patch, width, bias=True)
        x = g.op("Concat", g.weight("cls_token", g.normal(1, 1, width)), x, axis=1)
        x = g.op("Add", x, g.weight("position_embeddings", g.normal(1, length, width, scale=0.3)))
    for i in range(layers):
        with g.scope(f"vit/encoder/layer.{i}"):
            x = pre_norm_layer(g, x, length, VIT)
    with g.scope("vit/layernorm"):
        x = layer_norm(g, x, width)
    x = g.op("Gather", x, g.constant(0, np.int64), axis=1)
    with g.scope("classifier"):
        g.output("logits", gemm(g, x, width, 10), [1, 10])
    return g.case()


def _conv_norm(g: Graph, x: str, inputs: int, outputs: int, kernel: int, stride=1, group=1, activate=True) -> str:
    """Convolution, BatchNorm and, unless the block is linear, ReLU6."""
    with g.scope("0"):
        x = conv(g, x, inputs, outputs, [kernel, kernel], stride, group, bias=False)
    with g.scope("1"):
        mean = g.weight("running_mean", g.normal(outputs, scale=0.1))
        variance = g.weight("running_var", np.exp(g.normal(outputs, scale=0.2)))
        x = g.op("BatchNormalization", x, *scale_and_shift(g, outputs), mean, variance, epsilon=1e-5, momentum=0.9)
    if not activate:
        return x
    with g.scope("2"):
        return g.op("Clip", x, g.constant(0.0), g.constant(6.0))


def mobilenet() -> Case:
    """A MobileNetV2 of six inverted residual blocks on a 64 × 64 image, two of them with a shortcut."""
    g = Graph("mobilenet", "vision")
    x = g.input("input", g.normal(1, 3, 64, 64))
    with g.scope("features/features.0"):
        x = _conv_norm(g, x, 3, 16, 3, stride=2)
    blocks = [(16, 16, 1, 1), (16, 24, 4, 2), (24, 24, 4, 1), (24, 32, 4, 2), (32, 32, 4, 1), (32, 48, 4, 2)]
    for i, (inputs, outputs, expansion, stride) in enumerate(blocks, start=1):
        with g.scope(f"features/features.{i}"):
            wide, h = inputs * expansion, x
            with g.scope("conv"):
                if expansion > 1:
                    with g.scope("expand"):
                        h = _conv_norm(g, h, inputs, wide, 1)
                with g.scope("depthwise"):
                    h = _conv_norm(g, h, wide, wide, 3, stride, group=wide)
                with g.scope("project"):
                    h = _conv_norm(g, h, wide, outputs, 1, activate=False)
            x = g.op("Add", x, h) if stride == 1 and expansion > 1 else h
    with g.scope(f"features/features.{len(blocks) + 1}"):
        x = _conv_norm(g, x, 48, 128, 1)
    x = g.op("Flatten", g.op("GlobalAveragePool", x), axis=1)
    with g.scope("classifier/classifier.1"):
        g.output("output", gemm(g, x, 128, 10), [1, 10])
    return g.case()


def _group_norm(g: Graph, x: str, channels: int, side: int, groups: int = 8) -> str:
    """GroupNorm as PyTorch exports it: InstanceNormalization over the groups, then a trained scale and shift."""
    weight, bias = scale_and_shift(g, channels, 1, 1)
    x = g.op("Reshape", x, g.constant([1, groups, -1], np.int64))
    x = g.op("InstanceNormalization", x, g.constant(np.ones(groups)), g.constant(np.zeros(groups)), epsilon=1e-5)
    x = g.op("Reshape", x, g.constant([1, channels, side, side], np.int64))
    return g.op("Add", g.op("Mul", x, weight), bias)


def _resnet(g: Graph, x: str, embedding: str, inputs: int, outputs: int, side: int) -> str:
    """The residual block of a diffusion U-Net, told the time step by `embedding` (of 32 numbers)."""
    with g.scope("norm1"):
        h = _group_norm(g, x, inputs, side)
    with g.scope("nonlinearity"):
        h = silu(g, h)
    with g.scope("conv1"):
        h = conv(g, h, inputs, outputs, [3, 3])
    with g.scope("time_emb_proj"):
        shift = gemm(g, silu(g, embedding), 32, outputs)
        shift = g.op("Unsqueeze", shift, g.constant([2, 3], np.int64))
    h = g.op("Add", h, shift)
    with g.scope("norm2"):
        h = _group_norm(g, h, outputs, side)
    with g.scope("nonlinearity"):
        h = silu(g, h)
    with g.scope("conv2"):
        h = conv(g, h, outputs, outputs, [3, 3])
    if inputs != outputs:
        with g.scope("conv_shortcut"):
            x = conv(g, x, inputs, outputs, [1, 1])
    return g.op("Div", g.op("Add", x, h), g.constant(2**0.5))


def unet_block() -> Case:
    """Down by a strided convolution, a residual block, up by Resize, and a second one after the skip is joined."""
    g = Graph("unet-block", "vision")
    side = 16
    sample = g.input("sample", g.normal(1, 16, side, side))
    embedding = g.input("time_embedding", g.normal(1, 32))
    with g.scope("down_blocks.0"):
        with g.scope("downsamplers.0/conv"):
            x = conv(g, sample, 16, 32, [3, 3], stride=2)
    with g.scope("mid_block/resnets.0"):
        x = _resnet(g, x, embedding, 32, 32, side // 2)
    with g.scope("up_blocks.0"):
        with g.scope("upsamplers.0"):
            scales = g.constant([1, 1, 2, 2])
            x = g.op(
                "Resize",
                x,
                "",
                scales,
                coordinate_transformation_mode="asymmetric",
                mode="nearest",
                nearest_mode="floor",
            )
            with g.scope("conv"):
                x = conv(g, x, 32, 32, [3, 3])
        x = g.op("Concat", x, sample, axis=1)
        with g.scope("resnets.0"):
            x = _resnet(g, x, embedding, 48, 16, side)
    with g.scope("conv_norm_out"):
        x = _group_norm(g, x, 16, side)
    with g.scope("conv_act"):
        x = silu(g, x)
    with g.scope("conv_out"):
        g.output("out_sample", conv(g, x, 16, 4, [3, 3]), [1, 4, side, side])
    return g.case()
