// Section "How the loss fell": the run's curve between the baselines and the floor.

const CHART = {height: 340, left: 36, right: 92, top: 12, bottom: 30, label: 15};

function showLosses({content}) {
  const {curve, lines, missing} = content;
  byId("losses-table").append(table(
    "Losses at the end, in nats per token", ["", "train", "dev"],
    lines.map((line) => [line.name, line.train, line.dev]),
  ));
  if (curve === null) {
    byId("losses-picture").append(element("p", {class: "missing"}, missing.losses));
    return;
  }
  const {train, dev} = curve;
  const across = lines.filter(({name}) => name !== "this model")
    .map(({name, train, dev}) => ({name: name.split(/[ ,]/)[0], loss: dev ?? train}));
  const losses = [...train, ...dev].map(([, loss]) => loss).concat(across.map(({loss}) => loss));
  const steps = train.at(-1)[0];
  const low = losses.reduce((a, b) => Math.min(a, b)) - 0.05;
  // A bad start is left outside the picture, since it would flatten the rest.
  const sorted = [...losses].sort((a, b) => a - b);
  const high = Math.max(sorted[Math.floor(0.98 * (sorted.length - 1))],
    ...across.map(({loss}) => loss)) + 0.1;
  onWidth(byId("losses-picture"), (width) => {
    const chart = newChart(width, steps, low, high, "The loss over the steps of the run");
    chart.across(across);
    chart.line(train, "train");
    chart.dots(dev, "dev");
    byId("losses-picture").replaceChildren(chart.svg);
  });
  const outside = losses.reduce((a, b) => Math.max(a, b));
  byId("losses-caption").textContent =
    "Blue: train, the mean loss of each part of the steps. " +
    (dev.length ? `Orange: dev, last ${fixed(dev.at(-1)[1])}. ` : "") +
    "Dashed: losses on dev, and that of the floor on train. " +
    (outside > high ? `Losses up to ${fixed(outside, 2)} are outside the picture.` : "");
}

// A picture of losses over steps.
function newChart(width, steps, low, high, label) {
  const {height, left, right, top, bottom} = CHART;
  const svg = svgElement("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label});
  const x = (step) => left + (width - left - right) * step / Math.max(steps, 1);
  const y = (loss) => {
    const inside = Math.min(Math.max(loss, low), high);
    return top + (height - top - bottom) * (high - inside) / (high - low);
  };
  const level = (kind, loss) => svgElement(
    "line", {class: kind, x1: left, x2: width - right, y1: y(loss), y2: y(loss)},
  );
  const write = (kind, at, text, anchor) => svg.append(
    svgElement("text", {class: kind, ...at, "text-anchor": anchor}, text),
  );
  for (const loss of niceNumbers(low, high, 5)) {
    svg.append(level("axis", loss));
    write("tick", {x: left - 6, y: y(loss) + 4}, String(loss), "end");
  }
  for (const step of niceNumbers(0, steps, width / 130)) {
    write("tick", {x: x(step), y: height - 8}, grouped(step), "middle");
  }
  const path = (points) => points.map(
    ([step, loss], i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(loss).toFixed(1)}`,
  ).join("");
  return {
    svg,
    line: (points, kind) => svg.append(svgElement("path", {class: kind, d: path(points)})),
    dots: (points, kind) => svg.append(...points.map(
      ([step, loss]) => svgElement("circle", {class: kind, cx: x(step), cy: y(loss), r: 4.5}),
    )),
    // The lines run from left to right, with their names behind them, one above the other.
    across(lines) {
      const sorted = [...lines].sort((a, b) => b.loss - a.loss);
      const places = apart(sorted.map(({loss}) => y(loss)), CHART.label, height - bottom);
      sorted.forEach(({name, loss}, i) => {
        svg.append(level("reference", loss));
        write("label", {x: width - right + 5, y: places[i] + 4}, `${name} ${fixed(loss, 3)}`, "start");
      });
    },
  };
}

// Moves rising places so that neighbours are at least so far apart, and none is beyond the last.
function apart(places, distance, last) {
  const moved = [...places];
  for (let i = 1; i < moved.length; i++) moved[i] = Math.max(moved[i], moved[i - 1] + distance);
  for (let i = moved.length - 1, most = last; i >= 0; i--, most -= distance) {
    moved[i] = Math.min(moved[i], most);
  }
  return moved;
}

// Round numbers, about `count` of them, between two others.
function niceNumbers(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const by = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) * power;
  const first = Math.ceil(low / by), last = Math.floor(high / by);
  return Array.from({length: last - first + 1}, (_, i) => +((first + i) * by).toPrecision(6));
}
