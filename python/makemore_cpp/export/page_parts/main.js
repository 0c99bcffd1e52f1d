// Fills the page's sections from its data.

function main() {
  const content = JSON.parse(byId("content").textContent);
  const page = {content, net: netOf(content), vocab: newVocab(content.vocab)};
  if (content.detector) content.detector.scores = floats(content.detector.scores);
  showSummary(page);
  page.typing = showTyping(page);
  showMap(page);
  showLosses(page);
  showSampling(page);
  const {missing} = content;
  if (content.texts) {
    page.texts = trainingTexts(page);
    showTraining(page);
  } else {
    leaveOut("training", missing.training);
  }
  if (missing.nearest) leaveOut("nearest", missing.nearest);
  else showNearestContexts(page);
  if (content.cards.length) showCards(page);
  else leaveOut("cards", missing.cards);
}

// The page's texts and their tokens, which are made at the first use.
function trainingTexts({content, vocab}) {
  let tokens = null;
  return {
    get tokens() {
      tokens ??= textsOf(content.texts).map((text) => vocab.encode(text).tokens);
      return tokens;
    },
  };
}

function showSummary({content, net}) {
  const {T, E, H, V} = net;
  const texts = content.data ? `It learnt from ${countOf(content.data.train, "text")}. ` : "";
  byId("summary").textContent =
    `The MLP of Bengio et al. (2003), trained: it looks at the last ${T} tokens, gives each of the ` +
    `${grouped(V)} tokens ${E} numbers, has ${grouped(H)} hidden units` +
    `${net.direct ? ", direct connections" : ""} and ${grouped(content.n_parameters)} parameters in all. ${texts}Everything here is computed by the ` +
    "page itself, without a network.";
  byId("contents").append(...Array.from(document.querySelectorAll("main > section"), (section) =>
    element("li", {}, element("a", {href: `#${section.id}`}, section.querySelector("h2").textContent))));
  byId("made-by").textContent = `Made by makemore_cpp ${content.version}.`;
}

main();
