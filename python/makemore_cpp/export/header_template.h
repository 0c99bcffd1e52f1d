/*
NAME.h: a character-level language model for C99 and C++11, with the standard C library alone.

    #include <stdio.h>
    #include "NAME.h"  // or wherever this file is

    int main(void) {
      char text[20 * NAME_max_bytes + 1];  // room for 20 characters and the final zero
      for (uint64_t i = 0; i < 5; ++i) {
        double score;
        const ptrdiff_t bytes = NAME_sample(text, sizeof text, 42, i, 20, 1.0);
        if (bytes < 0 || NAME_score(text, (size_t)bytes, &score) != 0) return 1;
        printf("%s %.4f\n", text, score);
      }
      return 0;
    }

Link with -lm.  Everything is static, so that including this file is all it takes; each source file
that does so holds the tables once more.  Models with different names go into one program.
Nothing is allocated and no variable outlives a call, so that any number of threads may call.

Model:       the MLP of Bengio et al. (2003): block_size $T, n_embd $E, n_hidden $H, vocab_size $V,
             $n_parameters parameters
$vocabulary
Memory:      $table_bytes bytes of constant tables; about $stack_bytes bytes of stack in a call
Model file:  SHA-256 $model_sha256
Trained on:  $data
Made by:     makemore_cpp $version, export_header
*/
#ifndef MAKEMORE_NAME_H
#define MAKEMORE_NAME_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
  /* V tokens: token 0 is the end of a text, the others are characters. */
  NAME_vocab_size = $V,
  /* T tokens of context: the next token depends on the T tokens before it. */
  NAME_block_size = $T,
  /* E numbers in an embedding. */
  NAME_n_embd = $E,
  /* H hidden units. */
  NAME_n_hidden = $H,
  /* The bytes in UTF-8 of the longest character. */
  NAME_max_bytes = $max_bytes,
  /* The errors that a function returns. */
  NAME_not_utf8 = -1,       /* the text is not UTF-8, or has overlong forms or surrogates */
  NAME_unknown = -2,        /* a character of the text is not in the vocabulary */
  NAME_no_space = -3,       /* the buffer is too small */
  NAME_bad_temperature = -4 /* the temperature is negative or not a number */
};

/* The functions to call. */

/* *score = ln p(text), in nats: the log-probabilities of all its characters and of the end.
   The text has `length` bytes of UTF-8, and zeros are characters like others.
   Returns 0, or NAME_not_utf8 or NAME_unknown, whichever comes first in the text, and then leaves
   *score as it was. */
static inline int NAME_score(const char* text, size_t length, double* score);

/* log_probs[v] = ln p(the next token is v) after this prefix, for all V tokens.
   Returns as NAME_score does. */
static inline int NAME_log_probs(const char* text, size_t length,
                                 double log_probs[NAME_vocab_size]);

/* Writes sample number `index` of this seed, UTF-8 and a final zero, into `size` bytes; returns its
   length in bytes.  A text that would be longer is cut after max_length characters, for which
   max_length * NAME_max_bytes + 1 bytes are enough.  The temperature divides log-probabilities:
   1 is the model itself, 0 always takes the most probable token.  At 1 these are the texts that
   Python's makemore_cpp.sample gives for this seed, except where rounding in the last place
   decides, which is about one name in 50,000.
   Returns NAME_no_space or NAME_bad_temperature after leaving an empty text, where size > 0. */
static inline ptrdiff_t NAME_sample(char* out, size_t size, uint64_t seed, uint64_t index,
                                    size_t max_length, double temperature);

/* The code point of each token; that of token 0 only shows the end and is in no text. */
static const uint32_t NAME_characters[NAME_vocab_size] = $characters;

/* The parameters: float32, with as many digits as it takes to give the same bits again. */

/* C (V,E): embeddings. */
static const float NAME_C[NAME_vocab_size][NAME_n_embd] = $C;

/* W1 (T*E,H), b1 (H): the hidden layer. */
static const float NAME_W1[NAME_block_size * NAME_n_embd][NAME_n_hidden] = $W1;
static const float NAME_b1[NAME_n_hidden] = $b1;

/* W2 (H,V), b2 (V): the output layer. */
static const float NAME_W2[NAME_n_hidden][NAME_vocab_size] = $W2;
static const float NAME_b2[NAME_vocab_size] = $b2;

/* Conversion between text and tokens. */

/* Returns the token of the character at text[*at] and moves *at behind it, or an error. */
static inline int32_t NAME_decode(const char* text, size_t length, size_t* at) {
  static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000}; /* below: overlong */
  const unsigned char* bytes = (const unsigned char*)text + *at;
  const uint32_t lead = bytes[0];
  const size_t n = lead < 0x80 ? 1 : lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  uint32_t character = n == 1 ? lead : lead & (0x7Fu >> n);
  if (n == 0 || lead >= 0xF8 || n > length - *at) return NAME_not_utf8;
  for (size_t i = 1; i < n; ++i) {
    if ((bytes[i] & 0xC0) != 0x80) return NAME_not_utf8;
    character = character << 6 | (bytes[i] & 0x3Fu);
  }
  if (character < smallest[n] || character > 0x10FFFF) return NAME_not_utf8;
  if (character >= 0xD800 && character <= 0xDFFF) return NAME_not_utf8; /* surrogates */
  *at += n;
  for (int32_t token = 1; token < NAME_vocab_size; ++token) {
    if (NAME_characters[token] == character) return token;
  }
  return NAME_unknown;
}

/* Writes a token's character as UTF-8 into out[0..3]; returns the number of bytes. */
static inline size_t NAME_encode(char* out, int32_t token) {
  static const uint32_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  uint32_t c = NAME_characters[token];
  const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = n - 1; i > 0; --i) {
    out[i] = (char)(0x80 | (c & 0x3F));
    c >>= 6;
  }
  out[0] = (char)(lead[n] | c);
  return n;
}

/* The model. */

/* Drops the oldest token of the context and appends one. */
static inline void NAME_push(int32_t context[NAME_block_size], int32_t token) {
  memmove(context, context + 1, (NAME_block_size - 1) * sizeof context[0]);
  context[NAME_block_size - 1] = token;
}

/* logits (V) = tanh(x @ W1 + b1) @ W2 + b2, where x (T*E) are the embeddings of the context. */
static inline void NAME_forward(double logits[NAME_vocab_size],
                                const int32_t context[NAME_block_size]) {
  double h[NAME_n_hidden];
  for (size_t j = 0; j < NAME_n_hidden; ++j) h[j] = (double)NAME_b1[j];
  for (size_t t = 0; t < NAME_block_size; ++t) {
    for (size_t e = 0; e < NAME_n_embd; ++e) {
      const double x = (double)NAME_C[context[t]][e];
      const float* w = NAME_W1[t * NAME_n_embd + e];
      for (size_t j = 0; j < NAME_n_hidden; ++j) h[j] += x * (double)w[j];
    }
  }
  for (size_t v = 0; v < NAME_vocab_size; ++v) logits[v] = (double)NAME_b2[v];
  for (size_t j = 0; j < NAME_n_hidden; ++j) {
    const double activation = tanh(h[j]);
    for (size_t v = 0; v < NAME_vocab_size; ++v) logits[v] += activation * (double)NAME_W2[j][v];
  }
}

/* x = ln softmax(x / temperature), in place; temperature > 0. */
static inline void NAME_log_softmax(double x[NAME_vocab_size], double temperature) {
  double largest = x[0], sum = 0;
  for (size_t v = 1; v < NAME_vocab_size; ++v) {
    if (x[v] > largest) largest = x[v];
  }
  for (size_t v = 0; v < NAME_vocab_size; ++v) {
    x[v] = (x[v] - largest) / temperature;
    sum += exp(x[v]);
  }
  sum = log(sum);
  for (size_t v = 0; v < NAME_vocab_size; ++v) x[v] -= sum;
}

static inline int NAME_score(const char* text, size_t length, double* score) {
  int32_t context[NAME_block_size] = {0}; /* T ends: nothing comes before the text */
  double log_probs[NAME_vocab_size], sum = 0;
  int32_t token;
  size_t at = 0;
  do {
    token = at < length ? NAME_decode(text, length, &at) : 0;
    if (token < 0) return token;
    NAME_forward(log_probs, context);
    NAME_log_softmax(log_probs, 1);
    sum += log_probs[token];
    NAME_push(context, token);
  } while (token != 0);
  *score = sum;
  return 0;
}

static inline int NAME_log_probs(const char* text, size_t length,
                                 double log_probs[NAME_vocab_size]) {
  int32_t context[NAME_block_size] = {0};
  for (size_t at = 0; at < length;) {
    const int32_t token = NAME_decode(text, length, &at);
    if (token < 0) return token;
    NAME_push(context, token);
  }
  NAME_forward(log_probs, context);
  NAME_log_softmax(log_probs, 1);
  return 0;
}

/* Sampling. */

/* A multiple of 2^-53 in [0, 1), a function of its arguments alone.  The generator is Philox4x32-10
   (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3") with the counter
   (position / 2, 6 for samples, index) and the seed as its key; a block serves two positions. */
static inline double NAME_uniform(uint64_t seed, uint64_t index, uint64_t position) {
  uint32_t c0 = (uint32_t)(position / 2), c1 = 6;
  uint32_t c2 = (uint32_t)index, c3 = (uint32_t)(index >> 32);
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int i = 0; i < 10; ++i) {
    const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)p1;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  const uint64_t bits = position % 2 == 0 ? (uint64_t)c1 << 32 | c0 : (uint64_t)c3 << 32 | c2;
  return (double)(bits >> 11) / 9007199254740992.0; /* 2^53 */
}

/* Returns the first token whose cumulative probability exceeds u, with temperature 0 the most
   probable one; overwrites the logits. */
static inline int32_t NAME_draw(double logits[NAME_vocab_size], double temperature, double u) {
  double cumulative = 0;
  int32_t token = 0;
  if (!(temperature > 0)) {
    for (int32_t v = 1; v < NAME_vocab_size; ++v) {
      if (logits[v] > logits[token]) token = v;
    }
    return token;
  }
  NAME_log_softmax(logits, temperature);
  for (int32_t v = 0; v < NAME_vocab_size && !(cumulative > u); ++v) {
    const double p = exp(logits[v]);
    cumulative += p;
    if (p > 0) token = v; /* the last one so far, should rounding leave the sum below u */
  }
  return token;
}

static inline ptrdiff_t NAME_sample(char* out, size_t size, uint64_t seed, uint64_t index,
                                    size_t max_length, double temperature) {
  int32_t context[NAME_block_size] = {0};
  double logits[NAME_vocab_size];
  size_t used = 0;
  if (size == 0) return NAME_no_space;
  out[0] = 0;
  if (!(temperature >= 0)) return NAME_bad_temperature; /* NaN too */
  for (size_t position = 0; position < max_length; ++position) {
    char character[4];
    size_t n;
    NAME_forward(logits, context);
    const int32_t token = NAME_draw(logits, temperature, NAME_uniform(seed, index, position));
    if (token == 0) break;
    n = NAME_encode(character, token);
    if (n >= size - used) { /* no room for it and the final zero */
      out[0] = 0;
      return NAME_no_space;
    }
    memcpy(out + used, character, n);
    used += n;
    NAME_push(context, token);
  }
  out[used] = 0;
  return (ptrdiff_t)used;
}

#endif
