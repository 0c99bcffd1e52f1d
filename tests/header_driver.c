/* Calls an exported model, m.h, as lines of standard input say; texts and results are hexadecimal.
   Texts and buffers have exactly the bytes that they are said to have, for sanitizers to watch. */
#include <stdio.h>
#include <stdlib.h>

#include "m.h"

static char line[1 << 16];

/* Returns the bytes of a hexadecimal text, to be freed. */
static char* unhex(const char* digits, size_t* length) {
  *length = strspn(digits, "0123456789abcdef") / 2;
  char* bytes = (char*)malloc(*length);
  for (size_t i = 0; i < *length; ++i) {
    unsigned value;
    sscanf(digits + 2 * i, "%2x", &value);
    bytes[i] = (char)value;
  }
  return bytes;
}

static void score(const char* digits) {
  size_t length;
  char* text = unhex(digits, &length);
  double sum = 12345;
  const int code = m_score(text, length, &sum);
  printf("%d %.17g\n", code, sum);
  free(text);
}

static void next(const char* digits) {
  size_t length;
  char* text = unhex(digits, &length);
  double log_probs[m_vocab_size];
  const int code = m_log_probs(text, length, log_probs);
  printf("%d", code);
  for (int v = 0; v < m_vocab_size && code == 0; ++v) printf(" %.17g", log_probs[v]);
  printf("\n");
  free(text);
}

static void sample(const char* numbers) {
  unsigned long long seed, index, max_length, size;
  char temperature[40];
  sscanf(numbers, "%llu %llu %llu %llu %39s", &seed, &index, &max_length, &size, temperature);
  char* out = size == 0 ? NULL : (char*)malloc((size_t)size);
  const ptrdiff_t length =
      m_sample(out, (size_t)size, seed, index, (size_t)max_length, strtod(temperature, NULL));
  printf("%ld ", (long)length);
  for (ptrdiff_t i = 0; i < length; ++i) printf("%02x", (unsigned)(unsigned char)out[i]);
  printf("%s\n", size == 0 || out[length > 0 ? length : 0] == 0 ? "" : " no final zero");
  free(out);
}

static void bits(const float* table, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    uint32_t word;
    memcpy(&word, table + i, sizeof word);
    printf("%08lx ", (unsigned long)word);
  }
}

static void parameters(void) {
  bits(m_C[0], sizeof m_C / sizeof(float));
  bits(m_W1[0], sizeof m_W1 / sizeof(float));
  bits(m_b1, sizeof m_b1 / sizeof(float));
  bits(m_W2[0], sizeof m_W2 / sizeof(float));
  bits(m_b2, sizeof m_b2 / sizeof(float));
  printf("\n");
}

int main(void) {
  while (fgets(line, sizeof line, stdin)) {
    const char* rest = line + strcspn(line, " ") + 1;
    if (line[0] == 's') score(rest);
    if (line[0] == 'n') next(rest);
    if (line[0] == 'd') sample(rest);
    if (line[0] == 'p') parameters();
  }
  return 0;
}
