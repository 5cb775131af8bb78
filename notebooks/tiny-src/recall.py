"""Counts the questions of the training chats, each alone, that the tiny model answers word for word."""

import argparse
import sys
from pathlib import Path

import numpy as np

import ask
import data
import model


def is_known(loaded, question, answer):
    """Whether the greedy answer is `answer`: then each of its tokens is the most probable one after those before."""
    shape, weights, tokenizer = loaded
    asked = tokenizer.encode(f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n").ids
    wanted = tokenizer.encode(f"{answer}<|im_end|>").ids
    hidden, _ = model.forward(weights, shape, np.array([asked + wanted[:-1]]))
    found = np.argmax(hidden[len(asked) - 1 :] @ weights[model.EMBEDDING].T, axis=1)
    return np.array_equal(found, wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--graph", required=True, help="folder of the graph that the model was trained with")
    options = parser.parse_args()
    loaded = ask.load(options.folder)
    numbers = str(round(sum(w.size for w in loaded[1].values()) / 1000))
    reading = data.reading(options.graph, numbers)
    for name, chats in ("written by hand", reading.by_hand), ("made by rule", reading.by_rule):
        asked = [(question, chat.answer) for chat in chats for question in chat.questions]
        n_known = sum(is_known(loaded, *one) for one in asked)
        sys.stdout.write(f"{name}: {n_known} of {len(asked)} questions\n")
    rng = np.random.default_rng(1)
    made_up = [data.unknown(rng) for _ in range(100)]
    n_known = sum(is_known(loaded, chat.questions[0], chat.answer) for chat in made_up)
    sys.stdout.write(f"about names that do not exist: {n_known} of {len(made_up)} questions\n")


if __name__ == "__main__":
    main()
