"""Audio: an encoder in the manner of Whisper, and a recurrent keyword spotter."""

import numpy as np

from .graph import Case, Graph
from .layers import conv, gelu, gemm, layer_norm, pre_norm_layer

WHISPER = {
    "norm1": "self_attn_layer_norm",
    "attention": "self_attn",
    "query": "q_proj",
    "key": "k_proj",
    "key_bias": False,
    "value": "v_proj",
    "out": "self_attn/out_proj",
    "norm2": "final_layer_norm",
    "fc1": "fc1",
    "activation": "activation_fn",
    "fc2": "fc2",
}


def _sinusoids(length: int, width: int) -> np.ndarray:
    """Whisper's fixed position table."""
    steps = np.exp(-np.log(10000.0) * np.arange(width // 2) / (width // 2 - 1))
    angles = np.arange(length)[:, None] * steps[None]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def whisper_encoder() -> Case:
    """64 frames of 40 mel bins: two 1-D convolutions, the second with stride 2, then two pre-norm layers."""
    g = Graph("whisper-encoder", "audio")
    bins, frames, width, layers = 40, 64, 64, 2
    length = frames // 2
    x = g.input("input_features", g.normal(1, bins, frames, scale=0.5))
    with g.scope("conv1"):
        x = conv(g, x, bins, width, [3])
    x = gelu(g, x)
    with g.scope("conv2"):
        x = conv(g, x, width, width, [3], stride=2)
    x = g.op("Transpose", gelu(g, x), perm=[0, 2, 1])
    with g.scope("embed_positions"):
        positions = g.weight("weight", _sinusoids(length, width))
    x = g.op("Add", x, positions)

    for i in range(layers):
        with g.scope(f"layers.{i}"):
            x = pre_norm_layer(g, x, length, WHISPER)
    with g.scope("layer_norm"):
        g.output("last_hidden_state", layer_norm(g, x, width), [1, length, width])
    return g.case()


def _lstm_layer(g: Graph, x: str, inputs: int, hidden: int, direction: str) -> tuple[str, str]:
    """One LSTM layer over [steps, 1, inputs]; returns the whole sequence and the last hidden state."""
    ways = 2 if direction == "bidirectional" else 1
    scale = hidden**-0.5
    w = g.weight("weight_ih", g.normal(ways, 4 * hidden, inputs, scale=scale))
    r = g.weight("weight_hh", g.normal(ways, 4 * hidden, hidden, scale=scale))
    b = g.weight("bias", g.normal(ways, 8 * hidden, scale=0.1))
    start = g.constant(np.zeros((ways, 1, hidden)))
    y, last, _ = g.op("LSTM", x, w, r, b, "", start, start, outputs=3, direction=direction, hidden_size=hidden)
    return y, last


def lstm() -> Case:
    """16 frames of 16 features through a bidirectional and a forward LSTM layer, to twelve keywords."""
    g = Graph("lstm", "audio")
    frames, features, hidden = 16, 16, 32
    x = g.input("features", g.normal(1, frames, features))
    x = g.op("Transpose", x, perm=[1, 0, 2])
    with g.scope("lstm/layers.0"):
        y, _ = _lstm_layer(g, x, features, hidden, "bidirectional")
        y = g.op("Reshape", g.op("Transpose", y, perm=[0, 2, 1, 3]), g.constant([frames, 1, 2 * hidden], np.int64))
    with g.scope("lstm/layers.1"):
        _, last = _lstm_layer(g, y, 2 * hidden, hidden, "forward")
        last = g.op("Squeeze", last, g.constant([0], np.int64))
    with g.scope("classifier"):
        logits = gemm(g, last, hidden, 12)
    g.output("keywords", g.op("LogSoftmax", logits, axis=-1), [1, 12])
    return g.case()
