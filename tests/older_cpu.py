"""Prints a digest of all bits of a training and of its model's answers.

    MAKEMORE_ISA=baseline python tests/older_cpu.py

A CPU without AVX must print the same: it has the same kernels, and no instruction that it lacks may
stand outside of them.
"""

import hashlib

import makemore_cpp as mm

data = mm.Dataset.split(mm.load_texts()[:2000])
large = mm.Vocab([chr(0x4E00 + i) for i in range(1200)])  # the output layer is cut along tokens
digest = hashlib.sha256()
for vocab, optimizer in ((data.vocab, "adamw"), (large, "sgd")):
    model = mm.MLP(vocab, block_size=3, n_embd=10, n_hidden=70)
    losses = model.train_steps(
        data.train.X, data.train.Y, 0.01, steps=30, batch_size=32, optimizer=optimizer,
        state=model.optimizer_state(optimizer), dropout=0.2, weight_decay=0.01,
    )  # fmt: skip
    texts = model.sample(50, max_length=20, seed=3)
    digest.update(losses.tobytes() + model.to_bytes() + model.score(texts).tobytes())
    digest.update("\n".join(texts).encode())
isa = mm.build_info()["isa"]
assert isa["used"] == "baseline", isa
print(digest.hexdigest())
