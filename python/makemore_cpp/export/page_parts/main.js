// Fills the page's sections from its data.

function main() {
  const content = JSON.parse(byId("content").textContent);
  const page = {content, net: netOf(content), vocab: newVocab(content.vocab)};
  if (content.detector) content.detector.scores = floats(content.detector.scores);
  showSummary(page);
  showTyping(page);
  showMap(page);
  showLosses(page);
  showSampling(page);
}

function showSummary({content, net}) {
  const {T, E, H, V} = net;
  const texts = content.data ? `It learnt from ${grouped(content.data.train)} texts. ` : "";
  byId("summary").textContent =
    `The MLP of Bengio et al. (2003), trained: it looks at the last ${T} tokens, gives each of the ` +
    `${grouped(V)} tokens ${E} numbers, has ${grouped(H)} hidden units and ` +
    `${grouped(content.n_parameters)} parameters in all. ${texts}Everything here is computed by the ` +
    "page itself, without a network.";
  byId("contents").append(...Array.from(document.querySelectorAll("main > section"), (section) =>
    element("li", {}, element("a", {href: `#${section.id}`}, section.querySelector("h2").textContent))));
  byId("made-by").textContent = `Made by makemore_cpp ${content.version}.`;
}

main();
