"""Multimodal: an image and a text, each through its own tower to one space, in the manner of CLIP."""

import numpy as np

from .graph import Case, Graph
from .layers import layer_norm, linear, patches, pre_norm_layer, quick_gelu

WIDTH, SHARED = 64, 32

CLIP = {
    "norm1": "layer_norm1",
    "attention": "self_attn",
    "query": "q_proj",
    "key": "k_proj",
    "value": "v_proj",
    "out": "self_attn/out_proj",
    "norm2": "layer_norm2",
    "fc1": "mlp/fc1",
    "activation": "mlp/activation_fn",
    "fc2": "mlp/fc2",
}


def _image_tower(g: Graph, x: str, side: int, patch: int) -> str:
    """The embedding of the class token after one layer."""
    length = (side // patch) ** 2 + 1
    with g.scope("vision_model/embeddings"):
        with g.scope("patch_embedding"):
            x = patches(g, x, side, patch, WIDTH, bias=False)
        x = g.op("Concat", g.weight("class_embedding", g.normal(1, 1, WIDTH)), x, axis=1)
        x = g.op("Add", x, g.weight("position_embedding.weight", g.normal(1, length, WIDTH, scale=0.3)))
    with g.scope("vision_model/pre_layrnorm"):
        x = layer_norm(g, x, WIDTH)
    with g.scope("vision_model/encoder/layers.0"):
        x = pre_norm_layer(g, x, length, CLIP, activation=quick_gelu)
    with g.scope("vision_model"):
        x = g.op("Gather", x, g.constant(0, np.int64), axis=1)
        with g.scope("post_layernorm"):
            return layer_norm(g, x, WIDTH)


def _text_tower(g: Graph, tokens: str, length: int, vocabulary: int) -> str:
    """The embedding of the last token after one causal layer."""
    with g.scope("text_model/embeddings"):
        with g.scope("token_embedding"):
            x = g.op("Gather", g.weight("weight", g.normal(vocabulary, WIDTH)), tokens)
        x = g.op("Add", x, g.weight("position_embedding.weight", g.normal(1, length, WIDTH, scale=0.3)))
    with g.scope("text_model"):
        causal = g.constant(np.triu(np.full((1, 1, length, length), -10000.0), 1))
    with g.scope("text_model/encoder/layers.0"):
        x = pre_norm_layer(g, x, length, CLIP, activation=quick_gelu, mask=causal)
    with g.scope("text_model"):
        with g.scope("final_layer_norm"):
            x = layer_norm(g, x, WIDTH)
        return g.op("Gather", x, g.constant(length - 1, np.int64), axis=1)


def _unit(g: Graph, x: str) -> str:
    """The vector, scaled to the length of one."""
    return g.op("Div", x, g.op("ReduceL2", x, axes=[-1], keepdims=1))


def clip() -> Case:
    """A 32 × 32 image and eight tokens, their embeddings, and how well they go together."""
    g = Graph("clip", "multimodal")
    side, patch, length, vocabulary = 32, 8, 8, 128
    pixels = g.input("pixel_values", g.normal(1, 3, side, side))
    tokens = g.input("input_ids", g.random.integers(0, vocabulary, (1, length)))
    image, text = _image_tower(g, pixels, side, patch), _text_tower(g, tokens, length, vocabulary)
    with g.scope("visual_projection"):
        image = linear(g, image, WIDTH, SHARED, bias=False)
    with g.scope("text_projection"):
        text = linear(g, text, WIDTH, SHARED, bias=False)
    image, text = _unit(g, image), _unit(g, text)
    logits = g.op("MatMul", g.op("Mul", image, g.constant(5.0)), g.op("Transpose", text, perm=[1, 0]))
    g.output("logits_per_image", logits, [1, 1])
    g.output("image_embeds", image, [1, SHARED])
    g.output("text_embeds", text, [1, SHARED])
    return g.case()
