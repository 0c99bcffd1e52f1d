// Makes arrays, tokens and texts of the page's data, without a page.

// Reads numbers from the bytes of little-endian float32.
function floats(base64) {
  return new Float32Array(bytesOf(base64).buffer);
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

// The net of the page's data.
function netOf(data) {
  const net = {...data.sizes};
  for (const [name, base64] of Object.entries(data.parameters)) net[name] = floats(base64);
  return net;
}

// -- tokens --------------------------------------------------------------------------------------
// A codec between texts and tokens; token 0 is the boundary, which is in no text.
function newVocab({itos, separator, unknown}) {
  const stoi = new Map(itos.map((token, number) => [token, number]));
  stoi.delete(itos[0]);
  return {
    itos,
    separator,
    cut: (text) => (separator ? text.split(/\s+/u).filter(Boolean) : Array.from(text)),
    // The tokens of a text, or {stranger}: the first character or word not in the vocabulary.
    encode(text) {
      const tokens = this.cut(text).map((token) => stoi.get(token) ?? unknown ?? token);
      const stranger = tokens.find((token) => typeof token === "string");
      return stranger === undefined ? {tokens} : {stranger};
    },
    decode: (tokens) => tokens.map((token) => itos[token]).join(separator),
  };
}

// Shows a token or a text: invisible characters as code points, except spaces in a text.
function visible(text) {
  if (text === " ") return "\u2423";
  return Array.from(text, (character) => {
    if (character === " ") return character;
    const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    return /[\p{C}\p{Z}]/u.test(character) ? `U+${code}` : character;
  }).join("");
}

// -- texts ---------------------------------------------------------------------------------------
// Reads sorted texts: a digit tells how many characters each shares with the beginning of the last.
function textsOf({shared, rests, boundary}) {
  let before = [];
  return rests.split(boundary).map((rest, i) => {
    before = [...before.slice(0, parseInt(shared[i], 36)), ...Array.from(rest)];
    return before.join("");
  });
}

// A 32-bit number for a text: FNV-1a over its UTF-8, then the last steps of MurmurHash3.
function hashOf(text) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

// Reads a set of rising numbers, stored as differences with seven bits a byte, the lowest first.
function knownTexts({bits, differences}) {
  const numbers = new Set();
  let number = 0, difference = 0, shift = 1;
  for (const byte of bytesOf(differences)) {
    difference += (byte & 127) * shift;
    shift *= 128;
    if (byte < 128) {
      number += difference;
      numbers.add(number);
      difference = 0;
      shift = 1;
    }
  }
  return {has: (text) => numbers.has(hashOf(text) >>> (32 - bits))};
}

// -- the detector --------------------------------------------------------------------------------
// The share of good texts that score at most as high as one of this length and log-probability.
function pValue({shortest, mean, spread, leverage, rare, scores, tail}, logProb, length) {
  if (shortest > 0 && length === 0) return 1 / (scores.length + 1);
  const row = Math.min(Math.max(length - shortest, 0), mean.length - 1);
  const nearest = shortest + row, times = (length + 1) / (nearest + 1);
  const own = length === nearest ? leverage[row] : 1;
  const score = (logProb - mean[row] * times) / (spread[row] * Math.sqrt(times * (1 + rare * own)));
  let p = (1 + scores.filter((other) => other <= score).length) / (1 + scores.length);
  if (tail !== null && score < tail.below) {
    const excess = (tail.below - score) / tail.scale;
    p = tail.share * (Math.abs(tail.shape) < 1e-9
      ? Math.exp(-excess)
      : Math.max(1 - tail.shape * excess, 0) ** (1 / tail.shape));
  }
  return Math.max(p, 1 / (1 + scores.length));
}
