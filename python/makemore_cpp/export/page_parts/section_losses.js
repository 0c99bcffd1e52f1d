// Section "How the loss fell": the run's curve between what is to be beaten and the floor.

const CHART = {width: 860, height: 380, left: 48, right: 16, top: 12, bottom: 34};

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
    .map(({name, train, dev}) => ({name: dev === null ? name : `${name}, dev`, loss: dev ?? train}));
  const losses = [...train, ...dev].map(([, loss]) => loss).concat(across.map(({loss}) => loss));
  const steps = train.at(-1)[0];
  const low = losses.reduce((a, b) => Math.min(a, b)) - 0.05;
  // A bad start is left outside the picture, or it would flatten the rest.
  const sorted = [...losses].sort((a, b) => a - b);
  const high = Math.max(sorted[Math.floor(0.98 * (sorted.length - 1))],
    ...across.map(({loss}) => loss)) + 0.1;
  const chart = newChart(steps, low, high, "The loss over the steps of the run");
  for (const {name, loss} of across) chart.across(loss, name);
  chart.line(train, "train");
  chart.dots(dev, "dev");
  byId("losses-picture").append(chart.svg);
  const outside = losses.reduce((a, b) => Math.max(a, b));
  byId("losses-caption").textContent =
    "Blue: train, the mean loss of each part of the steps. " +
    (dev.length ? `Orange: dev, last ${fixed(dev.at(-1)[1])}. ` : "") +
    (outside > high ? `Losses up to ${fixed(outside, 2)} are outside the picture.` : "");
}

// A picture of losses over steps.
function newChart(steps, low, high, label) {
  const {width, height, left, right, top, bottom} = CHART;
  const svg = svgElement("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label});
  const x = (step) => left + (width - left - right) * step / Math.max(steps, 1);
  const y = (loss) => {
    const inside = Math.min(Math.max(loss, low), high);
    return top + (height - top - bottom) * (high - inside) / (high - low);
  };
  for (const loss of niceNumbers(low, high)) {
    svg.append(
      svgElement("line", {class: "axis", x1: left, x2: width - right, y1: y(loss), y2: y(loss)}),
      svgElement("text", {class: "tick", x: left - 6, y: y(loss) + 4, "text-anchor": "end"}, String(loss)),
    );
  }
  for (const step of niceNumbers(0, steps)) {
    svg.append(svgElement("text", {
      class: "tick", x: x(step), y: height - 10,
      "text-anchor": step > 0.95 * steps ? "end" : "middle",
    }, grouped(step)));
  }
  const path = (points) => points.map(([step, loss], i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(loss).toFixed(1)}`).join("");
  return {
    svg,
    line(points, kind) {
      const line = svgElement("path", {class: kind, d: path(points)});
      svg.append(line);
      return (more) => line.setAttribute("d", path(more));
    },
    dots: (points, kind) => svg.append(...points.map(
      ([step, loss]) => svgElement("circle", {class: kind, cx: x(step), cy: y(loss), r: 5}),
    )),
    across: (loss, name) => svg.append(
      svgElement("line", {class: "reference", x1: left, x2: width - right, y1: y(loss), y2: y(loss)}),
      svgElement("text", {class: "label", x: width - right, y: y(loss) - 5, "text-anchor": "end"}, `${name}: ${fixed(loss, 3)}`),
    ),
  };
}

// Four to eight round numbers between two others.
function niceNumbers(low, high) {
  const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const by = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) * power;
  const first = Math.ceil(low / by), last = Math.floor(high / by);
  return Array.from({length: last - first + 1}, (_, i) => +((first + i) * by).toPrecision(6));
}
