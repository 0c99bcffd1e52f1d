// Section "Why this letter?": the training contexts that look most alike to the hidden layer.

const N_NEAREST = 8, MAX_UNITS = 12_000_000, MAX_PRODUCTS = 400_000_000, N_FOLLOWING = 5;

function showNearestContexts({net, vocab, texts, typing}) {
  let memory = null;
  const show = (context, h) => {
    memory ??= rememberContexts(net, texts.tokens);
    const own = memory.contexts.get(String(context));
    const found = nearestContexts(memory, net, h, own, N_NEAREST);
    byId("nearest-own").replaceChildren(...(own
      ? [`The context itself stands ${times(own.total)} in these texts, followed by `,
        following(own, vocab)]
      : ["The context itself stands nowhere in these texts: the net goes by what is like it."]));
    byId("nearest-table").replaceChildren(table(
      `The ${found.length} nearest other contexts in the hidden layer`,
      ["context", "distance", "followed by"],
      found.map(({entry, distance}) => [
        data(entry.context.map((token) => vocab.itos[token]).join(vocab.separator)),
        distance,
        following(entry, vocab),
      ]),
    ));
    byId("nearest-note").textContent = memory.every > 1
      ? `Of the ${grouped(memory.contexts.size)} contexts one in ${memory.every} was looked at.`
      : `All ${grouped(memory.contexts.size)} contexts were looked at.`;
  };
  // The work waits until the section is seen, because the first time takes a moment.
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    typing.onPlace(show);
  });
  observer.observe(byId("nearest"));
}

const times = (count) => (count === 1 ? "once" : `${grouped(count)} times`);

// All contexts of the texts with the tokens that followed, and the hidden units of as many contexts
// as there is time for.
function rememberContexts(net, texts) {
  const contexts = new Map();
  for (const tokens of texts) {
    for (let position = 0; position <= tokens.length; position++) {
      const context = contextAt(tokens, position, net.T), key = String(context);
      if (!contexts.has(key)) contexts.set(key, {context, total: 0, counts: new Map()});
      const entry = contexts.get(key), token = tokens[position] ?? 0;
      entry.total += 1;
      entry.counts.set(token, (entry.counts.get(token) ?? 0) + 1);
    }
  }
  const most = Math.min(MAX_UNITS / net.H, MAX_PRODUCTS / (net.T * net.E * net.H));
  const every = Math.ceil(contexts.size / Math.max(most, 1));
  const entries = Array.from(contexts.values()).filter((_, i) => i % every === 0);
  const units = new Float32Array(entries.length * net.H);
  entries.forEach(({context}, i) => units.set(hidden(net, embed(net, context)), i * net.H));
  return {contexts, entries, units, every};
}

// The other entries whose hidden units have the least Euclidean distance to h.
function nearestContexts({entries, units}, {H}, h, own, count) {
  const found = entries.map((entry, i) => {
    let sum = 0;
    for (let j = 0; j < H; j++) sum += (units[i * H + j] - h[j]) ** 2;
    return {entry, distance: Math.sqrt(sum)};
  });
  return found.filter(({entry}) => entry !== own).sort((a, b) => a.distance - b.distance).slice(0, count);
}

// The tokens that followed a context, the most frequent first: "l 12, n 5, the end 3".
function following({counts}, vocab) {
  const sorted = Array.from(counts).sort((a, b) => b[1] - a[1]);
  const some = sorted.slice(0, N_FOLLOWING).flatMap(([token, count], i) => [
    i ? ", " : "", token === 0 ? "the end" : data(vocab.itos[token]), ` ${grouped(count)}`,
  ]);
  return element("span", {}, ...some, sorted.length > N_FOLLOWING ? ", \u2026" : "");
}
