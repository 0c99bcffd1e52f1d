// The model in JavaScript: random numbers, forward pass, sampling and training, without a page.
//
// A net is {T, E, H, V, direct, C, W1, b1, W2, b2}: sizes and typed arrays in row-major order, C (V,E),
// W1 (K,H), b1 (H), W2 (F,V), b2 (V), with K = T*E.  F is H, or H + K where the embeddings are directly
// connected to the output layer, too; without a hidden layer, H is 0.  Sums are in double precision,
// and so are the parameters of a net that is trained here.

// -- random numbers: Philox4x32-10, the same words as everywhere in makemore_cpp -----------------
const PURPOSES = {C: 0, W1: 1, b1: 2, W2: 3, b2: 4, batch: 5, sample: 6};
const TWO_32 = 4294967296;

// The upper 32 bits of the product of two 32-bit words, from products of their halves.
function highProduct(a, b) {
  const a0 = a & 0xffff, a1 = a >>> 16, b0 = b & 0xffff, b1 = b >>> 16;
  const middle = a1 * b0 + (Math.imul(a0, b0) >>> 16);
  const low = (middle & 0xffff) + a0 * b1;
  return a1 * b1 + (middle >>> 16) + (low >>> 16);
}

// Writes the four words of a block into words[0..3]: a pure function of the counter and the seed.
function philox(words, block, purpose, index, seed) {
  let c0 = block >>> 0, c1 = PURPOSES[purpose];
  let c2 = index >>> 0, c3 = Math.floor(index / TWO_32) >>> 0;
  let k0 = seed >>> 0, k1 = Math.floor(seed / TWO_32) >>> 0;
  for (let round = 0; round < 10; round++) {
    const high0 = highProduct(c0, 0xd2511f53), low0 = Math.imul(c0, 0xd2511f53) >>> 0;
    const high1 = highProduct(c2, 0xcd9e8d57), low1 = Math.imul(c2, 0xcd9e8d57) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

// A multiple of 2^-53 in [0, 1) for one position of one sample.
function sampleUniform(seed, index, position) {
  const words = [0, 0, 0, 0];
  philox(words, Math.floor(position / 2), "sample", index, seed);
  const low = words[2 * (position % 2)], high = words[2 * (position % 2) + 1];
  return (high * 2097152 + (low >>> 11)) / 9007199254740992;
}

// The rows of a step's minibatch: number b of the stream, a 64-bit r, gives row floor(r * n / 2^64).
function batchRows(rows, seed, step, n) {
  const words = [0, 0, 0, 0];
  for (let b = 0; b < rows.length; b++) {
    if (b % 2 === 0) philox(words, b / 2, "batch", step, seed);
    const low = words[2 * (b % 2)], high = words[2 * (b % 2) + 1];
    const carried = (Math.imul(high, n) >>> 0) + highProduct(low, n) >= TWO_32;
    rows[b] = highProduct(high, n) + (carried ? 1 : 0);
  }
}

// -- normal numbers, with the bits of the reference ----------------------------------------------
const LOG_SERIES = [19, 17, 15, 13, 11, 9, 7, 5, 3, 1].map((k) => 1 / k);
const ERFINV_CENTRE = [
  2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
  -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
];
const ERFINV_TAIL = [
  -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
  -0.0076224613, 0.00943887047, 1.00167406, 2.83297682,
];

function horner(coefficients, z) {
  let value = coefficients[0];
  for (let i = 1; i < coefficients.length; i++) value = value * z + coefficients[i];
  return value;
}

// ln t for 0 < t <= 1: Math.log may differ between browsers in the last place.
function seriesLog(t) {
  let m = t, e = 0;
  while (m < 0.7071067811865476) {
    m *= 2;
    e -= 1;
  }
  const s = (m - 1) / (m + 1);
  return e * 0.6931471805599453 + 2 * s * horner(LOG_SERIES, s * s);
}

// The inverse error function (Giles 2012).
function erfinv(x) {
  const w = -seriesLog((1 - x) * (1 + x));
  return (w < 5 ? horner(ERFINV_CENTRE, w - 2.5) : horner(ERFINV_TAIL, Math.sqrt(w) - 3)) * x;
}

// Standard normal numbers times a scale, one for each word of the stream, rounded to float32.
function normals(count, purpose, seed, scale) {
  const result = new Float64Array(count), words = [0, 0, 0, 0];
  if (scale === 0) return result;
  for (let i = 0; i < count; i++) {
    if (i % 4 === 0) philox(words, i / 4, purpose, 0, seed);
    const x = (2 * words[i % 4] + 1) / TWO_32 - 1;
    result[i] = Math.fround(Math.sqrt(2) * erfinv(x) * scale);
  }
  return result;
}

// A new net; init is "scaled" (the first loss is about ln V) or "lecture" (all from N(0,1)).  Without
// hidden units there are direct connections.
function newNet(T, E, H, V, seed, init) {
  const K = T * E, wide = init === "lecture";
  return {
    T, E, H, V, direct: H === 0,
    C: normals(V * E, "C", seed, 1),
    W1: normals(K * H, "W1", seed, wide ? 1 : 5 / 3 / Math.sqrt(K)),
    b1: normals(H, "b1", seed, wide ? 1 : 0),
    W2: normals((H || K) * V, "W2", seed, wide ? 1 : 0.01),
    b2: normals(V, "b2", seed, wide ? 1 : 0),
  };
}

// -- the forward pass ----------------------------------------------------------------------------
// x = C[context].reshape(K): the rows of the context's tokens, one after another.
function embed(net, context) {
  const x = new Float64Array(net.T * net.E);
  context.forEach((token, t) => {
    for (let e = 0; e < net.E; e++) x[t * net.E + e] = net.C[token * net.E + e];
  });
  return x;
}

// y = x @ W + b          x (n)  W (n,m)  b (m)
function linear(x, W, b) {
  const y = Float64Array.from(b), m = b.length;
  for (let i = 0; i < x.length; i++) {
    const xi = x[i], row = i * m;
    for (let j = 0; j < m; j++) y[j] += xi * W[row + j];
  }
  return y;
}

// h = tanh(x @ W1 + b1)
function hidden(net, x) {
  return linear(x, net.W1, net.b1).map(Math.tanh);
}

// logits = h @ W2 + b2, or [h, x] @ W2 + b2 with direct connections.
function logits(net, h, x) {
  return linear(net.direct ? [...h, ...x] : h, net.W2, net.b2);
}

// log p = z - ln(sum(exp(z))); the greatest logit is subtracted first, so that no exp overflows.
function logSoftmax(z) {
  const greatest = z.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = z.reduce((total, value) => total + Math.exp(value - greatest), 0);
  return z.map((value) => value - greatest - Math.log(sum));
}

// Log-probabilities (V) of the token after a context of T tokens.
function logProbs(net, context) {
  const x = embed(net, context);
  return logSoftmax(logits(net, hidden(net, x), x));
}

// The T tokens before a position of a text, filled up with boundaries (0).
function contextAt(tokens, position, T) {
  return Array.from({length: T}, (_, t) => tokens[position - T + t] ?? 0);
}

// The surprisals -log p, in nats, of each token and of the end.
function surprisals(net, tokens) {
  return [...tokens, 0].map((token, i) => -logProbs(net, contextAt(tokens, i, net.T))[token]);
}

// -- sampling ------------------------------------------------------------------------------------
// The first token whose cumulative weight exceeds u times the total.
function chooseToken(logP, u, temperature) {
  const best = logP.reduce((a, b) => Math.max(a, b), -Infinity);
  if (temperature === 0) return logP.indexOf(best);
  let sum = 0;
  const cumulative = logP.map((value) => {
    sum += Math.exp(temperature === 1 ? value : (value - best) / temperature);
    return sum;
  });
  const token = cumulative.findIndex((value) => value > u * sum);
  return token >= 0 ? token : cumulative.indexOf(sum);
}

// The tokens of sample number `index` of a seed; they begin with a prefix and are cut at maxLength.
function sampleTokens(net, seed, index, temperature, prefix, maxLength) {
  const tokens = [...prefix];
  while (tokens.length < maxLength) {
    const logP = logProbs(net, contextAt(tokens, tokens.length, net.T));
    const token = chooseToken(logP, sampleUniform(seed, index, tokens.length), temperature);
    if (token === 0) break;
    tokens.push(token);
  }
  return tokens;
}

// -- training ------------------------------------------------------------------------------------
// Every context of the texts (tokens without boundaries) and the token after it: X (N,T), Y (N).
function buildDataset(texts, T) {
  const N = texts.reduce((total, tokens) => total + tokens.length + 1, 0);
  const X = new Uint16Array(N * T), Y = new Uint16Array(N);
  let i = 0;
  for (const tokens of texts) {
    for (let position = 0; position <= tokens.length; position++, i++) {
      for (let t = 0; t < T; t++) X[i * T + t] = tokens[position - T + t] ?? 0;
      Y[i] = tokens[position] ?? 0;
    }
  }
  return {X, Y, T, N};
}

// A trainer of a net, in place, by minibatch descent; step() takes one step and returns its loss.
function newTrainer(net, data, batchSize, seed) {
  const names = ["C", "W1", "b1", "W2", "b2"], gradients = {};
  for (const name of names) gradients[name] = new Float64Array(net[name].length);
  const K = net.T * net.E, F = net.H + (net.direct ? K : 0);
  const scratch = {
    x: new Float64Array(K), dx: new Float64Array(K), p: new Float64Array(net.V),
    features: new Float64Array(F), dfeatures: new Float64Array(F),
  };
  scratch.h = scratch.features.subarray(0, net.H);
  scratch.dh = scratch.dfeatures.subarray(0, net.H);
  const rows = new Float64Array(batchSize);
  let steps = 0;
  return {
    get steps() { return steps; },
    step(lr) {
      batchRows(rows, seed, steps, data.N);
      for (const name of names) gradients[name].fill(0);
      let loss = 0;
      for (const row of rows) loss += addGradients(net, data, row, 1 / batchSize, gradients, scratch);
      for (const name of names) descend(net[name], gradients[name], lr);
      steps += 1;
      return loss / batchSize;
    },
  };
}

function descend(w, dw, lr) {
  for (let i = 0; i < w.length; i++) w[i] -= lr * dw[i];
}

// Adds the gradients of one example's loss, times its weight, and returns the loss.
function addGradients(net, data, row, weight, gradients, {x, h, features, p, dfeatures, dh, dx}) {
  const {T, E, H, V, C, direct} = net, K = T * E;
  for (let t = 0; t < T; t++) {
    const from = data.X[row * T + t] * E;
    for (let e = 0; e < E; e++) x[t * E + e] = C[from + e];
  }
  linearInto(h, x, net.W1, net.b1);
  for (let j = 0; j < H; j++) h[j] = Math.tanh(h[j]);
  if (direct) features.set(x, H);
  linearInto(p, features, net.W2, net.b2);
  const target = data.Y[row], loss = softmaxInto(p, target);
  for (let v = 0; v < V; v++) p[v] *= weight;
  p[target] -= weight; // now the gradient of the logits
  linearBackward(dfeatures, gradients.W2, gradients.b2, p, features, net.W2);
  for (let j = 0; j < H; j++) dh[j] *= 1 - h[j] * h[j];
  linearBackward(dx, gradients.W1, gradients.b1, dh, x, net.W1);
  if (direct) for (let k = 0; k < K; k++) dx[k] += dfeatures[H + k];
  for (let t = 0; t < T; t++) {
    const to = data.X[row * T + t] * E;
    for (let e = 0; e < E; e++) gradients.C[to + e] += dx[t * E + e];
  }
  return loss;
}

// y = x @ W + b, written into the array y.
function linearInto(y, x, W, b) {
  const m = y.length;
  for (let j = 0; j < m; j++) y[j] = b[j];
  for (let i = 0; i < x.length; i++) {
    const xi = x[i], row = i * m;
    for (let j = 0; j < m; j++) y[j] += xi * W[row + j];
  }
}

// dx = W @ dy; dW += outer(x, dy); db += dy
function linearBackward(dx, dW, db, dy, x, W) {
  const m = dy.length;
  for (let j = 0; j < m; j++) db[j] += dy[j];
  for (let i = 0; i < x.length; i++) {
    const xi = x[i], row = i * m;
    let sum = 0;
    for (let j = 0; j < m; j++) {
      sum += W[row + j] * dy[j];
      dW[row + j] += xi * dy[j];
    }
    dx[i] = sum;
  }
}

// Makes probabilities of logits, in place; returns the loss -log p[target].
function softmaxInto(z, target) {
  let greatest = -Infinity, sum = 0;
  for (let v = 0; v < z.length; v++) greatest = Math.max(greatest, z[v]);
  const loss = greatest - z[target];
  for (let v = 0; v < z.length; v++) {
    z[v] = Math.exp(z[v] - greatest);
    sum += z[v];
  }
  for (let v = 0; v < z.length; v++) z[v] /= sum;
  return loss + Math.log(sum);
}
