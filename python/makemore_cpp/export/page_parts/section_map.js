// Section "The map of the embeddings": tokens on a plane, over the run's evaluations where it kept them.

const MAP_SIZE = 400, MAX_LABELS = 150;

function showMap({net, vocab, content}) {
  const {points, axes, snapshots} = content.map;
  const shown = Math.min(vocab.itos.length, MAX_LABELS);
  const frames = [...snapshots, {step: null, points}];
  const place = mapScale(frames.flatMap((frame) => frame.points));
  const picture = svgElement("svg", {
    viewBox: `0 0 ${MAP_SIZE} ${MAP_SIZE}`, role: "img", class: shown > 60 ? "many" : null,
    "aria-label": `The embeddings of ${shown} tokens on a plane`,
  });
  const marks = points.slice(0, shown).map((_, v) => {
    const circle = svgElement("circle", {class: content.kinds[v], r: shown > 60 ? 4 : 12});
    const label = svgElement("text", {class: `token ${content.kinds[v]}`}, visible(vocab.itos[v]));
    picture.append(circle, label);
    return {circle, label};
  });
  byId("map-picture").append(picture);
  const show = (frame) => marks.forEach(({circle, label}, v) => {
    const [x, y] = place(frame.points[v]);
    filled(circle, {cx: x, cy: y}, []);
    filled(label, {x, y}, []);
  });
  show(frames.at(-1));
  const tokens = shown < vocab.itos.length ? `the first ${shown} of ` : "";
  const kinds = vocab.separator === "" && content.kinds.includes("vowel") ? ": vowels red, consonants blue" : "";
  byId("map-caption").textContent =
    `Across: ${axes[0]}. Upwards: ${axes[1]}. It shows ${tokens}${grouped(vocab.itos.length)} ` +
    `tokens${kinds}.`;
  showNearest(net, vocab, marks);
  if (snapshots.length) showScrubber(frames, show);
}

// The function from a point of the plane to one of the picture; both axes have the same scale.
function mapScale(points) {
  const [low, high] = [Math.min, Math.max].map((best) => [0, 1].map(
    (axis) => points.reduce((found, point) => best(found, point[axis]), points[0][axis]),
  ));
  const span = Math.max(high[0] - low[0], high[1] - low[1], 1e-9), margin = 18;
  const scale = (MAP_SIZE - 2 * margin) / span;
  const middle = [0, 1].map((axis) => (low[axis] + high[axis]) / 2);
  return ([x, y]) => [
    MAP_SIZE / 2 + (x - middle[0]) * scale, MAP_SIZE / 2 - (y - middle[1]) * scale,
  ];
}

// The cosine of the angle between two embeddings, 0 where one of them has no direction.
function cosine(net, a, b) {
  let dot = 0, aa = 0, bb = 0;
  for (let e = 0; e < net.E; e++) {
    const x = net.C[a * net.E + e], y = net.C[b * net.E + e];
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa * bb > 0 ? dot / Math.sqrt(aa * bb) : 0;
}

function showNearest(net, vocab, marks) {
  const choice = element("select", {id: "map-token"}, ...marks.map(
    (_, v) => element("option", {value: v}, v === 0 ? `${visible(vocab.itos[0])} (boundary)` : visible(vocab.itos[v])),
  ));
  const show = () => {
    const chosen = Number(choice.value);
    marks.forEach(({circle}, v) => circle.classList.toggle("chosen", v === chosen));
    const others = vocab.itos.map((_, v) => ({v, cosine: cosine(net, chosen, v)}))
      .filter(({v}) => v !== chosen).sort((a, b) => b.cosine - a.cosine).slice(0, 4);
    byId("map-nearest").replaceChildren(
      "Nearest by angle, in all ", `${net.E} dimensions: `,
      ...others.flatMap((other, i) => [
        i ? ", " : "", data(vocab.itos[other.v]), ` (cosine ${fixed(other.cosine, 2)})`,
      ]),
    );
  };
  choice.addEventListener("change", show);
  marks.forEach(({circle, label}, v) => {
    for (const part of [circle, label]) {
      part.addEventListener("click", () => {
        choice.value = v;
        show();
      });
    }
  });
  byId("map-controls").append(element(
    "span", {}, element("label", {for: "map-token"}, "What is like"), choice,
  ));
  choice.value = Math.min(1, marks.length - 1);
  show();
}

function showScrubber(frames, show) {
  const slider = element("input", {
    id: "map-step", type: "range", min: 0, max: frames.length - 1, value: frames.length - 1,
  });
  const step = element("output", {for: "map-step"});
  const move = () => {
    const frame = frames[slider.value];
    step.textContent = frame.step === null ? "the end" : `step ${grouped(frame.step)}`;
    slider.setAttribute("aria-valuetext", step.textContent);
    show(frame);
  };
  slider.addEventListener("input", move);
  byId("map-controls").append(element(
    "span", {}, element("label", {for: "map-step"}, "The run at"), slider, step,
  ));
  move();
}
