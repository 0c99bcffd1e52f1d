// The trainer and the forward pass without Python: they are compared with scalar loops in float64,
// and with themselves under other threads, divisions into calls and instruction sets.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <limits>
#include <mutex>
#include <numeric>
#include <thread>
#include <tuple>
#include <vector>

#include "base/dispatch.hpp"
#include "check.hpp"
#include "makemore/error.hpp"
#include "makemore/exchange.hpp"
#include "makemore/forward.hpp"
#include "makemore/machine.hpp"
#include "makemore/random.hpp"
#include "makemore/trainer.hpp"
#include "net/distinct_contexts.hpp"
#include "train/negatives.hpp"

using namespace makemore;

namespace {

struct Problem {
  Sizes sizes;
  std::vector<int32_t> X, Y;
  ParameterArrays parameters;
  int64_t count;

  Problem(const Sizes& s, int64_t n) : sizes(s), parameters(s), count(n) {
    const RandomStream stream(11, Purpose::batch, 0);
    const auto token = [&](int64_t i) {
      return static_cast<int32_t>(stream.word64(static_cast<uint64_t>(i)) %
                                  static_cast<uint64_t>(s.vocab_size));
    };
    for (int64_t i = 0; i < n * s.block_size; ++i) X.push_back(token(i));
    for (int64_t i = 0; i < n; ++i) Y.push_back(token(n * s.block_size + i));
    initial_parameters(parameters.view(), s, 3, Init::lecture);
  }
  Examples examples() const { return {X.data(), Y.data(), count}; }
  std::vector<float> train(const std::vector<double>& lr, const Batches& batches,
                           const TrainOptions& options, uint64_t first_step = 0) {
    std::vector<float> losses(lr.size());
    const int64_t done =
        train_steps(losses.data(), parameters.view(), {}, sizes, examples(), lr.data(),
                    static_cast<int64_t>(lr.size()), first_step, batches, options);
    losses.resize(static_cast<size_t>(done));
    return losses;
  }
};

TrainOptions on_threads(int threads, double dropout = 0) {
  TrainOptions options;
  options.dropout = dropout;
  options.threads = threads;
  return options;
}

bool same(const ParameterArrays& a, const ParameterArrays& b) {
  return a.C == b.C && a.W1 == b.W1 && a.b1 == b.b1 && a.W2 == b.W2 && a.b2 == b.b2;
}

// The loss of all examples by scalar loops in float64.
double loss_by_definition(const Problem& p) {
  const auto [T, E, H, V, is_direct] = p.sizes;
  double sum = 0;
  for (int64_t i = 0; i < p.count; ++i) {
    std::vector<double> h(static_cast<size_t>(H)), logits(static_cast<size_t>(V));
    for (int64_t j = 0; j < H; ++j) {
      double z = p.parameters.b1[size_t(j)];
      for (int64_t t = 0; t < T; ++t) {
        for (int64_t e = 0; e < E; ++e) {
          z += double{p.parameters.C[size_t(p.X[size_t(i * T + t)] * E + e)]} *
               p.parameters.W1[size_t((t * E + e) * H + j)];
        }
      }
      h[size_t(j)] = std::tanh(z);
    }
    for (int64_t k = 0; is_direct && k < T * E; ++k) {
      h.push_back(p.parameters.C[size_t(p.X[size_t(i * T + k / E)] * E + k % E)]);
    }
    double sum_exp = 0;
    for (int64_t v = 0; v < V; ++v) {
      double x = p.parameters.b2[size_t(v)];
      for (size_t f = 0; f < h.size(); ++f) x += h[f] * p.parameters.W2[f * size_t(V) + size_t(v)];
      logits[size_t(v)] = x;
      sum_exp += std::exp(x);
    }
    sum += std::log(sum_exp) - logits[size_t(p.Y[size_t(i)])];
  }
  return sum / static_cast<double>(p.count);
}

// The place where ranks that are threads of this process exchange.
struct Meeting {
  explicit Meeting(int64_t size) : barrier(size), data(static_cast<size_t>(size)) {}
  std::barrier<> barrier;
  std::vector<std::byte*> data;
};

class ThreadRank : public Exchange {
 public:
  ThreadRank(int64_t rank, Meeting& meeting)
      : Exchange(rank, std::ssize(meeting.data)), meeting_(meeting) {}

  void all_gather(void* data, const std::vector<int64_t>& bytes) override {
    ++exchanges;
    if (std::ssize(bytes) != size) throw Error("a part of the message is no rank's");
    const auto self = static_cast<size_t>(rank);
    meeting_.data[self] = static_cast<std::byte*>(data);
    meeting_.barrier.arrive_and_wait();
    int64_t begin = 0;
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (meeting_.data[i] == nullptr) throw Error("a rank has left the others");
      if (i != self) std::copy_n(meeting_.data[i] + begin, bytes[i], meeting_.data[self] + begin);
      begin += bytes[i];
    }
    meeting_.barrier.arrive_and_wait();
  }
  // Leaves the other ranks, so that none waits for this one.
  void leave() {
    meeting_.data[static_cast<size_t>(rank)] = nullptr;
    meeting_.barrier.arrive_and_drop();
  }
  int64_t exchanges = 0;

 private:
  Meeting& meeting_;
};

// Calls body(rank) on `size` ranks at the same time.
void on_ranks(int64_t size, const std::function<void(ThreadRank&)>& body) {
  Meeting meeting(size);
  std::vector<std::string> sentences(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < size; ++i) {
    threads.emplace_back([&, i] {
      ThreadRank rank(i, meeting);
      try {
        body(rank);
      } catch (const Error& error) {
        sentences[static_cast<size_t>(i)] = error.what();
      }
      rank.leave();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& sentence : sentences) EXPECT_THAT(sentence.empty(), sentence);
}

// A problem with an optimiser that has a state.
struct Run {
  Problem problem;
  ParameterArrays m, v;
  explicit Run(const Sizes& sizes) : problem(sizes, 500), m(sizes), v(sizes) {}

  std::vector<float> train(TrainOptions options, const Batches& batches, int64_t steps,
                           double rate = 0.02) {
    OptimizerState state;
    if (options.update.optimizer != Optimizer::sgd) {
      for (const auto& [name, arrays] : {std::pair{"m.", &m}, std::pair{"v.", &v}}) {
        for (size_t i = 0; i < kParameters.size(); ++i) {
          auto& array = *arrays->all()[i];
          state.push_back({name + std::string(kParameters[i].name), array.data(),
                           static_cast<int64_t>(array.size())});
        }
      }
    }
    const std::vector<double> lr(static_cast<size_t>(steps), rate);
    std::vector<float> losses(lr.size());
    train_steps(losses.data(), problem.parameters.view(), state, problem.sizes, problem.examples(),
                lr.data(), steps, 0, batches, options);
    return losses;
  }
  bool same(const Run& other) const {
    return ::same(problem.parameters, other.problem.parameters) && ::same(m, other.m) &&
           ::same(v, other.v);
  }
};

void for_each_isa(const std::function<void()>& body) {
  for (const std::string& isa : isas_found()) {
    use_isa(isa);
    body();
  }
}

}  // namespace

TEST_CASE("mean_loss and a step's loss are the definition's") {
  for_each_isa([] {
    for (const Sizes& sizes :
         {Sizes{3, 10, 200, 27}, Sizes{1, 1, 1, 1}, Sizes{2, 5, 33, 50}, Sizes{2, 5, 33, 1003},
          Sizes{1, 2, 9, 20011}, Sizes{3, 4, 20, 27, true}, Sizes{2, 3, 0, 50, true},
          Sizes{2, 5, 33, 1003, true}}) {
      Problem problem(sizes, 300);  // more than one chunk of units, and several panels
      const double exact = loss_by_definition(problem);
      const double loss = mean_loss(sizes, std::as_const(problem.parameters).view(),
                                    problem.X.data(), problem.Y.data(), 300);
      EXPECT(std::abs(loss - exact) < 1e-4 * (1 + exact));
      const float first = problem.train({0.0}, {Batches::Kind::all, 0, nullptr}, {})[0];
      EXPECT(std::abs(first - exact) < 1e-4 * (1 + exact));
    }
  });
}

TEST_CASE("mean_loss of many examples, whose contexts repeat or do not, with any threads") {
  for_each_isa([] {
    for (const Sizes& sizes :
         {Sizes{2, 3, 20, 9}, Sizes{3, 2, 5, 1}, Sizes{9, 2, 20, 30}, Sizes{2, 2, 5, 1003},
          Sizes{2, 3, 20, 9, true}, Sizes{2, 2, 0, 1003, true}}) {
      Problem problem(sizes, 3000);
      const auto loss = [&](int threads) {
        return mean_loss(sizes, std::as_const(problem.parameters).view(), problem.X.data(),
                         problem.Y.data(), problem.count, threads);
      };
      const double exact = loss_by_definition(problem);
      EXPECT(std::abs(loss(1) - exact) < 1e-4 * (1 + exact));
      EXPECT(loss(2) == loss(1) && loss(7) == loss(1));
      problem.Y[2999] = static_cast<int32_t>(sizes.vocab_size);
      EXPECT_THROWS(loss(2), RangeError, "at Y[2999] is outside the vocabulary");
      problem.Y[2999] = 0;
      problem.X[size_t(1500 * sizes.block_size)] = -1;
      EXPECT_THROWS(loss(2), RangeError, "token -1 at X[1500, 0] is outside the vocabulary");
    }
  });
}

void check_step_by_differences(const Sizes& sizes, size_t per_array) {
  for_each_isa([&] {
    Problem problem(sizes, 40);
    const Problem before = problem;
    const double lr = 1e-3;
    problem.train({lr}, {Batches::Kind::all, 0, nullptr}, {});
    const auto check_array = [&](std::vector<float> ParameterArrays::* array) {
      const size_t stride = 1 + (before.parameters.*array).size() / per_array;
      for (size_t i = 0; i < (before.parameters.*array).size(); i += stride) {
        const double gradient =
            ((before.parameters.*array)[i] - (problem.parameters.*array)[i]) / lr;
        Problem above = before, below = before;
        const float step = 1e-2f;
        (above.parameters.*array)[i] += step;
        (below.parameters.*array)[i] -= step;
        const double difference =
            (loss_by_definition(above) - loss_by_definition(below)) / (2 * double{step});
        // A float32 parameter of size 4 rounds the step to 2^-22 / lr; the difference is off by
        // the third derivative times step^2.
        EXPECT(std::abs(gradient - difference) < 1e-3);
      }
    };
    check_array(&ParameterArrays::C);
    check_array(&ParameterArrays::W1);
    check_array(&ParameterArrays::b1);
    check_array(&ParameterArrays::W2);
    check_array(&ParameterArrays::b2);
  });
}

TEST_CASE("a gradient step descends as its central difference says") {
  check_step_by_differences({2, 3, 20, 7}, 40);
}

TEST_CASE("the same where the output layer is cut along tokens") {
  EXPECT(!cut_step(40, {2, 3, 20, 1000}).token_groups.empty());
  check_step_by_differences({2, 3, 20, 1000}, 15);
}

TEST_CASE("the same bits with any number of threads and any division into calls") {
  for_each_isa([] {
    for (const auto& [sizes, batch_size, dropout] :
         {std::tuple{Sizes{3, 10, 200, 27}, int64_t{32}, 0.0},
          std::tuple{Sizes{3, 10, 400, 27}, int64_t{300}, 0.0},
          std::tuple{Sizes{3, 10, 200, 27}, int64_t{300}, 0.3},
          std::tuple{Sizes{2, 4, 30, 1000}, int64_t{16}, 0.0},
          std::tuple{Sizes{2, 4, 100, 1000}, int64_t{130}, 0.3},
          std::tuple{Sizes{2, 2, 5, 1000}, int64_t{1100}, 0.3},  // several chunks
          std::tuple{Sizes{2, 4, 30, 20011}, int64_t{33}, 0.0},
          std::tuple{Sizes{3, 10, 200, 27, true}, int64_t{300}, 0.3},
          std::tuple{Sizes{2, 2, 5, 1000, true}, int64_t{1100}, 0.3},
          std::tuple{Sizes{2, 4, 0, 1003, true}, int64_t{33}, 0.0}}) {
      const std::vector<double> lr(12, 0.1);
      const Batches batches{Batches::Kind::drawn, batch_size, nullptr};
      Problem one(sizes, 500);
      const std::vector<float> losses = one.train(lr, batches, on_threads(1, dropout));
      for (const int threads : {2, 3, 7}) {
        Problem many(sizes, 500);
        EXPECT(many.train(lr, batches, on_threads(threads, dropout)) == losses);
        EXPECT(same(one.parameters, many.parameters));
      }
      Problem divided(sizes, 500);
      std::vector<float> parts;
      for (const int64_t n : {1, 4, 0, 7}) {
        const std::vector<float> part = divided.train(std::vector<double>(size_t(n), 0.1), batches,
                                                      on_threads(0, dropout), parts.size());
        parts.insert(parts.end(), part.begin(), part.end());
      }
      EXPECT(parts == losses);
      EXPECT(same(one.parameters, divided.parameters));
    }
  });
}

TEST_CASE("a step's cut covers all units and tokens, whatever the shape") {
  for (const int64_t V : {int64_t{1}, int64_t{27}, int64_t{999}, int64_t{1000}, int64_t{1001},
                          int64_t{20011}, int64_t{1} << 16}) {
    for (const int64_t H : {1, 16, 17, 100, 512, 3000}) {
      for (const int64_t B : {1, 7, 8, 32, 256, 5000}) {
        const StepCut cut = cut_step(B, {3, 10, H, V});
        const auto sum = [](const std::vector<int64_t>& parts) {
          return std::accumulate(parts.begin(), parts.end(), int64_t{0});
        };
        const bool along_tokens = V >= 1000 && B >= 8;
        EXPECT(sum(cut.hidden_blocks) == H && sum(cut.token_groups) == (along_tokens ? V : 0));
        for (const auto& parts : {cut.hidden_blocks, cut.token_groups}) {
          EXPECT(parts.size() <= 16);
          for (const int64_t part : parts) EXPECT(part > 0);
        }
        if (cut.token_groups.size() > 1) {
          EXPECT(*std::min_element(cut.token_groups.begin(), cut.token_groups.end()) >= 192);
        }
        EXPECT(cut.tile_tokens >= (along_tokens ? 48 : 0) && cut.tile_tokens <= 192);
        EXPECT(cut.chunk_rows > 0 && cut.chunk_rows <= B);
        EXPECT(!along_tokens || cut.chunk_rows * V <= int64_t{1} << 25);  // 128 MiB
      }
    }
  }
}

TEST_CASE(
    "a sampled softmax: the same bits with any threads and division, and all tokens at most") {
  for_each_isa([] {
    for (const int64_t V : {2, 27, 1003}) {
      const double dropout = V == 27 ? 0 : 0.25;
      for (const int64_t negatives : {int64_t{1}, V / 2, V - 1}) {
        const Problem start({2, 3, 20, V}, 700);
        const std::vector<double> lr(6, 0.1);
        for (const Batches batches : {Batches{}, Batches{Batches::Kind::all, 0, nullptr}}) {
          const auto options = [&](int threads) {
            TrainOptions o = on_threads(threads, dropout);
            o.negatives = negatives;
            return o;
          };
          Problem one = start;
          const std::vector<float> losses = one.train(lr, batches, options(1));
          for (const int threads : {2, 3, 7}) {
            Problem many = start;
            EXPECT(many.train(lr, batches, options(threads)) == losses);
            EXPECT(same(one.parameters, many.parameters));
          }
          Problem divided = start;
          std::vector<float> parts = divided.train({0.1, 0.1}, batches, options(2));
          const std::vector<float> rest =
              divided.train(std::vector<double>(4, 0.1), batches, options(1), 2);
          parts.insert(parts.end(), rest.begin(), rest.end());
          EXPECT(parts == losses && same(one.parameters, divided.parameters));
          if (negatives < V - 1) continue;
          const std::vector<float> full = Problem(start).train(lr, batches, on_threads(2, dropout));
          for (size_t i = 0; i < full.size(); ++i) {
            EXPECT(std::abs(full[i] - losses[i]) < 1e-3f * full[i]);
          }
        }
      }
    }
  });
  Problem problem({2, 3, 20, 27}, 700);
  for (const int64_t negatives : {-1, 27}) {
    TrainOptions options;
    options.negatives = negatives;
    EXPECT_THROWS(problem.train({0.1}, {}, options), ArgumentError, "negatives = ");
  }
  // Targets of rows that no step uses may be no tokens: they count for nothing.
  problem.Y[5] = 1 << 30;
  problem.Y[6] = -1;
  const std::vector<int64_t> rows = {0, 1};
  TrainOptions options;
  options.negatives = 3;
  EXPECT(problem.train({0.1}, {Batches::Kind::given, 2, rows.data()}, options).size() == 1);
}

TEST_CASE("a sampled softmax: each group of tokens has about as many candidates as the others") {
  const int64_t V = 5000, N = 40'000, groups = 4, steps = 30;
  for (const auto& [negatives, B] : {std::pair{512, 256}, std::pair{64, 1024}}) {
    std::vector<int32_t> Y;
    for (int64_t i = 0; i < N; ++i) {  // the lowest tokens are by far the most frequent
      const double u = static_cast<double>(i * 7919 % N) / static_cast<double>(N);
      Y.push_back(static_cast<int32_t>(static_cast<double>(V) * u * u * u));
    }
    Negatives drawer(Y.data(), N, V, negatives, B, groups, 1, {});
    Candidates candidates(most_candidates(V, negatives, B), B);
    std::vector<int64_t> counts(groups);
    for (int64_t step = 0; step < steps; ++step) {
      std::vector<int64_t> rows(static_cast<size_t>(B));
      batch_rows(rows.data(), 1, static_cast<uint64_t>(step), B, N);
      std::vector<int32_t> targets;
      for (const int64_t row : rows) targets.push_back(Y[static_cast<size_t>(row)]);
      drawer.draw(kernels(), candidates, static_cast<uint64_t>(step), targets.data(), B);
      for (size_t g = 0; g < groups; ++g) {
        for (int64_t i = candidates.starts[g]; i < candidates.starts[g + 1]; ++i) {
          EXPECT(candidates.tokens[i] >= drawer.first_tokens()[g] &&
                 candidates.tokens[i] < drawer.first_tokens()[g + 1]);
          ++counts[g];
        }
      }
      for (int64_t b = 0; b < B; ++b) {
        EXPECT(candidates.tokens[candidates.places[b]] == targets[static_cast<size_t>(b)]);
      }
    }
    const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
    EXPECT_THAT(*most * 10 < *least * 12, std::to_string(*least) + ", " + std::to_string(*most));
  }
}

void check_ranks(const Sizes& sizes, int64_t batch_size, TrainOptions options) {
  const Batches batches{Batches::Kind::drawn, batch_size, nullptr};
  EXPECT(cut_step(batch_size, sizes, options.negatives.value_or(0)).token_groups.size() >= 4);
  Run one(sizes);
  const std::vector<float> losses = one.train(options, batches, 5);
  std::mutex mutex;  // guards the counts of the checks
  for (const int64_t size : {1, 2, 3, 4}) {
    on_ranks(size, [&](ThreadRank& rank) {
      TrainOptions shared = options;
      shared.exchange = &rank;
      Run run(sizes);
      const std::vector<float> found = run.train(shared, batches, 5);
      const std::lock_guard<std::mutex> lock(mutex);
      EXPECT(rank.exchanges > 0);
      EXPECT(found == losses);
      EXPECT(run.same(one));
    });
  }
}

TEST_CASE("ranks: each has the bits of one process, whatever their number") {
  for (const auto& [optimizer, decay] :
       {std::pair{Optimizer::sgd, 0.0}, std::pair{Optimizer::sgd, 0.01},
        std::pair{Optimizer::adam, 0.0}, std::pair{Optimizer::adamw, 0.01}}) {
    for (const bool is_sampled : {false, true}) {
      for (const auto& [sizes, batch_size, dropout] :
           {std::tuple{Sizes{2, 4, 30, 3000}, int64_t{16}, 0.0},
            std::tuple{Sizes{2, 4, 100, 5003, true}, int64_t{130}, 0.3},
            std::tuple{Sizes{2, 4, 0, 3001, true}, int64_t{33}, 0.0},
            std::tuple{Sizes{2, 2, 5, 1000}, int64_t{1100}, 0.3}}) {  // several chunks
        TrainOptions options = on_threads(2, dropout);
        options.update.optimizer = optimizer;
        options.update.weight_decay = decay;
        if (is_sampled) options.negatives = sizes.vocab_size * 9 / 10;
        check_ranks(sizes, batch_size, options);
      }
    }
  }
}

TEST_CASE("ranks: the same loss, divergence on all of them, and who has nothing to share") {
  std::mutex mutex;
  const Sizes sizes{2, 4, 30, 3000};
  const Run before(sizes);
  const auto loss_of = [&](const Problem& p, Exchange* exchange) {
    return mean_loss(sizes, std::as_const(p.parameters).view(), p.X.data(), p.Y.data(), p.count, 1,
                     {}, exchange);
  };
  const double loss = loss_of(before.problem, nullptr);
  for (const bool is_embedding : {false, true}) {
    on_ranks(3, [&](ThreadRank& rank) {
      Run run = before;
      const double found = loss_of(run.problem, &rank);
      TrainOptions options;
      options.exchange = &rank;
      auto& [C, W1, b1, W2, b2] =
          static_cast<PerParameter<std::vector<float>>&>(run.problem.parameters);
      // One weight alone overflows, by its decay, which one rank alone sees: no hidden unit is on.
      for (auto* array : {&C, &W1, &b1}) std::fill(array->begin(), array->end(), 0.0f);
      float& overflows = is_embedding ? C.back() : W2[2999];
      overflows = 1e38f;
      options.update.weight_decay = 100;
      std::string sentence;
      try {
        run.train(options, {}, 2, 0.1);
      } catch (const DivergedError& error) {
        sentence = error.what();
      }
      const std::lock_guard<std::mutex> lock(mutex);
      EXPECT(found == loss);
      EXPECT_THAT(sentence.starts_with("step 0: an updated parameter"), "'" + sentence + "'");
      EXPECT(overflows == 1e38f);
      EXPECT(b2 == before.problem.parameters.b2);
    });
  }
  for (const auto& [few, word] : {std::pair{Sizes{2, 4, 30, 27}, "is not cut along tokens"},
                                  std::pair{Sizes{2, 4, 30, 1000}, "of which there are 4"}}) {
    Meeting meeting(5);
    ThreadRank rank(0, meeting);
    TrainOptions options;
    options.exchange = &rank;
    EXPECT_THROWS(Run(few).train(options, {}, 1), ArgumentError, word);
  }
}

TEST_CASE("embeddings that do not occur keep their bits, also those that are not finite") {
  Problem problem({2, 3, 10, 1000}, 40);
  problem.parameters.C[999 * 3] = -0.0f;  // zeros keep their sign
  for (int32_t& token : problem.X) token %= 900;
  const ParameterArrays before = problem.parameters;
  const std::vector<double> lr(3, 0.1);
  problem.train(lr, {}, {});
  EXPECT(std::equal(before.C.begin() + 900 * 3, before.C.end(),
                    problem.parameters.C.begin() + 900 * 3));
  EXPECT(std::signbit(problem.parameters.C[999 * 3]));
  EXPECT(problem.parameters.C[size_t(problem.X[0] * 3)] != before.C[size_t(problem.X[0] * 3)]);
  problem.parameters.C[950 * 3] = std::numeric_limits<float>::infinity();
  EXPECT_THROWS(problem.train(lr, {}, {}), DivergedError, "an updated parameter is not finite");
}

TEST_CASE("logits so far apart that an exponential of their difference overflows") {
  for_each_isa([] {
    for (const int64_t V : {30, 1000}) {
      const Sizes sizes{1, 2, 40, V};
      EXPECT(cut_step(16, sizes).token_groups.size() == (V < 1000 ? 0 : 4));
      for (const int64_t greatest : {int64_t{0}, V / 2, V - 1}) {
        Problem problem(sizes, 16);
        for (float& b : problem.parameters.b2) b = -150.0f;
        problem.parameters.b2[size_t(greatest)] = 150.0f;
        const double exact = loss_by_definition(problem);
        const auto view = std::as_const(problem.parameters).view();
        const double loss =
            mean_loss(problem.sizes, view, problem.X.data(), problem.Y.data(), problem.count);
        EXPECT(std::abs(loss - exact) < 1e-5 * exact);
        const std::vector<float> losses =
            problem.train({0.1, 0.1}, {Batches::Kind::all, 0, nullptr}, {});
        EXPECT(std::abs(losses[0] - exact) < 1e-5 * exact && losses[1] < losses[0]);
      }
    }
  });
}

TEST_CASE("log_probs: a row does not depend on the others") {
  for_each_isa([] {
    for (const int64_t V : {27, 1003, 16384}) {
      const Problem problem({3, 10, 70, V}, 300);
      std::vector<float> all(size_t(300 * V)), some;
      const auto view = std::as_const(problem.parameters).view();
      log_probs(all.data(), problem.sizes, view, problem.X.data(), 300);
      for (const int64_t n : {1, 40}) {
        some.resize(size_t(n * V));
        for (int64_t i = 0; i + n <= 300; i += 41) {
          log_probs(some.data(), problem.sizes, view, problem.X.data() + i * 3, n);
          EXPECT(std::equal(some.begin(), some.end(), all.begin() + i * V));
        }
      }
    }
  });
}

TEST_CASE("a token far outside the vocabulary is never used, by any thread") {
  Problem problem({3, 10, 200, 27}, 100);
  problem.Y[7] = 1 << 30;
  const ParameterArrays before = problem.parameters;
  std::vector<int64_t> rows(40 * 32, 1);
  rows.back() = 7;  // of the last step
  for (int repeat = 0; repeat < 50; ++repeat) {
    EXPECT_THROWS(problem.train(std::vector<double>(40, 0.1),
                                {Batches::Kind::given, 32, rows.data()}, on_threads(2)),
                  RangeError, "token 1073741824 at Y[7]");
  }
  EXPECT(same(problem.parameters, before));
}

TEST_CASE("should_stop ends the call at a step; errors leave the parameters as they were") {
  Problem stopped({3, 10, 200, 27}, 100), whole = stopped;
  const std::vector<double> lr(10, 0.1);
  std::vector<float> losses(10);
  int polls = 0;
  const int64_t done =
      train_steps(losses.data(), stopped.parameters.view(), {}, stopped.sizes, stopped.examples(),
                  lr.data(), 10, 0, {}, {}, [&] { return ++polls == 4; });
  EXPECT(done == 4 && polls == 4);
  whole.train(std::vector<double>(4, 0.1), {}, {});
  EXPECT(same(stopped.parameters, whole.parameters));

  const ParameterArrays before = stopped.parameters;
  EXPECT_THROWS(stopped.train({0.1, 1e38, 1e38, 1e38}, {}, {}), DivergedError, "step ");
  EXPECT(same(stopped.parameters, before));
  stopped.X[5 * 3 + 1] = 27;
  EXPECT_THROWS(stopped.train(lr, {Batches::Kind::all, 0, nullptr}, on_threads(2)), RangeError,
                "token 27 at X[5, 1] is outside the vocabulary [0, 27)");
  const std::vector<int64_t> rows = {0, 1, 2, 100};
  EXPECT_THROWS(stopped.train({0.1, 0.1}, {Batches::Kind::given, 2, rows.data()}, {}), RangeError,
                "row 100 at rows[1, 1] is outside the examples [0, 100)");
  const std::vector<int64_t> good_rows = {0, 1, 2, 99};  // the bad token's row is not used
  EXPECT(stopped.train({0.1, 0.1}, {Batches::Kind::given, 2, good_rows.data()}, {}).size() == 2);
  EXPECT_THROWS(stopped.train({-0.1}, {}, {}), ArgumentError, "lr[0] = -0.1");
  EXPECT_THROWS(stopped.train({0.1}, {Batches::Kind::drawn, 0, nullptr}, {}), ArgumentError,
                "batch_size = 0");
  EXPECT_THROWS(stopped.train({0.1}, {Batches::Kind::drawn, int64_t{1} << 40, nullptr}, {}),
                ArgumentError, "batch_size = 1099511627776");
}

TEST_CASE("late threads count the same chunks, whose number differs from batch to batch") {
  const Problem start({2, 4, 200, 27}, 700);
  const std::vector<double> lr(200, 0.01);
  const Batches batches{Batches::Kind::drawn, 405, nullptr};  // about 256 contexts, a chunk's
  Problem one = start;
  const std::vector<float> losses = one.train(lr, batches, on_threads(1));
  for (const int threads : {2, 4}) {
    std::vector<std::thread> others;  // compete with the team for the processors
    std::atomic<bool> done{false};
    for (int i = 0; i < 4; ++i) {
      others.emplace_back([&] {
        while (!done) std::this_thread::sleep_for(std::chrono::microseconds(20));
      });
      others.emplace_back([&] {
        while (!done) continue;
      });
    }
    Problem many = start;
    EXPECT(many.train(lr, batches, on_threads(threads)) == losses);
    EXPECT(same(one.parameters, many.parameters));
    done = true;
    for (std::thread& other : others) other.join();
  }
}

TEST_CASE("distinct contexts: numbered by first appearance, with their targets in order") {
  const int64_t T = 2, B = 2000;
  std::vector<int32_t> X, Y;
  for (int64_t b = 0; b < B; ++b) {  // 35 contexts, and as many more that occur once
    const auto i = static_cast<int32_t>(b * b % 71 % 35);
    X.push_back(b % 50 == 7 ? 1000 + static_cast<int32_t>(b) : i % 5);
    X.push_back(i / 5);
    Y.push_back(static_cast<int32_t>(b));
  }
  for (const bool share : {true, false}) {
    DistinctContexts contexts(T, B, share);
    for (const int64_t n : {B, int64_t{1}, int64_t{700}}) {
      contexts.build(X.data(), Y.data(), n);
      std::vector<std::vector<int32_t>> keys;  // by definition
      std::vector<std::vector<int32_t>> targets;
      for (int64_t b = 0; b < n; ++b) {
        const std::vector<int32_t> key = {X[size_t(b * T)], X[size_t(b * T + 1)]};
        auto place = share ? std::find(keys.begin(), keys.end(), key) : keys.end();
        if (place == keys.end()) {
          keys.push_back(key);
          targets.emplace_back();
          place = keys.end() - 1;
        }
        targets[size_t(place - keys.begin())].push_back(Y[size_t(b)]);
      }
      EXPECT(contexts.count() == static_cast<int64_t>(keys.size()));
      EXPECT(contexts.starts()[0] == 0 && contexts.starts()[contexts.count()] == n);
      for (int64_t i = 0; i < contexts.count(); ++i) {
        const int32_t* key = contexts.X() + i * T;
        EXPECT(std::vector<int32_t>(key, key + T) == keys[size_t(i)]);
        const int32_t *first = contexts.Y() + contexts.starts()[i],
                      *last = contexts.Y() + contexts.starts()[i + 1];
        EXPECT(std::vector<int32_t>(first, last) == targets[size_t(i)]);
      }
    }
  }
}

int main() { return check::run(); }
