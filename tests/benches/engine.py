"""Our engine and llama.cpp on the same random GGUF, in turns: engine.py WORKER FOLDER [MINILM] [PART…] [OPTION=…].

Two threads on either side. What one of them does not measure while the other does, it spends waiting. The file has the shape of
Qwen2.5-0.5B and is written here. Options go to the worker: `--instructions=avx2`, beside a llama.cpp that was built without AVX-512.
Needs: llama-cpp-python numpy, and onnxruntime onnx safetensors tokenizers for the embeddings.
"""

import os
import sys
from pathlib import Path

# Threads of OpenMP that wait in a loop wait for whoever else has the core: llama.cpp is three times as slow with them here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import engine_model
import engine_oracle
import engine_parts as parts
from engine_llama import Llama
from engine_worker import Worker

SLOTS, CACHE = 16, 512 << 20
ALL = ("oracle", "decode", "prefill", "clients", "extraction", "waits", "schema", "memory", "embeddings")


def decoder(program, folder, wanted, options, report):
    """All that is measured of a model that writes."""
    path = os.path.join(folder, "random.gguf")
    if not os.path.exists(path):
        engine_model.write(path)
    with Worker(program, path, "--slots", str(SLOTS), "--cache-bytes", str(CACHE), "--context", "4096", *options) as worker:
        llama = Llama(path, 1)
        report.line("start to ready, file in memory", worker.ready_s, llama.load_s, "s", "–")
        if "oracle" in wanted:
            engine_oracle.agreement(worker, llama, report)
        if "decode" in wanted:
            parts.decoding(worker, llama, report)
        if "prefill" in wanted:
            parts.prefilling(worker, llama, report)
        if "clients" in wanted:
            for n_clients in (8, 16):
                parts.clients(worker, Llama(path, n_clients), n_clients, report)
        if "extraction" in wanted:
            for chunk, answer in ((64, 32), (192, 54)):
                parts.extraction(worker, report, chunk, answer)
        if "waits" in wanted:
            parts.whoever_waits(worker, report)
        if "schema" in wanted:
            parts.constrained(worker, report)
        if "memory" in wanted:
            parts.memory(worker, path, CACHE, report)


def main():
    program, folder, *rest = sys.argv[1:]
    options = [word for word in rest if word.startswith("--")]
    rest = [word for word in rest if word not in options]
    model = rest[0] if rest and Path(rest[0]).is_dir() else None
    wanted = rest[1 if model else 0:] or ALL
    report = parts.Report()
    report.say(f"{'':50} {'ours':>9} {'other':>9}")
    if set(wanted) - {"embeddings"}:
        decoder(program, folder, wanted, options, report)
    if "embeddings" in wanted and model:
        with Worker(program, model) as worker:
            parts.embeddings(worker, model, folder, report)


if __name__ == "__main__":
    main()
