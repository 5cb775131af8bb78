"""Writes a GGUF file with the shape of Qwen2.5-0.5B and random weights, in the formats that llama.cpp's Q4_K_M has for it.

Rows of 896 values are no whole blocks of 256, so most matrices are Q5_0. Blocks are random bits under a scale that keeps
products about as large as their inputs, so every row differs and no two tokens have the same logits.
"""

import struct

import numpy as np

LAYERS, HIDDEN, FEED_FORWARD, KEYS, VOCABULARY = 24, 896, 4864, 128, 151_936
HEADS, KEY_HEADS = 14, 2
# Of a block: its number for ggml, values, bytes, and the deviation of its values under a scale of 1.
F32, Q5_0, Q8_0, Q4_K, Q6_K = (0, 1, 4, 1.0), (6, 32, 22, 9.23), (8, 32, 34, 73.9), (12, 256, 144, 168.0), (14, 256, 210, 85.6)
# How far logits lie apart: a trained model is surer than random numbers are.
SURENESS = 3.0
# What a layer adds to what is there. Were it as much as that, 24 layers would be chaos, where the last bit decides the answer.
PART = 0.5
END = VOCABULARY - 1


def matrix(random, n, k, kind, gain=1.0):
    """Rows of random blocks; `gain` times as large as what they are multiplied with."""
    number, values, size, deviation = kind
    blocks = np.frombuffer(random.bytes(n * k // values * size), np.uint8).reshape(-1, size).copy()
    scale = np.float16(gain / np.sqrt(k) / deviation)
    as_bytes = np.frombuffer(scale.tobytes(), np.uint8)
    if kind is Q6_K:
        # Parts of the block are scaled by whole numbers: small ones, as half floats of the block's own scale get inexact else.
        blocks[:, 192:208] = (blocks[:, 192:208].view(np.int8) >> 4).view(np.uint8)
        blocks[:, 208:] = as_bytes
    else:
        blocks[:, :2] = as_bytes
    if kind is Q4_K:
        # The same bits scale a part of the block and move it, so that its mean is about zero.
        blocks[:, 2:4] = np.frombuffer(np.float16(scale * 7.5).tobytes(), np.uint8)
        blocks[:, 8:12] = blocks[:, 4:8]
        blocks[:, 12:16] = (blocks[:, 12:16] & 15) * 17
    return (k, n), number, blocks.tobytes()


def vector(random, n, centre, width=0.1):
    """Numbers around a centre."""
    return (n,), F32[0], (centre + width * (random.random(n) - 0.5)).astype(np.float32).tobytes()


def tensors(random):
    """Every tensor: name, shape, kind, bytes."""
    yield "token_embd.weight", *matrix(random, VOCABULARY, HIDDEN, Q8_0, np.sqrt(HIDDEN))
    # As the embeddings are the last matrix, too, every token would be followed by itself without the signs.
    signs = random.choice([-1, 1], HIDDEN)
    yield "output_norm.weight", *vector(random, HIDDEN, SURENESS / np.sqrt(HIDDEN) * signs, 0.001)
    for layer in range(LAYERS):
        # Half of the layers have more bits for what matters most.
        inner = LAYERS // 8 <= layer < 7 * LAYERS // 8
        more = not inner or (layer - LAYERS // 8) % 3 == 2
        for name, n, k, kind in (
            ("attn_q", HIDDEN, HIDDEN, Q5_0),
            ("attn_k", KEYS, HIDDEN, Q5_0),
            ("attn_v", KEYS, HIDDEN, Q8_0 if more else Q5_0),
            ("attn_output", HIDDEN, HIDDEN, Q5_0),
            ("ffn_gate", FEED_FORWARD, HIDDEN, Q5_0),
            ("ffn_up", FEED_FORWARD, HIDDEN, Q5_0),
            ("ffn_down", HIDDEN, FEED_FORWARD, Q6_K if more else Q4_K),
        ):
            gain = PART if name in ("attn_output", "ffn_down") else 1.0
            yield f"blk.{layer}.{name}.weight", *matrix(random, n, k, kind, gain)
        for name, n, centre in (("attn_norm.weight", HIDDEN, 1), ("ffn_norm.weight", HIDDEN, 1),
                                ("attn_q.bias", HIDDEN, 0), ("attn_k.bias", KEYS, 0), ("attn_v.bias", KEYS, 0)):
            yield f"blk.{layer}.{name}", *vector(random, n, centre)


def vocabulary():
    """The 256 bytes as characters, what JSON is made of, and words of syllables: as many as a real vocabulary has."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = iter(range(256, 512))
    words = [chr(byte if byte in visible else next(hidden)) for byte in range(256)]
    words += ["Ġt", '",', '":', '{"', '["', '"}', '"]', '",Ġ"', '":Ġ"', '"},', '"},Ġ{"', 'Ġ{"', 'Ġ["', "ĊĊ"]
    syllables = [c + v for c in "bdfghjklmnprstvwz" for v in "aeiou"]
    n = 0
    while len(words) < VOCABULARY - 1:
        rest, word = n // 2, ""
        while rest or len(word) < 4:
            rest, at = divmod(rest, len(syllables))
            word += syllables[at]
        words.append(("Ġ" if n % 2 else "") + word)
        n += 1
    return [*words, "<|im_end|>"]


def text(word):
    """Bytes, with their length before them."""
    encoded = word.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def entries():
    """The metadata, entry by entry."""
    def whole(value):
        return struct.pack("<II", 4, value)

    def number(value):
        return struct.pack("<If", 6, value)

    def word(value):
        return struct.pack("<I", 8) + text(value)

    def array(kind, items):
        return struct.pack("<IIQ", 9, kind, len(items)) + b"".join(items)

    words = vocabulary()
    kinds = [struct.pack("<i", 3 if at == END else 1) for at in range(VOCABULARY)]
    return {
        "general.architecture": word("qwen2"),
        "general.name": word("random"),
        "qwen2.context_length": whole(32_768),
        "qwen2.embedding_length": whole(HIDDEN),
        "qwen2.block_count": whole(LAYERS),
        "qwen2.feed_forward_length": whole(FEED_FORWARD),
        "qwen2.attention.head_count": whole(HEADS),
        "qwen2.attention.head_count_kv": whole(KEY_HEADS),
        "qwen2.attention.layer_norm_rms_epsilon": number(1e-6),
        "qwen2.rope.freq_base": number(1e6),
        "tokenizer.ggml.model": word("gpt2"),
        "tokenizer.ggml.pre": word("qwen2"),
        "tokenizer.ggml.tokens": array(8, [text(each) for each in words]),
        "tokenizer.ggml.token_type": array(5, kinds),
        "tokenizer.ggml.merges": array(8, [text("Ġ t")]),
        "tokenizer.ggml.eos_token_id": whole(END),
        "tokenizer.ggml.add_bos_token": struct.pack("<I?", 7, False),
    }


def write(path):
    """Writes the file; gives its size."""
    all_tensors = list(tensors(np.random.default_rng(0)))
    metadata = entries()
    head = b"GGUF" + struct.pack("<IQQ", 3, len(all_tensors), len(metadata))
    head += b"".join(text(key) + value for key, value in metadata.items())
    at = 0
    for name, shape, kind, blob in all_tensors:
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        head += struct.pack("<IQ", kind, at)
        at += -(-len(blob) // 32) * 32
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % 32))
        for _, _, _, blob in all_tensors:
            file.write(blob + bytes(-len(blob) % 32))
        return file.tell()
