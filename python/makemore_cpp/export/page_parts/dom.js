// Makes the elements of the page.  Texts and tokens become text nodes, and never markup.

const byId = (id) => document.getElementById(id);

// A new element with attributes (those that are null are left out) and children or texts.
function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function svgElement(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

// An element for a token or text of the model, which cannot change the direction of others.
const data = (text) => element("bdi", {}, visible(text));

const fixed = (number, digits = 4) => number.toFixed(digits).replace("-", "\u2212");
const countOf = (count, what) => `${grouped(count)} ${what}${count === 1 ? "" : "s"}`;
const grouped = (number) => number.toLocaleString("en");

// Replaces a part that a section cannot have by a sentence.
function leaveOut(id, sentence) {
  const section = byId(id);
  section.replaceChildren(
    section.querySelector("h2"), element("p", {class: "missing"}, sentence),
  );
}

// Lets the reader choose one of many small parts by pointing, or with the arrow keys as on a slider;
// describe(i) returns the description of part i.
function makeExplorable(box, parts, label, describe) {
  const attributes = {
    role: "slider", tabindex: 0, "aria-label": label, "aria-orientation": "horizontal",
    "aria-valuemin": 0, "aria-valuemax": parts.length - 1,
  };
  filled(box, attributes, []);
  let current = 0;
  const say = (isShown) => {
    const sentence = describe(current);
    box.setAttribute("aria-valuenow", current);
    box.setAttribute("aria-valuetext", sentence);
    if (isShown) byId("readout").textContent = sentence;
  };
  const choose = (i) => {
    parts[current]?.classList.remove("current");
    current = i;
    parts[current].classList.add("current");
    say(true);
  };
  box.addEventListener("pointerover", (event) => {
    const i = parts.findIndex((part) => part.contains(event.target));
    if (i >= 0) choose(i);
  });
  box.addEventListener("focus", () => choose(current));
  box.addEventListener("blur", () => parts[current].classList.remove("current"));
  box.addEventListener("keydown", (event) => {
    const moves = {ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10};
    const ends = {Home: 0, End: parts.length - 1};
    const i = ends[event.key] ?? current + (moves[event.key] ?? NaN);
    if (Number.isNaN(i)) return;
    event.preventDefault();
    choose(Math.min(Math.max(i, 0), parts.length - 1));
  });
  return () => say(parts[current].classList.contains("current"));
}

// Calls draw(width) now and whenever the width of a box changes; units grow with the text's size.
function onWidth(box, draw) {
  let before = 0;
  new ResizeObserver(() => {
    const unit = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
    const width = Math.max(Math.round(box.clientWidth / unit), 200);
    if (width === before) return;
    before = width;
    requestAnimationFrame(() => draw(width)); // drawing at once could change the observed width
  }).observe(box);
}

// A table with a header for each column; numbers are aligned to the right.
function table(caption, headers, rows) {
  const isNumber = headers.map((_, i) => rows.every(
    (row) => typeof row[i] === "number" || /^[\d,.]+%?$/.test(row[i] ?? "0"),
  ));
  const cell = (value) => (typeof value === "number" ? fixed(value) : value ?? "");
  const kind = (i) => (isNumber[i] ? "number" : null);
  return element(
    "div", {class: "scroll", tabindex: 0, role: "region", "aria-label": caption},
    element(
      "table", {},
      element("caption", {class: "muted"}, caption),
      element("thead", {}, element("tr", {}, ...headers.map(
        (header, i) => element("th", {scope: "col", class: kind(i)}, header),
      ))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map(
        (value, i) => element("td", {class: kind(i)}, cell(value)),
      )))),
    ),
  );
}
