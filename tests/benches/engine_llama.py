"""The other side: llama.cpp, by the C interface of llama-cpp-python.

Its own server answers one request at a time in llama-cpp-python, so `serve` does what llama.cpp's server does with its slots
(`update_slots`): in each step the slots that answer put in one token each, prompts fill the batch up to `n_batch`, and a slot
whose answer is complete takes the next request. HTTP and detokenising are left out in its favour.
"""

import ctypes
import time

try:
    import llama_cpp as lib
    import numpy as np
except ImportError as error:
    raise SystemExit(f"{error}: `pip install llama-cpp-python` for the Python that MLK8S_PEERS names")

# What llama.cpp's server has when nobody says otherwise.
BATCH, UBATCH = 2048, 512


@lib.llama_log_callback
def quiet(_level, _text, _data):
    """Nothing is said."""


class Llama:
    """A model with a cache for some sequences."""

    def __init__(self, path, n_slots, slot_tokens=1024, threads=2):
        begun = time.perf_counter()
        lib.llama_log_set(quiet, ctypes.c_void_p())
        lib.llama_backend_init()
        settings = lib.llama_model_default_params()
        settings.n_gpu_layers = 0
        self.model = lib.llama_model_load_from_file(path.encode(), settings)
        how = lib.llama_context_default_params()
        how.n_ctx, how.n_batch, how.n_ubatch, how.n_seq_max = n_slots * slot_tokens, BATCH, UBATCH, n_slots
        how.n_threads = how.n_threads_batch = threads
        self.context = lib.llama_init_from_model(self.model, how)
        self.memory = lib.llama_get_memory(self.context)
        self.vocabulary = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(self.model))
        self.batch = lib.llama_batch_init(BATCH, 0, 1)
        self.n_slots = n_slots
        self.load_s = time.perf_counter() - begun

    def forget(self, slot=None):
        """Empties the cache of one sequence, or of all."""
        if slot is None:
            lib.llama_memory_clear(self.memory, True)
        else:
            lib.llama_memory_seq_rm(self.memory, slot, -1, -1)

    def step(self, rows):
        """Runs rows of (token, position, sequence, whether its logits are wanted)."""
        batch = self.batch
        batch.n_tokens = len(rows)
        for at, (token, position, slot, wanted) in enumerate(rows):
            batch.token[at], batch.pos[at], batch.logits[at] = token, position, wanted
            batch.n_seq_id[at] = 1
            batch.seq_id[at][0] = slot
        if lib.llama_decode(self.context, batch):
            raise SystemExit("llama.cpp could not make a step")

    def logits(self, at):
        """Of a row of the last step."""
        return np.ctypeslib.as_array(lib.llama_get_logits_ith(self.context, at), shape=(self.vocabulary,))

    def read(self, prompt, slot=0):
        """Computes a prompt; its last row has logits."""
        for start in range(0, len(prompt), BATCH):
            part = prompt[start:start + BATCH]
            self.step([(token, start + at, slot, start + at == len(prompt) - 1) for at, token in enumerate(part)])
        return int(self.logits(len(part) - 1).argmax())

    def answer(self, prompt, n_tokens):
        """The likeliest tokens; seconds of the prompt and of the tokens after the first."""
        self.forget()
        begun = time.perf_counter()
        tokens = [self.read(prompt)]
        first = time.perf_counter()
        while len(tokens) < n_tokens:
            self.step([(tokens[-1], len(prompt) + len(tokens) - 1, 0, True)])
            tokens.append(int(self.logits(0).argmax()))
        return tokens, first - begun, time.perf_counter() - first

    def serve(self, requests):
        """Answers requests of (prompt, number of tokens) with all slots; gives seconds."""
        self.forget()
        begun = time.perf_counter()
        waiting = list(reversed(requests))
        slots = [None] * self.n_slots
        while waiting or any(slots):
            for at, slot in enumerate(slots):
                if slot is None and waiting:
                    self.forget(at)
                    slots[at] = Slot(at, *waiting.pop())
            rows, drawing = [], []
            for slot in sorted(filter(None, slots), key=Slot.reads):
                rows.extend(slot.rows(BATCH - len(rows)))
                if rows and slot.done == len(slot.prompt) + slot.written:
                    drawing.append((slot, len(rows) - 1))
            self.step(rows)
            for slot, at in drawing:
                slot.take(int(self.logits(at).argmax()))
                if slot.written == slot.wanted:
                    slots[slot.number] = None
        return time.perf_counter() - begun


class Slot:
    """A sequence under way."""

    def __init__(self, number, prompt, wanted):
        self.number, self.prompt, self.wanted = number, prompt, wanted
        # Tokens in the cache, tokens drawn, and the last of them.
        self.done, self.written, self.last = 0, 0, None

    def reads(self):
        """Whether the prompt is not through."""
        return self.done < len(self.prompt)

    def rows(self, room):
        """What goes into the next step."""
        start = self.done
        if not self.reads():
            self.done += 1
            return [(self.last, start, self.number, True)]
        part = self.prompt[start:start + room]
        self.done += len(part)
        return [(token, start + at, self.number, start + at == len(self.prompt) - 1) for at, token in enumerate(part)]

    def take(self, token):
        """One more token."""
        self.last = token
        self.written += 1
