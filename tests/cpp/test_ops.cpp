// The operations without Python: zero and odd sizes, equal bits for any threads, errors.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "check.hpp"
#include "makemore/error.hpp"
#include "makemore/ops.hpp"
#include "makemore/random.hpp"

using namespace makemore;

namespace {

using Floats = std::vector<float>;

Floats normals(int64_t n, uint64_t seed) {
  Floats values(static_cast<size_t>(n));
  const RandomStream stream(seed, Purpose::C, 0);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto word = static_cast<uint32_t>(i);
    values[i] = static_cast<float>(normal_of_word(stream.block(word / 4)[word % 4]));
  }
  return values;
}

std::vector<int32_t> tokens(int64_t n, int64_t V, uint64_t seed) {
  std::vector<int64_t> rows(static_cast<size_t>(n));
  if (n > 0) batch_rows(rows.data(), seed, 0, n, V);
  return {rows.begin(), rows.end()};
}

// n elements and no more, so that a sanitizer sees an access past the end.
Floats outputs(int64_t n) { return Floats(static_cast<size_t>(n), NAN); }

// Every result of every operation, by one number of threads, in the sizes B, T, E, H and V.
struct Results {
  Floats emb, dC, h, logits, dx, dW1, db1, dh, dW2, db2, dlogits, log_p;
  double loss = 0;
  bool operator==(const Results&) const = default;
};

Results run(int64_t B, int64_t T, int64_t E, int64_t H, int64_t V, int threads) {
  const int64_t K = T * E;
  const Floats C = normals(V * E, 1), W1 = normals(K * H, 2), b1 = normals(H, 3),
               W2 = normals(H * V, 4), b2 = normals(V, 5);
  const std::vector<int32_t> X = tokens(B * T, V, 6), Y = tokens(B, V, 7);
  Results r{.emb = outputs(B * K),
            .dC = outputs(V * E),
            .h = outputs(B * H),
            .logits = outputs(B * V),
            .dx = outputs(B * K),
            .dW1 = outputs(K * H),
            .db1 = outputs(H),
            .dh = outputs(B * H),
            .dW2 = outputs(H * V),
            .db2 = outputs(V),
            .dlogits = outputs(B * V),
            .log_p = outputs(B * V)};
  embedding_forward(r.emb.data(), C.data(), X.data(), B, T, E, V, threads);
  linear_tanh_forward(r.h.data(), r.emb.data(), W1.data(), b1.data(), B, K, H, threads);
  linear_forward(r.logits.data(), r.h.data(), W2.data(), b2.data(), B, H, V, threads);
  if (B > 0) {
    r.loss = cross_entropy(r.dlogits.data(), r.logits.data(), Y.data(), B, V, threads);
    EXPECT(cross_entropy(nullptr, r.logits.data(), Y.data(), B, V, threads) == r.loss);
  }
  linear_backward(r.dh.data(), r.dW2.data(), r.db2.data(), r.dlogits.data(), r.h.data(), W2.data(),
                  B, H, V, threads);
  linear_tanh_backward(r.dx.data(), r.dW1.data(), r.db1.data(), r.dh.data(), r.h.data(),
                       r.emb.data(), W1.data(), B, K, H, threads);
  embedding_backward(r.dC.data(), r.dx.data(), X.data(), B, T, E, V, threads);
  log_softmax(r.log_p.data(), r.logits.data(), B, V, threads);
  return r;
}

bool all_finite(const Floats& values) {
  for (const float x : values) {
    if (!std::isfinite(x)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("zero and odd sizes: every element is written, and threads do not change a bit") {
  const int64_t shapes[][5] = {{0, 3, 2, 5, 4},       {3, 0, 2, 5, 4},      {3, 2, 0, 5, 4},
                               {3, 2, 2, 0, 4},       {1, 1, 1, 1, 1},      {2, 3, 5, 7, 11},
                               {31, 3, 7, 33, 27},    {17, 1, 17, 15, 129}, {129, 2, 3, 1, 2},
                               {701, 3, 13, 101, 61}, {3, 2, 67, 503, 1031}};
  for (const auto& [B, T, E, H, V] : shapes) {
    const Results one = run(B, T, E, H, V, 1);
    for (const Floats* values : {&one.emb, &one.dC, &one.h, &one.logits, &one.dx, &one.dW1,
                                 &one.db1, &one.dh, &one.dW2, &one.db2, &one.dlogits, &one.log_p}) {
      EXPECT_THAT(all_finite(*values), "not finite at B = " + std::to_string(B));
    }
    for (const int threads : {2, 7}) {
      EXPECT_THAT(run(B, T, E, H, V, threads) == one, "other bits with " + std::to_string(threads) +
                                                          " threads at B = " + std::to_string(B));
    }
  }
}

TEST_CASE("no context means no tokens, however many examples there are") {
  const Floats C{1, 2, 3, 4};
  embedding_forward(nullptr, C.data(), nullptr, 1'000'000, 0, 2, 2);
  Floats dC = outputs(4);
  embedding_backward(dC.data(), nullptr, nullptr, 1'000'000, 0, 2, 2);
  EXPECT(dC == Floats(4));
}

TEST_CASE("small numbers by hand") {
  const Floats x{1, 2}, W{1, 0, -1, 3, 1, 2}, b{0.5f, 0, 0}, dy{1, -1, 2};
  Floats y(3), dx(2), dW(6), db(3);
  linear_forward(y.data(), x.data(), W.data(), b.data(), 1, 2, 3);
  EXPECT(y == (Floats{7.5f, 2, 3}));
  linear_backward(dx.data(), dW.data(), db.data(), dy.data(), x.data(), W.data(), 1, 2, 3);
  EXPECT(dx == (Floats{-1, 6}));
  EXPECT(dW == (Floats{1, -1, 2, 2, -2, 4}));
  EXPECT(db == dy);
  const std::vector<int32_t> Y{1};
  Floats logits{0, 0};
  EXPECT(std::abs(cross_entropy(logits.data(), logits.data(), Y.data(), 1, 2) - std::log(2.0)) <
         1e-7);
  EXPECT(logits == (Floats{0.5f, -0.5f}));
  Floats w{1, -2, 4};
  sgd_update(w.data(), dy.data(), 0.5, 0.5, 3);
  EXPECT(w == (Floats{0.25f, -1, 2}));
  sgd_update(nullptr, nullptr, 0.5, 0.5, 0);
}

TEST_CASE("tokens outside the vocabulary are refused by place and value") {
  const Floats C(4), x(12);
  Floats out(12);
  const std::vector<int32_t> X{0, 1, 1, 2, 0, 1}, Y{0, -7};
  EXPECT_THROWS(embedding_forward(out.data(), C.data(), X.data(), 2, 3, 2, 2), RangeError,
                "token 2 at X[1, 0] is outside the vocabulary [0, 2)");
  EXPECT_THROWS(embedding_backward(out.data(), x.data(), X.data(), 3, 2, 2, 2), RangeError,
                "token 2 at X[1, 1]");
  EXPECT_THROWS(embedding_forward(out.data(), C.data(), X.data(), 2, 3, 2, 0), RangeError,
                "token 0 at X[0, 0] is outside the vocabulary [0, 0)");
  EXPECT_THROWS(cross_entropy(out.data(), x.data(), Y.data(), 2, 3), RangeError,
                "token -7 at Y[1] is outside the vocabulary [0, 3)");
}

TEST_CASE("sizes, rates and threads outside their range are refused") {
  const Floats x(4);
  Floats out(4);
  const std::vector<int32_t> Y{0};
  EXPECT_THROWS(cross_entropy(out.data(), x.data(), Y.data(), 0, 4), ArgumentError, "rows");
  EXPECT_THROWS(cross_entropy(out.data(), x.data(), Y.data(), 1, 0), ArgumentError, "columns");
  EXPECT_THROWS(log_softmax(out.data(), x.data(), 1, 0), ArgumentError, "columns");
  EXPECT_THROWS(log_softmax(out.data(), x.data(), -1, 4), ArgumentError, "rows");
  EXPECT_THROWS(log_softmax(out.data(), x.data(), 1, 4, -1), ArgumentError, "threads");
  EXPECT_THROWS(linear_forward(out.data(), x.data(), x.data(), x.data(), 1, -1, 4), ArgumentError,
                "inputs");
  EXPECT_THROWS(sgd_update(out.data(), x.data(), -1, 0, 4), ArgumentError, "lr = -1");
  EXPECT_THROWS(sgd_update(out.data(), x.data(), 1, NAN, 4), ArgumentError, "weight_decay = nan");
  EXPECT_THROWS(sgd_update(out.data(), x.data(), 1e39, 0, 4), ArgumentError, "lr = 1e+39");
}

TEST_CASE("sample_tokens: the first token whose cumulative probability exceeds u") {
  const float none = -std::numeric_limits<float>::infinity();
  const Floats row{std::log(0.25f), none, std::log(0.5f), std::log(0.25f), none};
  int32_t token = -1;
  const auto sample = [&](double u, const Floats& log_p) {
    sample_tokens(&token, log_p.data(), &u, 1, static_cast<int64_t>(log_p.size()));
    return token;
  };
  EXPECT(sample(0, row) == 0);
  EXPECT(sample(0.2499, row) == 0);
  EXPECT(sample(0.2501, row) == 2);
  EXPECT(sample(0.8, row) == 3);
  EXPECT(sample(0.9999999999, {std::log(0.5f), std::log(0.25f), none}) == 1);
  for (const double u : {-0.1, 1.0, double{NAN}}) {
    EXPECT_THROWS(sample(u, row), ArgumentError, "u[0]");
  }
  for (const Floats& log_p : {Floats{}, Floats{none, none}, Floats{NAN, 0}, Floats{5, 5}}) {
    EXPECT_THROWS(sample(0.5, log_p), ArgumentError, "log_probs[0]");
  }
  sample_tokens(nullptr, nullptr, nullptr, 0, 5);
}

int main() { return check::run(); }
