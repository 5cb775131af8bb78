"""A Llama-architecture decoder in numpy with its gradients written out, for models of some hundred thousand numbers."""

from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class Shape:
    """What `config.json` of a Llama says about sizes; the embedding is also the last layer."""

    vocab_size: int = 768
    hidden_size: int = 128
    intermediate_size: int = 128
    num_hidden_layers: int = 3
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    max_position_embeddings: int = 512
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5

    @property
    def head_dim(self):
        return self.hidden_size // self.num_attention_heads

    def config(self):
        return asdict(self)


EMBEDDING = "model.embed_tokens.weight"
LAST_NORM = "model.norm.weight"


def weights(shape, rng):
    """New weights under their names in a Llama checkpoint; matrices are outputs x inputs, as there."""
    d, f = shape.hidden_size, shape.intermediate_size
    kv = shape.num_key_value_heads * shape.head_dim

    def random(rows, columns):
        return (rng.standard_normal((rows, columns)) / np.sqrt(columns)).astype(np.float32)

    w = {EMBEDDING: (rng.standard_normal((shape.vocab_size, d)) * 0.05).astype(np.float32)}
    for i in range(shape.num_hidden_layers):
        layer = f"model.layers.{i}."
        w[layer + "input_layernorm.weight"] = np.ones(d, np.float32)
        w[layer + "self_attn.q_proj.weight"] = random(d, d)
        w[layer + "self_attn.k_proj.weight"] = random(kv, d)
        w[layer + "self_attn.v_proj.weight"] = random(kv, d)
        w[layer + "post_attention_layernorm.weight"] = np.ones(d, np.float32)
        w[layer + "mlp.gate_proj.weight"] = random(f, d)
        w[layer + "mlp.up_proj.weight"] = random(f, d)
        # What adds to the residual stream begins at nothing, so that a deep network starts as a shallow one.
        w[layer + "self_attn.o_proj.weight"] = np.zeros((d, d), np.float32)
        w[layer + "mlp.down_proj.weight"] = np.zeros((d, f), np.float32)
    w[LAST_NORM] = np.ones(d, np.float32)
    return w


def rms_norm(x, gain, eps):
    scale = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)
    unit = x * scale
    return unit * gain, (unit, scale)


def rms_norm_back(dy, gain, kept):
    unit, scale = kept
    du = dy * gain
    dx = scale * (du - unit * np.mean(du * unit, axis=-1, keepdims=True))
    return dx, np.sum(dy * unit, axis=0)


def angles(shape, n):
    """Cosines and sines of the rotary positions 0..n, each n x (head_dim / 2)."""
    half = shape.head_dim // 2
    frequencies = shape.rope_theta ** (-np.arange(half) / half)
    turn = np.outer(np.arange(n), frequencies)
    return np.cos(turn).astype(np.float32), np.sin(turn).astype(np.float32)


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def softmax(scores):
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


class Attention:
    """Causal attention whose query heads share key and value heads in groups; also keeps what its gradient needs."""

    def __init__(self, shape, n_rows, n):
        self.shape, self.rows, self.n = shape, n_rows, n
        self.groups = shape.num_attention_heads // shape.num_key_value_heads
        self.cos, self.sin = angles(shape, n)
        hidden = np.triu(np.full((n, n), -1e9, np.float32), 1)
        self.mask = np.tile(hidden, (self.groups, 1))
        self.scale = np.float32(shape.head_dim**-0.5)

    def split(self, x):
        """Rows of tokens to (row, head, token, dimension)."""
        return x.reshape(self.rows, self.n, -1, self.shape.head_dim).transpose(0, 2, 1, 3)

    def join(self, x):
        return np.ascontiguousarray(x.transpose(0, 2, 1, 3)).reshape(self.rows * self.n, -1)

    def by_group(self, q):
        """Query heads of one key head stand below each other, so that one product serves them all."""
        kv = self.shape.num_key_value_heads
        return np.ascontiguousarray(q).reshape(self.rows, kv, self.groups * self.n, self.shape.head_dim)

    def by_head(self, q):
        return q.reshape(self.rows, -1, self.n, self.shape.head_dim)

    def forward(self, q, k, v):
        q = self.by_group(rotate(self.split(q), self.cos, self.sin) * self.scale)
        k = rotate(self.split(k), self.cos, self.sin)
        v = np.ascontiguousarray(self.split(v))
        p = softmax(q @ k.swapaxes(-1, -2) + self.mask)
        return self.join(self.by_head(p @ v)), (q, k, v, p)

    def backward(self, dy, kept):
        q, k, v, p = kept
        dy = self.by_group(self.split(dy))
        dv = p.swapaxes(-1, -2) @ dy
        dp = dy @ v.swapaxes(-1, -2)
        dp -= np.sum(dp * p, axis=-1, keepdims=True)
        dp *= p
        dq = rotate(self.by_head(dp @ k), self.cos, -self.sin) * self.scale
        dk = rotate(dp.swapaxes(-1, -2) @ q, self.cos, -self.sin)
        return self.join(dq), self.join(dk), self.join(dv)


def layer_forward(w, layer, x, attention, eps):
    h, norm1 = rms_norm(x, w[layer + "input_layernorm.weight"], eps)
    q, k, v = (h @ w[f"{layer}self_attn.{name}_proj.weight"].T for name in "qkv")
    mixed, attended = attention.forward(q, k, v)
    x = x + mixed @ w[layer + "self_attn.o_proj.weight"].T
    g, norm2 = rms_norm(x, w[layer + "post_attention_layernorm.weight"], eps)
    gate = g @ w[layer + "mlp.gate_proj.weight"].T
    up = g @ w[layer + "mlp.up_proj.weight"].T
    sigmoid = 1 / (1 + np.exp(-gate))
    inner = gate * sigmoid * up
    x = x + inner @ w[layer + "mlp.down_proj.weight"].T
    return x, (h, norm1, mixed, attended, g, norm2, gate, up, sigmoid, inner)


def layer_backward(w, layer, dx, kept, attention, grads):
    h, norm1, mixed, attended, g, norm2, gate, up, sigmoid, inner = kept

    def linear(name, dy, x):
        name = f"{layer}{name}_proj.weight"
        grads[name] = dy.T @ x
        return dy @ w[name]

    def norm(name, dy, kept):
        name = f"{layer}{name}_layernorm.weight"
        back, grads[name] = rms_norm_back(dy, w[name], kept)
        return back

    d_inner = linear("mlp.down", dx, inner)
    swish = gate * sigmoid
    d_gate = d_inner * up * (sigmoid + swish * (1 - sigmoid))
    dg = linear("mlp.gate", d_gate, g) + linear("mlp.up", d_inner * swish, g)
    dx = dx + norm("post_attention", dg, norm2)
    d_mixed = linear("self_attn.o", dx, mixed)
    dq, dk, dv = attention.backward(d_mixed, attended)
    dh = linear("self_attn.q", dq, h) + linear("self_attn.k", dk, h) + linear("self_attn.v", dv, h)
    return dx + norm("input", dh, norm1)


def forward(w, shape, ids):
    """The last hidden states of rows of tokens, one row of the result a token, and what gradients need."""
    attention = Attention(shape, *ids.shape)
    x = w[EMBEDDING][ids.ravel()]
    kept = []
    for i in range(shape.num_hidden_layers):
        x, of_layer = layer_forward(w, f"model.layers.{i}.", x, attention, shape.rms_norm_eps)
        kept.append(of_layer)
    y, last = rms_norm(x, w[LAST_NORM], shape.rms_norm_eps)
    return y, (attention, kept, last)


def loss_and_gradients(w, shape, ids, targets, share):
    """Mean cross-entropy in nats of `targets` (rows x tokens) weighed by `share`, and its gradient for each weight."""
    y, (attention, kept, last) = forward(w, shape, ids)
    p = softmax(y @ w[EMBEDDING].T)
    targets, share = targets.ravel(), share.ravel() / share.sum()
    at = np.arange(targets.size)
    loss = float(-(np.log(p[at, targets] + 1e-20) * share).sum())
    p[at, targets] -= 1
    p *= share[:, None]
    grads = {EMBEDDING: p.T @ y}
    dx, grads[LAST_NORM] = rms_norm_back(p @ w[EMBEDDING], w[LAST_NORM], last)
    for i in reversed(range(shape.num_hidden_layers)):
        dx = layer_backward(w, f"model.layers.{i}.", dx, kept[i], attention, grads)
    np.add.at(grads[EMBEDDING], ids.ravel(), dx)
    return loss, grads


def greedy(w, shape, ids, stops, most):
    """The tokens that most probably follow `ids`, one after the other, without the one in `stops` that ends them."""
    out = []
    while len(out) < most and len(ids) + len(out) < shape.max_position_embeddings:
        y, _ = forward(w, shape, np.array([[*ids, *out]]))
        token = int(np.argmax(w[EMBEDDING] @ y[-1]))
        if token in stops:
            break
        out.append(token)
    return out
