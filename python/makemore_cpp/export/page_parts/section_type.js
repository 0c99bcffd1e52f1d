// Section "Type a text": the window, and every number between a context and its probabilities.

const MAX_BARS = 60, MAX_WORD_BARS = 24, MAX_CELLS = 512;

function showTyping({net, vocab, content}) {
  const {T, E, H, V} = net, K = T * E;
  const isWords = vocab.separator !== "", most = isWords ? MAX_WORD_BARS : MAX_BARS;
  const features = net.direct ? (H > 0 ? "[h, x]" : "x") : "h";
  let tokens = [], position = 0, listeners = [];

  // -- the parts, made once ----------------------------------------------------------------------
  const places = Array.from({length: T}, (_, t) => {
    const token = element("span", {class: "token"});
    const cells = newCells(E);
    const box = element("div", {class: "place"}, token, cells.box);
    return {token, cells, box};
  });
  const x = newCells(K), h = newCells(H), bars = newBars(Math.min(V, most), isWords);
  byId("pipeline").append(
    stage("The context", `X = tokens[i \u2212 ${T} : i]`,
      element("div", {class: "window"}, ...places.map(({box}) => box)),
      `Each of the ${T} tokens before the place is looked up in C, a table of ${grouped(V)} ` +
      `rows of ${E} numbers; before a text stand boundaries, \u201c${visible(vocab.itos[0])}\u201d`),
    stage("Concatenated", `x = C[X].reshape(${K})`, x.box, ""),
    ...(H > 0 ? [stage("Hidden units", "h = tanh(x @ W1 + b1)", h.box,
      `${grouped(H)} numbers between \u22121 (orange) and 1 (blue)`)] : []),
    stage("Probabilities", `p = softmax(${features} @ W2 + b2)`, bars.box,
      V > most ? `the ${most} most probable of ${grouped(V)} tokens` : ""),
  );

  // -- what is shown now -------------------------------------------------------------------------
  let now = {};
  const tokenName = (v) => (v === 0 ? "the end" : visible(vocab.itos[v]));
  const compute = () => {
    const context = contextAt(tokens, position, T);
    const embedded = embed(net, context), units = hidden(net, embedded);
    const scores = logits(net, units, embedded);
    return {context, x: embedded, h: units, logits: scores, p: logSoftmax(scores).map(Math.exp)};
  };
  const ranked = () => {
    const order = Array.from(now.p.keys());
    return V > most ? order.sort((a, b) => now.p[b] - now.p[a]).slice(0, most) : order;
  };
  const tell = [
    ...places.map(({cells}, t) => makeExplorable(
      cells.box, cells.parts, `Embedding of token ${t + 1} of the context`,
      (e) => `emb[${t}, ${e}] = C[${now.context[t]}, ${e}] = ${fixed(now.x[t * E + e])}, ` +
        `dimension ${e} of ${visible(vocab.itos[now.context[t]])}`,
    )),
    makeExplorable(x.box, x.parts, "The concatenated embeddings",
      (k) => `x[${k}] = emb[${Math.floor(k / E)}, ${k % E}] = ${fixed(now.x[k])}`),
    ...(H === 0 ? [] : [makeExplorable(h.box, h.parts, "The hidden units",
      (j) => `h[${j}] = tanh(x @ W1[:, ${j}] + b1[${j}]) = tanh(${fixed(Math.atanh(now.h[j]))}) = ` +
        fixed(now.h[j]))]),
    makeExplorable(bars.box, bars.parts, "The probabilities of the next token", (i) => {
      const v = now.order[i];
      return `p[${v}] = softmax(${features} @ W2 + b2)[${v}] = exp(${fixed(now.logits[v], 3)}) / \u03a3 = ` +
        `${fixed(now.p[v])}: probability of ${tokenName(v)}`;
    }),
  ];
  const showPlace = () => {
    now = compute();
    now.order = ranked();
    const target = tokens[position] ?? 0;
    places.forEach(({token, cells}, t) => {
      token.replaceChildren(data(vocab.itos[now.context[t]]));
      cells.show(now.x.slice(t * E, (t + 1) * E));
    });
    x.show(now.x);
    h.show(now.h);
    bars.show(now.order.map((v) => ({p: now.p[v], name: vocab.itos[v], isRight: v === target})));
    for (const [i, button] of Array.from(byId("heat").children).entries()) {
      button.setAttribute("aria-pressed", i === position);
    }
    byId("readout").textContent =
      `loss = \u2212log p[${target}] = ${fixed(-Math.log(now.p[target]))} nats: the surprisal of ` +
      `${tokenName(target)} after this context, whose bar is orange`;
    for (const update of tell) update();
    for (const listener of listeners) listener(now.context, now.h);
  };

  const showText = () => {
    const found = vocab.encode(byId("text").value);
    byId("stranger").replaceChildren(...(found.tokens ? [] : [
      "The model has no token for ", data(found.stranger), ": leave it out.",
    ]));
    if (!found.tokens) return;
    tokens = found.tokens;
    position = tokens.length;
    const losses = surprisals(net, tokens);
    byId("heat").replaceChildren(...losses.map((loss, i) => heatButton(loss, i)));
    const total = losses.reduce((a, b) => a + b, 0);
    byId("score").textContent =
      `log p = \u2212${fixed(total, 2)} nats in all, ${fixed(total / losses.length, 2)} a token ` +
      `(a uniform guess: ${fixed(Math.log(V), 2)})`;
    byId("verdict").textContent = verdictOf(content, -total, tokens.length);
    showPlace();
  };

  const heatButton = (loss, i) => {
    const name = i < tokens.length ? vocab.itos[tokens[i]] : vocab.itos[0];
    const button = element(
      "button", {type: "button", "aria-pressed": false},
      element("span", {class: "token"}, data(name)),
      element("span", {class: "nats"}, fixed(loss, 2)),
    );
    button.style.setProperty("--a", Math.min(loss / (2 * Math.log(V)), 1));
    button.addEventListener("click", () => {
      position = i;
      showPlace();
    });
    return button;
  };

  byId("text").addEventListener("input", showText);
  byId("text").value = exampleText(net, vocab);
  showText();
  return {onPlace(listener) {
    listeners.push(listener);
    listener(now.context, now.h);
  }};
}

// The lecture's example if the vocabulary has its letters, else a sample of the model.
function exampleText(net, vocab) {
  if (vocab.separator === "" && vocab.encode("emma").tokens) return "emma";
  return vocab.decode(sampleTokens(net, 42, 0, 1, [], 20));
}

function verdictOf({detector, missing}, logProb, length) {
  if (detector === null) return missing.detector;
  const p = pValue(detector, logProb, length);
  const what = p <= detector.rate ? "flags it as unlike" : "finds it like";
  return `The detector ${what} the good texts, of which ${percent(p)} score at most as high for ` +
    `their length. It flags ${percent(detector.rate)} of them, as measured on ` +
    `${grouped(detector.n_good)} texts of dev.`;
}

const percent = (share) => `${+(100 * share).toPrecision(2)} %`;

function stage(title, code, box, note) {
  return element(
    "div", {class: "stage"},
    element("h3", {}, title, element("code", {}, code)),
    box,
    ...(note ? [element("span", {class: "muted"}, note)] : []),
  );
}

// Small squares whose colours show how far numbers are below or above 0.
function newCells(count) {
  const parts = Array.from({length: Math.min(count, MAX_CELLS)}, () => element("i"));
  const box = element("div", {class: "cells"}, ...parts);
  const show = (numbers) => parts.forEach((part, i) => {
    part.style.setProperty("--a", Math.min(Math.abs(numbers[i]), 1));
    part.classList.toggle("negative", numbers[i] < 0);
  });
  return {box, parts, show};
}

function newBars(count, isWords) {
  const parts = Array.from({length: count}, () => element(
    "span", {}, element("span", {class: "bar"}), element("span"),
  ));
  const box = element("div", {class: isWords ? "bars words" : "bars"}, ...parts);
  box.style.setProperty("--n", count);
  const show = (rows) => rows.forEach(({p, name, isRight}, i) => {
    const [bar, label] = parts[i].children;
    const greatest = Math.max(...rows.map((row) => row.p));
    bar.style.setProperty("--p", p / greatest);
    label.replaceChildren(data(name));
    parts[i].classList.toggle("right", isRight);
  });
  return {box, parts, show};
}
