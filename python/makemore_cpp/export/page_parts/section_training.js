// Section "Train one yourself": a small net that learns in the page, with the lecture's mistakes.

const LIVE = {E: 4, H: 32, STEPS: 5000, SEED: 1, MS_PER_FRAME: 12, POINTS: 250};
const MAX_RUNS = 6, MAX_LIVE_CHARACTERS = 500_000, MAX_LIVE_TOKENS = 500;
const BOUNDARIES = [".", "$", "|", "#", "\u2403", "\ue000"];

function showTraining({vocab, content, texts}) {
  const uniform = (V) => ({name: "uniform", loss: Math.log(V)});
  const bigram = content.lines.find(({name}) => name === "bigram counts");
  let runs = [], frame = 0, current = null, width = 200;

  // The texts to be learnt: the reader's own lines, or the texts of the page.
  const source = () => {
    const lines = byId("own-lines").value.split("\n").map((line) => line.trim()).filter(Boolean);
    if (lines.length === 0) {
      const across = [uniform(vocab.itos.length), {name: "bigram", loss: bigram.train}];
      return {vocab, tokens: () => texts.tokens, across};
    }
    const characters = [...new Set(lines.join(""))].sort();
    const boundary = BOUNDARIES.find((one) => !characters.includes(one));
    if (boundary === undefined || characters.length >= MAX_LIVE_TOKENS) return null;
    const own = newVocab({itos: [boundary, ...characters], separator: "", unknown: null});
    const tokens = () => lines.map((line) => own.encode(line).tokens);
    return {vocab: own, tokens, across: [uniform(own.itos.length)]};
  };

  const start = () => {
    stop();
    const from = source();
    if (from === null) {
      say(`These lines have too many different characters; a small net takes ${MAX_LIVE_TOKENS}.`);
      return;
    }
    const chosen = new FormData(byId("training-form"));
    const T = Number(chosen.get("context")), lr = Number(chosen.get("lr"));
    const batch = Number(chosen.get("batch")), H = chosen.get("layer") === "none" ? 0 : LIVE.H;
    const init = chosen.get("init");
    const net = newNet(T, LIVE.E, H, from.vocab.itos.length, LIVE.SEED, init);
    const name = [
      `learning rate ${lr}`, init === "scaled" ? "scaled start" : "bad start",
      H ? `${H} hidden units` : "no hidden layer", `context ${T}`, `batch ${batch}`,
    ].join(", ");
    if (runs.length === MAX_RUNS) runs.shift();
    current = {
      name, net, lr, from, losses: [], sum: 0, count: 0, began: 0, milliseconds: 0, first: null,
      trainer: newTrainer(net, buildDataset(from.tokens(), T), batch, LIVE.SEED), state: "training",
    };
    runs.push(current);
    say(`Training: ${name}.`);
    byId("stop-training").disabled = false;
    frame = requestAnimationFrame(train);
  };

  const train = () => {
    const begin = performance.now(), run = current;
    run.began ||= begin;
    let now = begin;
    while (run.trainer.steps < LIVE.STEPS && now - begin < LIVE.MS_PER_FRAME) {
      const loss = run.trainer.step(run.lr);
      if (!Number.isFinite(loss)) {
        run.state = "diverged";
        break;
      }
      run.first ??= loss;
      run.sum += loss;
      run.count += 1;
      if (run.count === LIVE.STEPS / LIVE.POINTS) {
        run.losses.push([run.trainer.steps, run.sum / run.count]);
        run.sum = run.count = 0;
      }
      now = performance.now();
    }
    run.milliseconds = now - run.began;
    draw();
    if (run.state === "training" && run.trainer.steps < LIVE.STEPS) {
      frame = requestAnimationFrame(train);
    } else {
      finish(run.state === "diverged" ? "diverged" : "done");
    }
  };

  const finish = (state) => {
    const run = current;
    run.state = state;
    current = null;
    byId("stop-training").disabled = true;
    draw();
    if (state === "diverged") {
      say(`Diverged: after step ${grouped(run.trainer.steps)} the loss is no number.`);
      return;
    }
    const invented = Array.from({length: 8}, (_, i) => run.from.vocab.decode(
      sampleTokens(run.net, 42, i, 1, [], 20),
    ));
    say(`${state === "done" ? "Done" : "Stopped"}: loss ${lastLoss(run)} after ` +
      `${grouped(run.trainer.steps)} steps, at ${speedOf(run)} steps a second. It makes up: `,
      ...invented.flatMap((text, i) => [i ? ", " : "", data(text)]));
  };

  const stop = () => {
    cancelAnimationFrame(frame);
    if (current) finish("stopped");
  };

  const say = (...parts) => byId("training-message").replaceChildren(...parts);
  const lastLoss = (run) => (run.losses.length ? fixed(run.losses.at(-1)[1], 3) : "unknown");
  const speedOf = (run) => grouped(Math.round(1000 * run.trainer.steps / Math.max(run.milliseconds, 1)));

  const draw = () => {
    const across = (runs.at(-1) ?? {from: source()}).from?.across ?? [];
    const chart = newChart(width, LIVE.STEPS, 1.8, 4,
      "The losses of the nets trained here, over their steps");
    chart.across(across);
    runs.forEach((run, i) => chart.line(run.losses, `live run-${i}`));
    byId("training-picture").replaceChildren(chart.svg);
    byId("training-runs").replaceChildren(...runs.map((run, i) => element(
      "li", {}, element("span", {class: `key run-${i}`}),
      `${run.name}: ` + (run.state === "diverged"
        ? `diverged at step ${grouped(run.trainer.steps)}`
        : `${lastLoss(run)} after ${grouped(run.trainer.steps)} steps`) +
      (run.first > 4 ? `, from ${fixed(run.first, 1)}, which is outside the picture` : ""),
    )));
  };

  byId("training-form").addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });
  byId("stop-training").addEventListener("click", stop);
  byId("clear-training").addEventListener("click", () => {
    stop();
    runs = [];
    say();
    draw();
  });
  byId("own-lines").maxLength = MAX_LIVE_CHARACTERS;
  onWidth(byId("training-picture"), (now) => {
    width = now;
    draw();
  });
}
