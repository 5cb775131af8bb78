"""Trains the tiny model and writes its folder; the same seed and the same numpy give the same weights."""

import argparse
import json
import pickle
import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

import data
import model

SEED = 17
ROW = 192
ROWS = 8
STARTS, ENDS, TEXT_ENDS = SPECIALS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
# How much a token of an article counts beside one of an answer.
ARTICLE_SHARE = 0.5
MATRIX_RATE, VECTOR_RATE = 0.02, 0.004
WARM_UP = 20
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def main():
    options = arguments()
    shape = model.Shape()
    rng = np.random.default_rng(SEED)
    weights = model.weights(shape, rng)
    numbers = str(round(sum(w.size for w in weights.values()) / 1000))
    reading = data.reading(options.graph, numbers)
    tokenizer = tokenizer_of(reading, shape.vocab_size)
    training = Training(shape, weights, rng, Rows(reading, tokenizer, rng), options.rules_from)
    if options.state.exists():
        training.restore(options.state)
    began = time.process_time()
    while training.step < options.steps:
        loss = training.take(min(1.0, (options.steps - training.step) / options.decay))
        if training.step % 20 == 0:
            spent = time.process_time() - began
            sys.stderr.write(f"step {training.step} loss {loss:.3f} epoch {training.rows.epoch} {spent:.0f} s\n")
        if training.step % 100 == 0 and options.steps - training.step >= options.decay:
            training.keep(options.state)
    write(options.out, shape, rounded(training.weights), tokenizer)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graph", required=True, help="folder of the graph that `%%kg build docs --as kg` stored")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model, to be written")
    parser.add_argument("--steps", type=int, default=500, help="steps in all")
    parser.add_argument("--decay", type=int, default=200, help="last steps, over which the rate falls to nothing")
    parser.add_argument("--rules-from", type=int, default=200, help="step from which on chats made by rule join the written ones")
    parser.add_argument("--state", type=Path, default=Path("training.state"), help="file to go on from")
    return parser.parse_args()


def tokenizer_of(reading, n_tokens):
    """Byte pairs of the articles and of the chats written by hand."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=n_tokens,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIALS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = [text for _, text in reading.articles]
    texts += [part for chat in reading.by_hand for part in (*chat.questions, chat.answer)]
    texts += ["user\nassistant\nsystem\n"] * 50 + data.SYSTEMS * 10
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


class Rows:
    """Rows of tokens without end: in each epoch every chat, in a new order and phrasing, and some of each article.

    `by_rule` are the chats that join those written by hand.
    """

    def __init__(self, reading, tokenizer, rng):
        self.reading, self.tokenizer, self.rng = reading, tokenizer, rng
        self.articles = [[*self.ids(f"{title}\n\n{text}"), *self.ids(TEXT_ENDS)] for title, text in reading.articles]
        self.epoch, self.left, self.by_rule = 0, [], []

    def ids(self, text):
        return self.tokenizer.encode(text).ids

    def batch(self):
        while len(self.left) < ROWS:
            self.left += self.of_epoch()
            self.epoch += 1
        rows, self.left = self.left[:ROWS], self.left[ROWS:]
        ids = np.full((ROWS, ROW + 1), self.tokenizer.token_to_id(TEXT_ENDS))
        share = np.zeros((ROWS, ROW + 1), np.float32)
        for i, (tokens, shares) in enumerate(rows):
            ids[i, : len(tokens)], share[i, : len(tokens)] = tokens, shares
        return ids[:, :-1], ids[:, 1:], share[:, 1:]

    def of_epoch(self):
        rng, reading = self.rng, self.reading
        chats = reading.by_hand * 2 + reading.by_hand[:9] + self.by_rule + [reading.by_hand[-1]] * 8
        chats += [data.unknown(rng) for _ in range(20)]
        rows = list(self.conversations([chats[i] for i in rng.permutation(len(chats))]))
        for article in self.articles:
            begin = int(rng.integers(max(1, len(article) - ROW // 2)))
            tokens = article[begin : begin + ROW + 1]
            rows.append((tokens, [ARTICLE_SHARE] * len(tokens)))
        return [rows[i] for i in rng.permutation(len(rows))]

    def conversations(self, chats):
        """Chats one after the other as turns of a conversation, as many as a row holds; only answers are learned."""
        tokens, shares = [], []
        for chat in chats:
            question = f"{STARTS}user\n{data.way_to_ask(chat, self.rng)}{ENDS}\n{STARTS}assistant\n"
            asked, answered, after = self.ids(question), self.ids(chat.answer + ENDS), self.ids("\n")
            if tokens and len(tokens) + len(asked) + len(answered) > ROW:
                yield tokens[: ROW + 1], shares[: ROW + 1]
                tokens, shares = [], []
            if not tokens and self.rng.random() < 0.2:
                system = data.SYSTEMS[self.rng.integers(len(data.SYSTEMS))]
                tokens = self.ids(f"{STARTS}system\n{system}{ENDS}\n")
                shares = [0] * len(tokens)
            tokens = tokens + asked + answered + after
            shares = shares + [0] * len(asked) + [1] * len(answered) + [0] * len(after)
        yield tokens[: ROW + 1], shares[: ROW + 1]


class Training:
    """Weights on their way: matrices by Muon (Jordan 2024), the embedding and the norms by Adam (Kingma 2015)."""

    def __init__(self, shape, weights, rng, rows, rules_from):
        self.shape, self.weights, self.rng, self.rows, self.step = shape, weights, rng, rows, 0
        self.rules_from = rules_from
        self.first = {name: np.zeros_like(w) for name, w in weights.items()}
        self.second = {name: np.zeros_like(w) for name, w in weights.items() if not by_muon(name)}

    def take(self, rate):
        """One step at `rate` of the full rates; gives the loss before it."""
        if self.step >= self.rules_from:
            self.rows.by_rule = self.rows.reading.by_rule
        loss, grads = model.loss_and_gradients(self.weights, self.shape, *self.rows.batch())
        self.step += 1
        rate *= min(1.0, self.step / WARM_UP)
        for name, grad in grads.items():
            if by_muon(name):
                self.weights[name] -= np.float32(rate * MATRIX_RATE) * self.turned(name, grad)
            else:
                self.weights[name] -= np.float32(rate * VECTOR_RATE) * self.scaled(name, grad)
        return loss

    def turned(self, name, grad):
        kept = self.first[name]
        kept *= np.float32(0.95)
        kept += grad
        rows, columns = grad.shape
        return orthogonal(grad + np.float32(0.95) * kept) * np.float32(max(1.0, rows / columns) ** 0.5)

    def scaled(self, name, grad):
        first, second = self.first[name], self.second[name]
        first += np.float32(0.1) * (grad - first)
        second += np.float32(0.02) * (grad * grad - second)
        unbiased = np.sqrt(second / np.float32(1 - 0.98**self.step)) + np.float32(1e-8)
        return first / np.float32(1 - 0.9**self.step) / unbiased

    def keep(self, path):
        state = self.weights, self.first, self.second, self.step, self.rng, self.rows.left, self.rows.epoch
        path.with_suffix(".new").write_bytes(pickle.dumps(state))
        path.with_suffix(".new").replace(path)

    def restore(self, path):
        state = pickle.loads(path.read_bytes())
        self.weights, self.first, self.second, self.step, self.rng, self.rows.left, self.rows.epoch = state
        self.rows.rng = self.rng


def by_muon(name):
    return name.endswith("_proj.weight")


def orthogonal(x):
    """Close to the orthogonal matrix nearest to `x`, by five Newton-Schulz steps with the coefficients of Muon."""
    tall = x.shape[0] > x.shape[1]
    x = (x.T if tall else x) / (np.linalg.norm(x) + np.float32(1e-7))
    for _ in range(5):
        square = x @ x.T
        x = np.float32(3.4445) * x + (np.float32(-4.7750) * square + np.float32(2.0315) * square @ square) @ x
    return x.T if tall else x


def rounded(weights):
    return {name: w.astype(ml_dtypes.bfloat16) for name, w in weights.items()}


def write(folder, shape, weights, tokenizer):
    """Writes the model as Hugging Face's libraries lay one out."""
    folder.mkdir(parents=True, exist_ok=True)
    _, ends, text_ends = (tokenizer.token_to_id(token) for token in SPECIALS)
    stops = {"bos_token_id": None, "eos_token_id": [ends, text_ends], "pad_token_id": text_ends}
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **shape.config(),
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        **stops,
    }
    words = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": ENDS,
        "pad_token": TEXT_ENDS,
        "unk_token": None,
        "additional_special_tokens": SPECIALS,
        "clean_up_tokenization_spaces": False,
        "model_max_length": shape.max_position_embeddings,
        "chat_template": TEMPLATE,
    }
    texts = {"config": config, "generation_config": {**stops, "do_sample": False}, "tokenizer_config": words}
    for name, content in texts.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
