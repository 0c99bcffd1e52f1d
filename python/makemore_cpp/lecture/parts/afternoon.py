"""The lecture's afternoon: its claims, the calls that show them, and sentences for the numbers.

This script is the page and the notebook of the command `lecture`, and runs as it stands. It is read
by `segments`, and never imported. A part begins with ``# %%`` and its title, minutes of the lecture
in parentheses; its first comment is what the lecture claims. The last expression of its code gives
values by name, which the sentence after ``# =>`` takes into its braces: no number stands in a
sentence that is not one of them. The last expression after ``# %% picture`` is a picture.
"""

# %% Texts and tokens (0:00)
# A model of names: every text is a sequence of characters between boundaries, and the task is
# always to predict the next one.
import timeit

import numpy as np

import makemore_cpp as mm
from makemore_cpp import ops, reference

seed, steps = 1, 200_000
texts = mm.load_texts()
data = mm.Dataset.split(texts, block_size=3, seed=42)
lengths = [len(text) for text in texts]
dict(
    texts=len(texts), first=texts[0], mean_length=float(np.mean(lengths)), longest=max(lengths),
    characters=len(data.vocab) - 1, examples=sum(lengths) + len(texts),
)
# => {texts:,} texts, of which “{first}” is the first, have {mean_length:.1f} characters on average
# and {longest} at most; there are {characters} different ones. With the end of each text that makes
# {examples:,} examples.

# %% The curse of dimensionality (0:00)
# “If we are to take more context, things quickly blow up”: a table of counts has a row for each
# possible context, of which there are V times as many for each character more.
rows = mm.evaluation.ngram_table(data, 9)
last, best = rows[-1], min(rows, key=lambda row: row.kneser_ney)
dict(
    tokens=last.block_size, possible=last.possible_contexts, seen=last.contexts_seen,
    unseen=last.unseen_share, best_tokens=best.block_size, best_loss=best.kneser_ney,
)
# => Of {possible:,} contexts of {tokens} characters train has {seen:,}, and {unseen:.1%} of the
# places in dev have one that it never showed; the best counts on dev use {best_tokens} characters,
# with a loss of {best_loss:.4f} nats.

# %% picture The loss of counts and the share of unseen contexts, by the characters of context
from makemore_cpp.sweeps import pictures

pictures.ngrams(rows)

# %% Knowledge that carries over (1:48)
# “You can transfer knowledge through that embedding”: words that are used alike come to lie
# together, and what is learnt of one holds for the other.
from makemore_cpp.sweeps import transfer

row = transfer.run_grammar([seed])[0]
dict(
    sentence=transfer.UNSEEN, net=row.net, trigram=row.trigram, ratio=row.ratio,
    pairs=row.pairs_found, words=len(row.nearest),
)
# => In a grammar in which no dog was ever seen to sit, a net gives “{sentence}” the probability
# {net:.2e}, which is {ratio:,.0f} times what a trigram of the same texts gives it; of {words} words
# that come in pairs, {pairs} have the other of their pair as the nearest.

# %% Layers and their shapes (5:43)
# “This layer has 17,000 neurons; this is the expensive layer”: of the paper's net, which predicts
# one of that many words from three, with embeddings of thirty numbers.
words = mm.Vocab([f"word{i}" for i in range(1, 17_000)], separator=" ")
paper = mm.MLP(words, block_size=3, n_embd=30, n_hidden=100)
layers = mm.models.layers(paper)
dict(
    layers=[layer._asdict() for layer in layers], all=paper.n_parameters,
    share=layers[4].parameters / paper.n_parameters, ours=mm.MLP(data.vocab).n_parameters,
)
# => The output layer has {share:.0%} of the {all:,} parameters; the lecture's net for these texts
# has {ours:,} in all.

# %% A window slides over a text (9:02)
# “Block size is basically the context length”, and “we are always padding with dots”.
windows = data.windows(texts[0])
dict(
    text=texts[0], windows=windows, n=len(windows), train=len(data.train.Y),
    train_texts=len(data.train.texts), block_size=data.block_size,
)
# => “{text}” makes {n} examples of {block_size} characters and the next; the {train_texts:,} texts
# of train make {train:,}.

# %% Looking up is multiplying by one-hot vectors (12:21)
# “To embed simultaneously all of the integers in X we can simply do C[X]”: it is the first layer of
# a net whose inputs are one-hot, without the product.
net = mm.MLP(data.vocab, block_size=3, n_embd=2, n_hidden=100, seed=seed, init="lecture")
X, Y = data.train.X[:32], data.train.Y[:32]
one_hot = np.eye(len(data.vocab), dtype=np.float32)[X]


def microseconds(call):
    """Return the least time of a call, of a thousand calls."""
    return min(timeit.repeat(call, number=100, repeat=10)) / 100 * 1e6


dict(
    product_shape=str((one_hot @ net.C).shape), lookup_shape=str(net.C[X].shape),
    difference=float(np.abs(one_hot @ net.C - net.C[X]).max()),
    product_us=microseconds(lambda: one_hot @ net.C), product_bytes=one_hot.nbytes,
    lookup_us=microseconds(lambda: net.C[X]), lookup_bytes=X.nbytes,
)
# => The greatest difference is {difference:g}; the product takes {product_us:.1f} µs and reads
# {product_bytes:,} bytes of input, the lookup {lookup_us:.1f} µs and {lookup_bytes:,} bytes.

# %% A view copies nothing (18:37)
# “View is an extremely efficient operation”: it tells the same memory in another shape, where a
# concatenation makes new memory and fills it.
emb = net.C[X]
view = emb.reshape(len(X), -1)
copy = np.concatenate([emb[:, place] for place in range(emb.shape[1])], axis=1)
dict(
    emb=str(emb.shape), view=str(view.shape), equal=bool((view == copy).all()),
    view_us=microseconds(lambda: emb.reshape(len(X), -1)),
    view_bytes=0 if np.shares_memory(view, emb) else view.nbytes,
    copy_us=microseconds(
        lambda: np.concatenate([emb[:, place] for place in range(emb.shape[1])], axis=1)
    ),
    copy_bytes=0 if np.shares_memory(copy, emb) else copy.nbytes,
)
# => From {emb} to {view}, the view takes {view_us:.2f} µs and copies {view_bytes:,} bytes, the
# concatenation {copy_us:.2f} µs and {copy_bytes:,} bytes.

# %% The forward pass and its first loss (29:41)
# “We want to index into the rows of prob, and pluck out the probability assigned to the correct
# character”; “the loss here is 17”, from initial parameters that are all from N(0,1).
h = ops.linear_tanh_forward(view, net.W1, net.b1)
logits = ops.linear_forward(h, net.W2, net.b2)
probs = np.exp(ops.log_softmax(logits))
plucked = probs[np.arange(len(Y)), Y]
scaled = mm.MLP(data.vocab, block_size=3, n_embd=2, n_hidden=100, seed=seed)
dict(
    h=str(h.shape), logits=str(logits.shape), row_sum=float(probs[0].sum()),
    by_hand=float(-np.log(plucked).mean()), loss=ops.cross_entropy(logits, Y)[0],
    uniform=float(np.log(len(data.vocab))), scaled=scaled.loss(X, Y),
)
# => By hand the loss is {by_hand:.4f}, and by cross_entropy {loss:.4f}; who knows nothing has
# {uniform:.4f}, and from scaled initial parameters the net begins with {scaled:.4f}.

# %% A softmax that does not overflow (33:38)
# There are “many good reasons to prefer cross_entropy over rolling your own”: it “internally
# calculates the maximum value and subtracts it”.
z = np.array([[1000, 1001, 1002]], np.float32)
with np.errstate(all="ignore"):
    naive = np.exp(z) / np.exp(z).sum()
stable = np.exp(ops.log_softmax(z))
with np.errstate(over="ignore"):
    greatest = max(n for n in range(200) if np.isfinite(np.exp(np.float32(n))))
dict(
    logits=", ".join(map(str, z[0])), naive=", ".join(map(str, naive[0])),
    stable=", ".join(f"{p:.4f}" for p in stable[0]),
    dtype=str(z.dtype), greatest=greatest,
)
# => Of the logits {logits}, exp and a division make {naive}, as {dtype} holds nothing beyond exp of
# {greatest}; with the greatest logit subtracted they become {stable}.

# %% Minibatches: an approximate gradient and more steps (37:59)
# “It's much better to have an approximate gradient and just make more steps.”
examples = len(data.train.Y)
whole, small = mm.MLP(data.vocab, seed=seed), mm.MLP(data.vocab, seed=seed)
whole_steps = max(1, steps // 10_000)
small_steps = whole_steps * examples // 32
whole.train_steps(data.train.X, data.train.Y, 1.0, steps=whole_steps, rows="all")
small.train_steps(data.train.X, data.train.Y, 0.03, steps=small_steps, batch_size=32, seed=seed)
dict(
    seen=whole_steps * examples, whole_steps=whole_steps, small_steps=small_steps, batch=32,
    whole_loss=whole.loss(data.dev.X, data.dev.Y), small_loss=small.loss(data.dev.X, data.dev.Y),
)
# => With {seen:,} examples seen, {whole_steps:,} steps with all of train come to {whole_loss:.4f}
# nats on dev, and {small_steps:,} steps with {batch} each, which see as many, to {small_loss:.4f}.

# %% How large a step? (44:45)
# “We are spaced exponentially in this interval”: one run in which the learning rate grows from step
# to step, and the rate is taken from where the loss is least.
curve = mm.sweeps.growing_rate(data, {"init": "lecture"}, steps=1_000, seed=seed)
dict(
    lowest=float(curve.rates[0]), highest=float(curve.rates[-1]), steps=len(curve.losses),
    suggestion=curve.suggestion, loss=float(curve.smooth_losses.min()),
)
# => Over {steps:,} steps from {lowest:g} to {highest:g}, the smoothed loss is least, at {loss:.2f},
# where the rate is {suggestion:.2g}.

# %% picture The loss of each step while the learning rate grows
pictures.rate_curve(curve)

# %% The rate decays (44:45)
# Towards the end one divides the rate by ten, and the loss falls once more.
decay = mm.sweeps.grid(
    data, {"schedule": ["constant", "step"], "steps": steps // 4}, seeds=[seed]
)
constant, step = decay.rows
dict(
    steps=step.steps, lr=step.options["lr"], constant=constant.dev, step=step.dev,
    gain=constant.dev - step.dev,
)
# => After {steps:,} steps at {lr:g} the loss on dev is {constant:.4f}; with a tenth of that from
# half way on it is {step:.4f}, a difference of {gain:+.4f}.

# %% Three splits, and what it is to overfit (52:00)
# “The standard in the field is to split up your data set into three splits”; a net with far more
# parameters than its texts can teach learns them by heart.
few = mm.sweeps.with_train_texts(data, 1_000)
large = mm.MLP(data.vocab, n_hidden=300, seed=seed)
overfit = mm.train(large, few, steps=steps // 5, seed=seed)
lowest = min(overfit.evaluations, key=lambda evaluation: evaluation.dev_loss)
dict(
    splits={"train": len(data.train.texts), "dev": len(data.dev.texts),
            "test": len(data.test.texts)},
    parameters=large.n_parameters, few=len(few.train.texts), steps=len(overfit.losses),
    train=large.loss(few.train.X, few.train.Y), dev=large.loss(data.dev.X, data.dev.Y),
    lowest=lowest.dev_loss, lowest_step=lowest.step,
)
# => {parameters:,} parameters that learn from {few:,} texts end at {train:.4f} on these and at
# {dev:.4f} on dev, where the loss had been {lowest:.4f} after {lowest_step:,} of {steps:,} steps.

# %% picture The loss on few training texts falls, and that on dev rises again
mm.plots.loss_curve(overfit)

# %% The lecture's training (56:31)
# Two hundred thousand steps with batches of 32, embeddings of ten numbers and 200 hidden units,
# which the lecture ends at a dev loss of about 2.17.
model = mm.MLP(data.vocab, block_size=3, n_embd=10, n_hidden=200, seed=seed)
history = mm.train(model, data, steps=steps, batch_size=32, lr=0.1, seed=seed)
findings = mm.diagnose(model, data)
dict(
    steps=steps, seconds=history.seconds, train=model.loss(data.train.X, data.train.Y),
    dev=model.loss(data.dev.X, data.dev.Y), verdict=findings.sentence,
)
# => {steps:,} steps took {seconds:.1f} s and came to {train:.4f} on train and {dev:.4f} on dev.
# {verdict}

# %% picture The loss of the lecture's training
mm.plots.loss_curve(history)

# %% More hidden units, longer embeddings (56:31)
# “Increasing the size of the model should help the neural net”, and “the bottleneck could be these
# embeddings that are two dimensional”.
scaling = mm.sweeps.run_experiment("scaling", data, steps=steps // 4, seeds=[seed])
best = scaling.best[0]
dict(
    table=scaling.records(), n_embd=best.options["n_embd"], n_hidden=best.options["n_hidden"],
    dev=best.dev,
)
# => The least loss on dev, {dev:.4f}, is that of embeddings of {n_embd} numbers and {n_hidden}
# hidden units.

# %% picture The loss on dev by the length of the embeddings and the number of hidden units
pictures.heat_map(scaling)

# %% Why more hidden units can make it worse (56:31)
# With embeddings of two numbers the widest net is not the best one. Every hidden unit pulls at the
# same two numbers, so that the more there are, the further a step of the same rate goes.
wide = mm.sweeps.grid(
    data,
    {"n_embd": 2, "n_hidden": [100, 500], "lr": [0.1, 0.02], "steps": steps // 4},
    seeds=[seed],
)
loss = {(row.options["n_hidden"], row.options["lr"]): row.train for row in wide.rows}
dict(
    table=wide.records(), few=100, many=500, fast=0.1, slow=0.02,
    fast_few=loss[100, 0.1], fast_many=loss[500, 0.1],
    slow_few=loss[100, 0.02], slow_many=loss[500, 0.02],
)
# => From {few} to {many} hidden units the loss on train goes from {fast_few:.4f} to
# {fast_many:.4f} at a rate of {fast}, and from {slow_few:.4f} to {slow_many:.4f} at {slow}: what is
# worse on train is no overfitting, and what a smaller step mends was too large a step.

# %% The map of the embeddings (71:00)
# “The vowels a e i o u are clustered up here”, and “q is kind of treated as an exception”.
flat = mm.MLP(data.vocab, block_size=3, n_embd=2, n_hidden=100, seed=seed)
mm.train(flat, data, steps=steps, seed=seed)
apart = np.linalg.norm(flat.C[:, None] - flat.C, axis=2) + np.diag(np.full(len(flat.C), np.inf))
lonely = int(apart[1:, 1:].min(axis=1).argmax()) + 1
dict(
    dev=flat.loss(data.dev.X, data.dev.Y), lonely=data.vocab.itos[lonely],
    distance=float(apart[lonely, 1:].min()), usual=float(np.median(apart[1:, 1:].min(axis=1))),
    share=float(np.equal(data.train.Y, lonely).mean()),
    first=texts[0][0], near=", ".join(token for token, _ in model.nearest(texts[0][0], 3)),
)
# => In the net with embeddings of two numbers, whose loss on dev is {dev:.4f}, “{lonely}” stands
# the most alone: its nearest character is {distance:.2f} away, where {usual:.2f} is usual, and it
# makes up {share:.2%} of train. In the net with embeddings of ten numbers, those that point most
# nearly where that of “{first}” does are those of {near}.

# %% picture Each character at its embedding, vowels and consonants in two colours
mm.plots.embeddings(flat)

# %% New names (73:24)
# “We're going to generate 20 samples”, and “the words here are much more word like or name like”
# than those of the bigram.
bigram = mm.NGram(data.vocab, data.train.texts, order=2)
samples, known = model.sample(20, seed=seed), set(data.train.texts)
dict(
    samples=samples, of_the_bigram=bigram.sample(20, seed=seed), n=len(samples),
    new=sum(text not in known for text in samples),
    loss=model.loss(data.dev.X, data.dev.Y), bigram=bigram.loss(data.dev.X[:, -1:], data.dev.Y),
)
# => {new} of {n} samples are not in train; the loss on dev is {loss:.4f} nats for the net and
# {bigram:.4f} for the bigram.

# %% Question 1: why not count longer contexts?
# “Why can't we just use a very large context window with the counting-based approach?”
cards = mm.export.cards(model, data, findings)
answers = {card.title: " ".join([card.prediction, *card.answer]) for card in cards}
dict(answer=answers.get("Why not count longer contexts?"))
# => {answer}

# %% Question 2: what does it mean that two embeddings are alike?
# “Two characters have very similar embeddings. What does this tell you about how they're used?”
dict(answer=answers.get("What does it mean that two embeddings are alike?"))
# => {answer}

# %% Question 3: underfitting, overfitting, or a good fit?
# “Your model has train loss of 1.5 and dev loss of 1.6. What would you try next to improve?”
dict(answer=answers.get("Underfitting, overfitting, or a good fit?"))
# => {answer}

# %% Question 4: why minibatches of 32?
# “Why do we use batch size 32 instead of batch size 1 or batch size = all data?”
dict(answer=answers.get("Why minibatches of 32?"))
# => {answer}

# %% Question 5: why subtract the greatest logit?
# “Explain in simple terms why computing softmax([1000, 1001, 1002]) directly fails, and how
# subtracting the max fixes it.”
dict(answer=answers.get("Why subtract the greatest logit?"))
# => {answer}

# %% Challenge 1: implement the MLP
# “Build the character-level MLP from scratch”: the reference is a few pages of NumPy, and takes the
# same steps.
by_core, by_numpy = (mm.MLP(data.vocab, seed=seed) for _ in range(2))
rates = np.full(200, 0.1)
started = timeit.default_timer()
losses = reference.train_steps(
    **by_numpy.parameters, X=data.train.X, Y=data.train.Y, lr=rates, seed=seed
)
between = timeit.default_timer()
same_losses = by_core.train_steps(data.train.X, data.train.Y, rates, seed=seed)
ended = timeit.default_timer()
dict(
    steps=len(rates), first=float(losses[0]), last=float(losses[-1]),
    difference=float(np.abs(losses - same_losses).max()),
    numpy_us=(between - started) / len(rates) * 1e6, core_us=(ended - between) / len(rates) * 1e6,
)
# => In {steps:,} steps the loss of the minibatch goes from {first:.4f} to {last:.4f}; the losses of
# NumPy and of the core differ by {difference:.1e} at most, and a step takes {numpy_us:.0f} and
# {core_us:.0f} µs.

# %% Challenge 2: a learning rate finder
# “Train for 1000 steps at each of 10 learning rates from 10^-4 to 10^0, plot loss vs. learning
# rate, and identify the optimal range.”
search = mm.sweeps.fixed_rates(data, steps=1_000, seeds=[seed])
found = mm.sweeps.recommended(search)
dict(table=search.records(), runs=len(search.rows), low=found.low, best=found.best, high=found.high)
# => Of {runs} rates {best:g} ends lowest; from {low:g} to {high:g} they are as good as that, up to
# the noise of minibatches.

# %% picture The last losses of a short run at each learning rate
pictures.fixed_rates(search)

# %% Challenge 3: how much context?
# “Train models with context lengths 2, 3, 4, and 5. Compare final dev loss, sample quality,
# training time.”
contexts = mm.sweeps.run_experiment("context", data, steps=steps // 4, seeds=[seed])
dict(
    table=contexts.records(), best=contexts.best[0].options["block_size"],
    dev=contexts.best[0].dev,
    samples=[f"{row.options['block_size']}: {', '.join(row.samples)}" for row in contexts.rows],
)
# => The least loss on dev, {dev:.4f}, is that of {best} characters.

# %% picture The losses by the characters of context
pictures.lines(contexts, "block_size")

# %% Challenge 4: do vowels cluster?
# “Plot the 2D embeddings of all characters. Color-code vowels vs. consonants. Do they cluster?” The
# picture stands above; this is how far they are apart.
clusters = mm.evaluation.vowel_clustering(flat, metric="euclidean")
dict(
    silhouette=clusters and clusters.silhouette, p=clusters and clusters.p_value,
    vowels=clusters and clusters.vowels,
)
# => The silhouette of the vowels {vowels} and of the consonants is {silhouette:.2f}, where it would
# be close to nothing if they lay mixed; of random assignments of as many letters a share of {p:.4f}
# does as well.

# %% Challenge 5: weight decay
# “Add L2 weight decay to your training loop. How does it affect the train/dev loss gap?”
decays = mm.sweeps.run_experiment("weight-decay", data, steps=steps * 3 // 20, seeds=[seed])
without, best = decays.rows[0], decays.best[0]
dict(
    table=decays.records(), gap=without.gap, dev=without.dev,
    best=best.options["weight_decay"], best_gap=best.gap, best_dev=best.dev,
)
# => Without decay the gap is {gap:.4f} and the loss on dev {dev:.4f}; with the best one, {best:g},
# they are {best_gap:.4f} and {best_dev:.4f}.

# %% picture The losses and the gap by the weight decay
pictures.lines(decays, "weight_decay", ("train", "dev", "gap"))

# %% Reflection 1: what motivated attention?
# “What limitation of the MLP approach might have motivated the development of attention?”
dict(answer=answers.get("What limits this net, that attention does not?"))
# => {answer}

# %% Reflection 2: ten times more data
# “What do you think happens if we had 10x more training data? Would the optimal model size change?”
shares = mm.sweeps.data_shares(
    data, [0.1, 0.2, 0.5, 1.0], {"n_hidden": [20, 200], "steps": steps // 8}, seeds=[seed]
)
dict(table=shares.records(), answer=answers.get("What would ten times more data do?"))
# => {answer}

# %% picture The loss on dev by the number of training texts, for two sizes of the hidden layer
pictures.lines(shares, "train_texts", ("dev",), by=("n_hidden",))

# %% Reflection 3: the mystery of generalisation
# “The model generates novel names it never saw. How is this possible when neural networks just
# learn to minimize loss on training examples?”
dict(answer=answers.get("How can it make up texts that it never saw?"))
# => {answer}
