"""Whether our engine says what llama.cpp says of the same file, and which of them is closer to the model in 32-bit floats.

Both round activations to 8 bits, each in its way, and a random model has near ties, so their answers part now and then.
Therefore the last positions of every prompt are asked of both, and logarithms of probabilities are compared, too; the model in
floats is asked of some prompts, and of all on which the two are far apart.
"""

import numpy as np

from engine_exact import Exact
from engine_model import vocabulary
from engine_parts import median, prompts
from engine_worker import at_once

PROMPTS, ANSWER = 20, 16
# Prompts of which the model in floats is asked in any case.
EXACT = 5
# Rounding moves a log probability by less than this at nearly all positions, and by much more at a few where the random model
# is ill-conditioned, there for either engine. A wrong weight or position moves ours alone, and everywhere.
FURTHEST = 0.5


def log_softmax(rows):
    rows = rows.astype(np.float64)
    top = rows.max(-1, keepdims=True)
    return rows - top - np.log(np.exp(rows - top).sum(-1, keepdims=True))


def agreement(worker, llama, report):
    """Greedy answers, then position by position."""
    ids = {word.replace("Ġ", " "): at for at, word in enumerate(vocabulary())}
    asked = prompts(1, [ANSWER + 8 + 5 * at for at in range(PROMPTS)])
    theirs = [llama.answer(prompt, ANSWER)[0] for prompt in asked]
    ours = [worker.answer(prompt, ANSWER, logprobs=1)["choices"][0]["logprobs"]["tokens"] for prompt in asked]
    parted = [next((at for at in range(ANSWER) if ids.get(mine[at]) != other[at]), ANSWER) for mine, other in zip(ours, theirs)]
    report.say(f"greedy answers to {PROMPTS} prompts, as llama.cpp's for {sum(parted)} of {PROMPTS * ANSWER} tokens until they part; "
               f"{parted.count(ANSWER)} to the end")
    exact, same, apart = Exact(), {}, {}
    for number, prompt in enumerate(asked):
        opening, rest = prompt[:-ANSWER], prompt[-ANSWER:]
        told = positions(worker, opening, rest, ids)
        llamas = log_softmax(rows_of(llama, opening, rest))
        pairs = {"ours, llama.cpp": list(zip(told, told, llamas))}
        # Where the two part, the floats say which of them is right.
        if number % (PROMPTS // EXACT) == 0 or furthest(pairs["ours, llama.cpp"]) > FURTHEST:
            floats = log_softmax(exact.logits(prompt[:-1], ANSWER))
            pairs["ours, floats"] = list(zip(told, told, floats))
            pairs["llama.cpp, floats"] = [({t: row[t] for t in top}, dict(enumerate(row)), other)
                                          for top, row, other in zip(told, llamas, floats)]
        for name, rows in pairs.items():
            same.setdefault(name, []).extend(max(all_, key=all_.get) == row.argmax() for _, all_, row in rows)
            apart.setdefault(name, []).extend(furthest([row]) for row in rows)
    for name, found in same.items():
        report.say(f"  {name}: the same first token at {np.mean(found):.1%} of {len(found)} positions; log probabilities of the "
                   f"20 likeliest differ by at most {median(apart[name]):.3f} (median position), {max(apart[name]):.3f} (worst)")
    both = zip(apart["ours, floats"], apart["llama.cpp, floats"])
    wrong = [(ours, other) for ours, other in both if ours > max(FURTHEST, 2 * other)]
    if wrong or min(np.mean(found) for found in same.values()) < 0.9:
        raise SystemExit(f"our engine does not agree with the model in floats, or not with llama.cpp: {wrong}")


def furthest(rows):
    """How far log probabilities are apart at most."""
    return max(abs(top[t] - row[t]) for top, _, row in rows for t in top)


def positions(worker, opening, rest, ids):
    """Log probabilities of our 20 likeliest tokens for each token of `rest`."""
    jobs = [lambda n=n: worker.answer(opening + rest[:n], 1, logprobs=20) for n in range(len(rest))]
    _, found = at_once(jobs, 4)
    tops = [each["choices"][0]["logprobs"]["top_logprobs"][0] for each in found]
    return [{ids[word]: value for word, value in top.items() if word in ids} for top in tops]


def rows_of(llama, opening, rest):
    """Logits for each token of `rest`, computed at once."""
    llama.forget()
    tokens = opening + rest[:-1]
    first = len(opening) - 1
    llama.step([(token, at, 0, at >= first) for at, token in enumerate(tokens)])
    return np.stack([llama.logits(at).copy() for at in range(first, len(tokens))])
