// Section "New texts": drawn by the same generator as Python's, and marked where they are known.

const N_SAMPLES = 20, MAX_LENGTH = 100;

function showSampling({net, vocab, content}) {
  const known = content.known && {
    train: knownTexts(content.known.train), dev: knownTexts(content.known.dev),
  };
  const markOf = (text) => {
    if (!known) return "";
    if (known.train.has(text)) return "train";
    return known.dev.has(text) ? "dev" : "new";
  };
  const words = {train: "in train", dev: "in dev", new: "new"};
  const draw = () => {
    const prefix = vocab.encode(byId("prefix").value);
    const seed = Number(byId("seed").value), temperature = Number(byId("temperature").value);
    byId("sampling-message").replaceChildren();
    if (!prefix.tokens) {
      byId("sampling-message").append("The model has no token for ", data(prefix.stranger), ".");
      return;
    }
    if (!Number.isSafeInteger(seed) || seed < 0) {
      byId("sampling-message").append("The seed is a whole number from 0 to 9007199254740991.");
      return;
    }
    const texts = Array.from({length: N_SAMPLES}, (_, i) => vocab.decode(
      sampleTokens(net, seed, i, temperature, prefix.tokens, MAX_LENGTH),
    ));
    byId("samples").replaceChildren(...texts.map((text) => {
      const mark = markOf(text);
      return element("li", {}, data(text), element("span", {class: `mark ${mark}`}, words[mark] ?? ""));
    }));
  };
  byId("temperature").addEventListener("input", () => {
    byId("temperature-value").textContent = Number(byId("temperature").value).toFixed(1);
    draw();
  });
  byId("sampling-form").addEventListener("submit", (event) => {
    event.preventDefault();
    draw();
  });
  byId("sampling-note").textContent = known ? notesOn(content) : content.missing.marks;
  draw();
}

function notesOn({data: {train, dev}, known}) {
  const one = ({false_positives: share}) => (share > 0 ? `one in ${grouped(Math.round(1 / share))}` : "none");
  return `The page knows the ${grouped(train)} texts of train and the ${grouped(dev)} of dev by ` +
    `short hashes: of new texts ${one(known.train)} is marked as in train by mistake, and ` +
    `${one(known.dev)} as in dev. A text of ${MAX_LENGTH} tokens is cut.`;
}
