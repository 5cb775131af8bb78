"""The random model in 32-bit floats, straight from its definition: what both engines come close to, as they round activations."""

import numpy as np

from engine_model import HEADS, HIDDEN, KEYS, KEY_HEADS, LAYERS, Q4_K, Q5_0, Q6_K, Q8_0, tensors

HEAD = HIDDEN // HEADS


def numbers(shape, kind, blob):
    """A tensor's values, as ggml's reference code reads its blocks."""
    read = {Q8_0[0]: eights, Q5_0[0]: fives, Q4_K[0]: fours, Q6_K[0]: sixes}.get(kind)
    if read is None:
        return np.frombuffer(blob, np.float32)
    size = {each[0]: each[2] for each in (Q8_0, Q5_0, Q4_K, Q6_K)}[kind]
    blocks = np.frombuffer(blob, np.uint8).reshape(-1, size)
    return read(blocks).astype(np.float32, copy=False).reshape(shape[::-1])


def half(pair):
    return np.ascontiguousarray(pair).view(np.float16).astype(np.float32)


def eights(blocks):
    return half(blocks[:, :2]) * np.ascontiguousarray(blocks[:, 2:]).view(np.int8)


def fives(blocks):
    high = np.unpackbits(blocks[:, 2:6], axis=1, bitorder="little")
    low = np.concatenate([blocks[:, 6:] & 15, blocks[:, 6:] >> 4], 1)
    return half(blocks[:, :2]) * ((low | high << 4).astype(np.float32) - 16)


def fours(blocks):
    s, bits = blocks[:, 4:16], blocks[:, 16:].reshape(-1, 4, 32)
    scale = np.concatenate([s[:, :4] & 63, s[:, 8:] & 15 | s[:, :4] >> 6 << 4], 1)
    least = np.concatenate([s[:, 4:8] & 63, s[:, 8:] >> 4 | s[:, 4:8] >> 6 << 4], 1)
    values = np.stack([bits & 15, bits >> 4], 2).reshape(-1, 8, 32)
    d, dmin = half(blocks[:, :2]), half(blocks[:, 2:4])
    return (d * scale)[:, :, None] * values - (dmin * least)[:, :, None]


def sixes(blocks):
    low, high = blocks[:, :128].reshape(-1, 2, 2, 32), blocks[:, 128:192].reshape(-1, 2, 1, 32)
    low = np.concatenate([low & 15, low >> 4], 2)
    high = np.concatenate([high >> shift & 3 for shift in (0, 2, 4, 6)], 2)
    scale = np.ascontiguousarray(blocks[:, 192:208]).view(np.int8).repeat(16, 1)
    return half(blocks[:, 208:]) * scale * ((low | high << 4).reshape(-1, 256).astype(np.float32) - 32)


class Exact:
    """All weights in memory: 2 GB."""

    def __init__(self):
        made = tensors(np.random.default_rng(0))
        self.weights = {name: numbers(shape, kind, blob) for name, shape, kind, blob in made}

    def logits(self, tokens, last):
        """Of the last rows, `last` of them."""
        x, n = self.weights["token_embd.weight"][tokens], len(tokens)
        angles = np.outer(np.arange(n), 1e6 ** (-np.arange(0, HEAD, 2) / HEAD))
        turn = np.cos(angles)[:, None].astype(np.float32), np.sin(angles)[:, None].astype(np.float32)
        hidden = np.triu(np.full((n, n), -np.inf, np.float32), 1)
        for layer in range(LAYERS):
            x = self.layer(f"blk.{layer}.", x, turn, hidden)
        return normal(x[-last:], self.weights["output_norm.weight"]) @ self.weights["token_embd.weight"].T

    def layer(self, at, x, turn, hidden):
        """One layer, as Qwen2 has it."""
        def times(rows, name):
            return rows @ self.weights[f"{at}{name}.weight"].T + self.weights.get(f"{at}{name}.bias", 0)

        rows = normal(x, self.weights[at + "attn_norm.weight"])
        q = turned(times(rows, "attn_q").reshape(-1, HEADS, HEAD), turn)
        k = turned(times(rows, "attn_k").reshape(-1, KEY_HEADS, HEAD), turn).repeat(HEADS // KEY_HEADS, 1)
        v = times(rows, "attn_v").reshape(-1, KEY_HEADS, KEYS // KEY_HEADS).repeat(HEADS // KEY_HEADS, 1)
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(HEAD) + hidden
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        x = x + times(np.einsum("hqk,khd->qhd", scores, v).reshape(-1, HIDDEN), "attn_output")
        rows = normal(x, self.weights[at + "ffn_norm.weight"])
        gate = times(rows, "ffn_gate")
        return x + times(gate / (1 + np.exp(-gate)) * times(rows, "ffn_up"), "ffn_down")


def normal(x, weight):
    """Root mean square 1, then scaled."""
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * weight


def turned(x, turn):
    """Rotary positions, halves against each other."""
    cos, sin = turn
    a, b = x[..., :HEAD // 2], x[..., HEAD // 2:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)
