"""Asks the tiny model from its folder, in float32, always taking the most probable token."""

import argparse
import json
import sys
from pathlib import Path

import ml_dtypes  # noqa: F401  (teaches numpy the name bfloat16)
import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

import model


def load(folder):
    """The sizes, weights and tokenizer in `folder`."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    shape = model.Shape(**{name: config[name] for name in model.Shape().config()})
    weights = {name: w.astype(np.float32) for name, w in load_file(folder / "model.safetensors").items()}
    return shape, weights, Tokenizer.from_file(str(folder / "tokenizer.json"))


def ask(loaded, question, most=100):
    shape, weights, tokenizer = loaded
    ids = tokenizer.encode(f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n").ids
    stops = {tokenizer.token_to_id("<|im_end|>"), tokenizer.token_to_id("<|endoftext|>")}
    return tokenizer.decode(model.greedy(weights, shape, ids, stops, most))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("questions", nargs="+")
    options = parser.parse_args()
    loaded = load(options.folder)
    for question in options.questions:
        sys.stdout.write(f"{question}\n  {ask(loaded, question)}\n")
