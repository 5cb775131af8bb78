"""The random encoders of `encoders_card check` in transformers on torch: their vectors beside ours, and texts a second.

usage: peers_encoders.py FOLDER [--on cpu]; FOLDER holds a folder for each model, with texts and our vectors. Lines as the
program writes them. A model that transformers does not know or cannot load is said to be missing, with the reason.
"""
import sys
import time
from pathlib import Path

# What transformers has; Nomic BERT comes as code of its own. Vectors are compared for all, times are taken of the first two.
MODELS = ("minilm", "modernbert", "clip")
TIMED = MODELS[:2]
WORDS = (16, 126)
AT_ONCE, SECONDS, MOST = 1024, 1.0, 2e-3


def say(*words):
    print(*words, sep="\t", flush=True)


def tokens(text, most):
    """Ids of a text of words `w4`, `w5` …, between those that begin and end it."""
    return [2, *(int(word[1:]) for word in text.split()[: most - 2]), 3]


class Peer:
    """A model of transformers, and how its tokens become one vector."""

    def __init__(self, folder, device):
        import torch
        from transformers import AutoModel
        self.torch, self.device, self.name = torch, device, folder.name
        self.model = AutoModel.from_pretrained(folder, dtype=torch.float32).to(device).eval()
        self.most = {"minilm": 512, "clip": 77}.get(self.name, 8192)

    def vectors(self, ids, mask=None):
        """Rows for texts of equal length, or padded ones with a mask."""
        if self.name == "clip":
            found = self.model.get_text_features(input_ids=ids, attention_mask=mask)
            found = getattr(found, "pooler_output", found)
            return self.torch.nn.functional.normalize(found, dim=1)
        found = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        if mask is None:
            return found.mean(1)
        return (found * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)

    def check(self, folder):
        """The worst number of our vectors, relative to the largest of its row."""
        import numpy
        texts = (folder / "texts.txt").read_text().split("\n")
        ours = numpy.fromfile(folder / "vectors.f32", "<f4").reshape(len(texts), -1)
        worst, least = 0.0, 1.0
        for text, row in zip(texts, ours):
            ids = self.torch.tensor([tokens(text, self.most)], device=self.device)
            wanted = self.vectors(ids)[0].cpu().numpy()
            off = float(abs(row - wanted).max() / abs(wanted).max())
            worst = max(worst, off if off == off else float("inf"))
            least = min(least, float(row @ wanted / (numpy.linalg.norm(row) * numpy.linalg.norm(wanted))))
        verdict = "as it must be" if worst <= MOST else "WRONG"
        say("check", self.name, f"{len(texts)} texts, beside torch", f"{worst:.1e}", f"{least:.7f}", verdict)

    def rate(self, n, dtype, coarse=False):
        """Texts of `n` tokens a second, 256 at a time; ids are random, lie on the card already, and all texts have the same
        length: neither a tokenizer nor padding costs anything, which ours pays for. With `coarse`, products in float32 may
        round their factors to TF32, as ours do by default; torch's own default is that they may not."""
        self.torch.backends.cuda.matmul.allow_tf32 = coarse
        ids = self.torch.randint(4, 30_000, (AT_ONCE, n), device=self.device)
        ids[:, 0], ids[:, -1] = 2, 3
        model, self.model = self.model, self.model.to(dtype)
        self.settle(ids)
        begin, rounds = time.perf_counter(), 0
        while rounds == 0 or time.perf_counter() - begin < SECONDS:
            self.settle(ids)
            rounds += 1
        took = time.perf_counter() - begin
        self.model = model
        self.torch.backends.cuda.matmul.allow_tf32 = False
        name = str(dtype).removeprefix("torch.") + (" with tf32 products" if coarse else "")
        say("time", f"{self.name} in transformers ({name}), texts of {n} tokens", f"{rounds * AT_ONCE / took:.0f}", "texts/s", "")

    def settle(self, ids):
        for part in ids.split(256):
            self.vectors(part).float().cpu()


def main():
    root = Path(sys.argv[1])
    device = "cpu" if sys.argv[2:] == ["--on", "cpu"] else "cuda"
    try:
        import torch
    except ImportError as failure:
        say("missing", "transformers", f"no torch: {failure}")
        return
    if device == "cuda" and not torch.cuda.is_available():
        say("missing", "transformers", "torch finds no card")
        return
    with torch.inference_mode():
        for name in MODELS:
            try:
                peer = Peer(root / name, device)
                peer.check(root / name)
                for n in WORDS if name in TIMED else ():
                    n = min(n + 2, peer.most)
                    for dtype, coarse in ((torch.float32, False), (torch.float32, True), (torch.bfloat16, False)):
                        peer.rate(n, dtype, coarse)
            except Exception as failure:  # a peer may fail in any way; it must not end the bench
                say("missing", f"{name} in transformers", f"{type(failure).__name__}: {failure}".replace("\n", " ")[:200])


if __name__ == "__main__":
    main()
