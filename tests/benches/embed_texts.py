"""Measures ONNX Runtime (f32) on a BERT directory: embed_texts.py MODEL_DIRECTORY TEXTS [THREADS] [ROUNDS].

Builds the graph from the safetensors with ONNX Runtime's own fused operators (EmbedLayerNormalization, Attention,
SkipLayerNormalization, BiasGelu), and feeds it twice: groups of equal length, which need no padding (its best case), and
batches of 32 sorted by length, padded to the longest. Prints one JSON line each, and the largest difference between both.
Needs: onnxruntime onnx numpy safetensors tokenizers.
"""
import json
import sys
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer


def graph(directory):
    config = json.load(open(f"{directory}/config.json"))
    w = load_file(f"{directory}/model.safetensors")
    heads, eps = config["num_attention_heads"], config["layer_norm_eps"]
    inits, nodes = [], []

    def const(name, array):
        inits.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(op, inputs, outputs, **attributes):
        domain = "" if op in ("MatMul",) else "com.microsoft"
        nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))

    e = "embeddings."
    node("EmbedLayerNormalization",
         ["ids", "segments", const("word", w[e + "word_embeddings.weight"]), const("pos", w[e + "position_embeddings.weight"]),
          const("seg", w[e + "token_type_embeddings.weight"]), const("eg", w[e + "LayerNorm.weight"]),
          const("eb", w[e + "LayerNorm.bias"]), "mask"], ["x0", "lengths"], epsilon=eps)
    for i in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{i}."
        qkv = [p + f"attention.self.{part}" for part in ("query", "key", "value")]
        node("Attention", [f"x{i}", const(f"qkv{i}", np.concatenate([w[q + ".weight"].T for q in qkv], 1)),
                           const(f"qkvb{i}", np.concatenate([w[q + ".bias"] for q in qkv])), "lengths"], [f"a{i}"], num_heads=heads)
        node("MatMul", [f"a{i}", const(f"o{i}", w[p + "attention.output.dense.weight"].T)], [f"ao{i}"])
        node("SkipLayerNormalization",
             [f"ao{i}", f"x{i}", const(f"g1{i}", w[p + "attention.output.LayerNorm.weight"]),
              const(f"b1{i}", w[p + "attention.output.LayerNorm.bias"]), const(f"ob{i}", w[p + "attention.output.dense.bias"])],
             [f"y{i}"], epsilon=eps)
        node("MatMul", [f"y{i}", const(f"u{i}", w[p + "intermediate.dense.weight"].T)], [f"m{i}"])
        node("BiasGelu", [f"m{i}", const(f"ub{i}", w[p + "intermediate.dense.bias"])], [f"h{i}"])
        node("MatMul", [f"h{i}", const(f"d{i}", w[p + "output.dense.weight"].T)], [f"f{i}"])
        node("SkipLayerNormalization",
             [f"f{i}", f"y{i}", const(f"g2{i}", w[p + "output.LayerNorm.weight"]), const(f"b2{i}", w[p + "output.LayerNorm.bias"]),
              const(f"db{i}", w[p + "output.dense.bias"])], [f"x{i + 1}"], epsilon=eps)
    shape = ["batch", "tokens"]
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT32, shape) for n in ("ids", "segments", "mask")]
    last = f"x{config['num_hidden_layers']}"
    outputs = [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape + [config["hidden_size"]])]
    model = helper.make_model(helper.make_graph(nodes, "bert", inputs, outputs, inits),
                              opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8)
    return model.SerializeToString()


def run(session, batches, n):
    rows = [None] * n
    for members, ids, mask in batches:
        x = session.run(None, {"ids": ids, "segments": np.zeros_like(ids), "mask": mask})[0]
        m = mask[:, :, None].astype(np.float32)
        v = (x * m).sum(1) / m.sum(1)
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        for i, row in zip(members, v):
            rows[i] = row
    return np.array(rows)


def main():
    directory, file = sys.argv[1:3]
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    texts = open(file, encoding="utf-8").read().splitlines()
    tokenizer = Tokenizer.from_file(f"{directory}/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(graph(directory), options, providers=["CPUExecutionProvider"])

    def padded():
        ids = [e.ids for e in tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for start in range(0, len(order), 32):
            members = order[start:start + 32]
            width = max(len(ids[i]) for i in members)
            block = np.zeros((len(members), width), np.int32)
            mask = np.zeros_like(block)
            for row, i in enumerate(members):
                block[row, :len(ids[i])] = ids[i]
                mask[row, :len(ids[i])] = 1
            yield members, block, mask

    def equal():
        ids = [e.ids for e in tokenizer.encode_batch(texts)]
        groups = {}
        for i, one in enumerate(ids):
            groups.setdefault(len(one), []).append(i)
        for width, group in sorted(groups.items()):
            step = max(1, 512 // width)
            for start in range(0, len(group), step):
                members = group[start:start + step]
                block = np.array([ids[i] for i in members], np.int32)
                yield members, block, np.ones_like(block)

    n_tokens = sum(len(e.ids) for e in tokenizer.encode_batch(texts))
    results = []
    for name, batches in (("equal lengths", equal), ("sorted, padded", padded)):
        wall, cpu = [], []
        for _ in range(rounds):
            start, start_cpu = time.perf_counter(), time.process_time()
            rows = run(session, batches(), len(texts))
            wall.append(time.perf_counter() - start)
            cpu.append(time.process_time() - start_cpu)
        results.append(rows)
        median, median_cpu = sorted(wall)[rounds // 2], sorted(cpu)[rounds // 2]
        print(json.dumps({"engine": f"onnxruntime {ort.__version__}, {name}", "threads": threads, "texts": len(texts),
                          "tokens": n_tokens, "median_s": round(median, 3), "cpu_s": round(median_cpu, 3),
                          "tokens_per_s": round(n_tokens / median), "tokens_per_cpu_s": round(n_tokens / median_cpu)}))
    print("largest difference", float(np.abs(results[0] - results[1]).max()))
    if len(sys.argv) > 5:
        np.save(sys.argv[5], results[0])


if __name__ == "__main__":
    main()
