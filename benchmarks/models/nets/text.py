"""Text: an encoder in the manner of BERT, and one step of a decoder in the manner of GPT-2."""

import numpy as np

from .graph import Case, Graph
from .layers import (
    attend,
    gelu,
    gelu_tanh,
    gemm,
    join_heads,
    layer_norm,
    layer_norm_primitive,
    linear,
    self_attention,
    split_heads,
)

WIDTH, HEADS, LAYERS = 64, 4, 2


def bert_encoder() -> Case:
    """Embeddings, two layers of masked attention and feed-forward, a pooler. Four of 16 tokens are padding."""
    g = Graph("bert-encoder", "text")
    length, vocabulary, hidden = 16, 512, 128
    real = np.arange(length) < 12
    tokens = g.input("input_ids", np.where(real, g.random.integers(1, vocabulary, (1, length)), 0))
    mask = g.input("attention_mask", real.astype(np.int64)[None])
    segments = g.input("token_type_ids", ((np.arange(length) >= 7) & real).astype(np.int64)[None])

    one = g.constant(1.0)
    mask = g.op("Unsqueeze", g.op("Unsqueeze", mask, g.constant([1], np.int64)), g.constant([2], np.int64))
    mask = g.op("Mul", g.op("Sub", one, g.op("Cast", mask, to=1)), g.constant(-10000.0))

    with g.scope("embeddings"):
        with g.scope("word_embeddings"):
            x = g.op("Gather", g.weight("weight", g.normal(vocabulary, WIDTH)), tokens)
        with g.scope("token_type_embeddings"):
            x = g.op("Add", x, g.op("Gather", g.weight("weight", g.normal(2, WIDTH)), segments))
        with g.scope("position_embeddings"):
            x = g.op("Add", x, g.weight("weight", g.normal(1, length, WIDTH)))
        with g.scope("LayerNorm"):
            x = layer_norm_primitive(g, x, WIDTH)

    for i in range(LAYERS):
        with g.scope(f"encoder/layer.{i}"):
            with g.scope("attention"):
                with g.scope("self"):
                    names = {"query": "query", "key": "key", "value": "value"}
                    attended = self_attention(g, x, length, HEADS, WIDTH, names, mask)
                with g.scope("output/dense"):
                    attended = linear(g, attended, WIDTH, WIDTH)
                with g.scope("output"):
                    x = g.op("Add", attended, x)
                    with g.scope("LayerNorm"):
                        x = layer_norm_primitive(g, x, WIDTH)
            with g.scope("intermediate"):
                with g.scope("dense"):
                    h = linear(g, x, WIDTH, hidden)
                h = gelu(g, h)
            with g.scope("output"):
                with g.scope("dense"):
                    h = linear(g, h, hidden, WIDTH)
                x = g.op("Add", h, x)
                with g.scope("LayerNorm"):
                    x = layer_norm_primitive(g, x, WIDTH)

    with g.scope("pooler"):
        first = g.op("Gather", x, g.constant(0, np.int64), axis=1)
        with g.scope("dense"):
            first = gemm(g, first, WIDTH, WIDTH)
        pooled = g.op("Tanh", first)
    g.output("last_hidden_state", x, [1, length, WIDTH])
    g.output("pooler_output", pooled, [1, WIDTH])
    return g.case()


def gpt_decoder_step() -> Case:
    """One token through two pre-norm layers, with the keys and values of the eight tokens before it."""
    g = Graph("gpt-decoder-step", "text")
    past, vocabulary, hidden, head_width = 8, 256, 128, WIDTH // HEADS
    token = g.input("input_ids", g.random.integers(0, vocabulary, (1, 1)))
    mask = g.input("attention_mask", np.array([[0, 0] + [1] * (past - 1)], np.int64))
    position = g.input("position_ids", np.array([[past - 2]], np.int64))
    caches = [
        [
            g.input(f"past_key_values.{i}.{role}", g.normal(1, HEADS, past, head_width))
            for role in ("key", "value")
        ]
        for i in range(LAYERS)
    ]

    with g.scope("transformer"):
        mask = g.op("Cast", g.op("Unsqueeze", mask, g.constant([1, 2], np.int64)), to=1)
        mask = g.op("Mul", g.op("Sub", g.constant(1.0), mask), g.constant(-10000.0))
        with g.scope("wte"):
            x = g.op("Gather", g.weight("weight", g.normal(vocabulary, WIDTH)), token)
        with g.scope("wpe"):
            positions = g.op("Gather", g.weight("weight", g.normal(32, WIDTH, scale=0.3)), position)
        x = g.op("Add", x, positions)

    presents = []
    for i, (past_key, past_value) in enumerate(caches):
        with g.scope(f"transformer/h.{i}"):
            with g.scope("ln_1"):
                normed = layer_norm(g, x, WIDTH)
            with g.scope("attn"):
                with g.scope("c_attn"):
                    h = linear(g, normed, WIDTH, 3 * WIDTH)
                parts = g.op("Split", h, g.constant([WIDTH] * 3, np.int64), outputs=3, axis=2)
                query, key, value = (split_heads(g, part, 1, HEADS, WIDTH) for part in parts)
                key = g.op("Concat", past_key, key, axis=-2)
                value = g.op("Concat", past_value, value, axis=-2)
                presents.append((key, value))
                h = join_heads(g, attend(g, query, key, value, head_width, mask), 1, WIDTH)
                with g.scope("c_proj"):
                    h = linear(g, h, WIDTH, WIDTH)
            x = g.op("Add", h, x)
            with g.scope("ln_2"):
                h = layer_norm(g, x, WIDTH)
            with g.scope("mlp"):
                with g.scope("c_fc"):
                    h = linear(g, h, WIDTH, hidden)
                with g.scope("act"):
                    h = gelu_tanh(g, h)
                with g.scope("c_proj"):
                    h = linear(g, h, hidden, WIDTH)
            x = g.op("Add", x, h)

    with g.scope("transformer/ln_f"):
        x = layer_norm(g, x, WIDTH)
    with g.scope("lm_head"):
        g.output("logits", linear(g, x, WIDTH, vocabulary, bias=False), [1, 1, vocabulary])
    for i, (key, value) in enumerate(presents):
        g.output(f"present.{i}.key", key, [1, HEADS, past + 1, head_width])
        g.output(f"present.{i}.value", value, [1, HEADS, past + 1, head_width])
    return g.case()
