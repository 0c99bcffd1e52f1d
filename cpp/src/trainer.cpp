// The training loop: threads that own hidden units meet at four barriers a step.
#include "makemore/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <sstream>
#include <vector>

#include "buffer.hpp"
#include "check.hpp"
#include "dispatch.hpp"
#include "fold.hpp"
#include "hidden_block.hpp"
#include "makemore/error.hpp"
#include "makemore/machine.hpp"
#include "makemore/random.hpp"
#include "thread_pool.hpp"

namespace makemore {

Optimizer optimizer_named(const std::string& name) {
  if (name == "sgd") return Optimizer::sgd;
  throw ArgumentError("optimizer = '" + name + "' is not one of 'sgd'");
}

namespace {

class Trainer {
 public:
  Trainer(const Sizes& sizes, const ConstParameters& parameters, const Examples& examples,
          const Batches& batches, const TrainOptions& options)
      : kernel_(kernels()),
        sizes_(sizes),
        examples_(examples),
        batches_(batches),
        seed_(options.seed),
        weight_decay_(checked_rate("weight_decay", options.weight_decay)),
        B_(batches.kind == Batches::Kind::all ? examples.count : batches.batch_size),
        cut_(cut_step(B_, sizes)),
        fold_(sizes, B_, cut_.chunk_rows),
        rows_(B_),
        X_(B_ * sizes.block_size),
        Y_(B_),
        losses_(B_),
        C_(sizes.vocab_size * sizes.n_embd),
        dC_(sizes.vocab_size * sizes.n_embd),
        b2_(padded(sizes.vocab_size)),
        db2_(padded(sizes.vocab_size)),
        db2_chunk_(padded(sizes.vocab_size)),
        dlogits_(cut_.chunk_rows * padded(sizes.vocab_size)) {
    int64_t begin = 0;
    for (const int64_t units : cut_.hidden_blocks) {
      blocks_.push_back(
          std::make_unique<HiddenBlock>(sizes, begin, units, fold_.max_rows(), cut_.chunk_rows));
      blocks_.back()->pack(parameters);
      begin += units;
    }
    std::copy_n(parameters.C, sizes.vocab_size * sizes.n_embd, C_.get());
    std::copy_n(parameters.b2, sizes.vocab_size, b2_.get());
    finite_.resize(blocks_.size());
  }

  int64_t run(float* losses, const double* lr, int64_t steps, uint64_t first_step, int threads,
              const std::function<bool()>& should_stop) {
    const int size = static_cast<int>(std::min<int64_t>(threads, block_count()));
    int64_t done = 0;
    bool stop = false;
    choose_rows(0, first_step);
    prepare_batch();
    fold_.gather(C_.get());
    if (steps > 1) choose_rows(1, first_step + 1);
    run_team(size, [&](Team& team) {
      const Range mine = share_of(block_count(), team.rank(), team.size());
      for (int64_t step = 0; step < steps && !stop; ++step) {
        const auto rate = static_cast<float>(lr[step]);
        forward_backward(team, mine);
        for (int64_t i = mine.begin; i < mine.end; ++i) {
          block(i).backward_table(kernel_, fold_);
          finite_[static_cast<size_t>(i)] = block(i).update(kernel_, rate, weight_decay_);
        }
        team.barrier();
        if (team.rank() == 0) {
          losses[step] = finish_step(first_step + static_cast<uint64_t>(step), rate);
          done = step + 1;
          stop = done < steps && should_stop && should_stop();
          if (done < steps && !stop) {
            if (batches_.kind != Batches::Kind::all) prepare_batch();
            fold_.gather(C_.get());
            if (done + 1 < steps) {
              choose_rows(done + 1, first_step + static_cast<uint64_t>(done) + 1);
            }
          }
        }
        team.barrier();
      }
    });
    return done;
  }

  void write_back(const Parameters& to) const {
    std::copy_n(C_.get(), sizes_.vocab_size * sizes_.n_embd, to.C);
    std::copy_n(b2_.get(), sizes_.vocab_size, to.b2);
    for (const auto& owned : blocks_) owned->unpack(to);
  }

 private:
  int64_t block_count() const { return static_cast<int64_t>(blocks_.size()); }
  HiddenBlock& block(int64_t i) { return *blocks_[static_cast<size_t>(i)]; }

  // Chooses the examples of a step and asks for their memory, which is far apart.
  void choose_rows(int64_t step_of_call, uint64_t step) {
    if (batches_.kind == Batches::Kind::all) {
      for (int64_t b = 0; b < B_; ++b) rows_[b] = b;
    } else if (batches_.kind == Batches::Kind::given) {
      for (int64_t b = 0; b < B_; ++b) {
        rows_[b] = batches_.rows[step_of_call * B_ + b];
        if (rows_[b] < 0 || rows_[b] >= examples_.count) {
          throw RangeError("row " + std::to_string(rows_[b]) + " at rows[" +
                           std::to_string(step_of_call) + ", " + std::to_string(b) +
                           "] is outside the examples [0, " + std::to_string(examples_.count) +
                           ")");
        }
      }
    } else {
      batch_rows(rows_.get(), seed_, step, B_, examples_.count);
    }
    for (int64_t b = 0; b < B_; ++b) {
      __builtin_prefetch(examples_.X + rows_[b] * sizes_.block_size);
      __builtin_prefetch(examples_.Y + rows_[b]);
    }
  }

  // Copies, checks and folds the chosen examples.
  void prepare_batch() {
    const int64_t T = sizes_.block_size;
    const auto outside = [V = sizes_.vocab_size](int32_t token) { return token < 0 || token >= V; };
    bool any_outside = false;
    for (int64_t b = 0; b < B_; ++b) {
      const int32_t* from = examples_.X + rows_[b] * T;
      for (int64_t t = 0; t < T; ++t) any_outside |= outside(X_[b * T + t] = from[t]);
      any_outside |= outside(Y_[b] = examples_.Y[rows_[b]]);
    }
    if (any_outside) {
      for (int64_t b = 0; b < B_; ++b) {
        check_tokens("X", &X_[b * T], 1, T, sizes_.vocab_size, rows_[b]);
        check_tokens("Y", &Y_[b], 1, 0, sizes_.vocab_size, rows_[b]);
      }
    }
    fold_.build(X_.get(), B_);
    fold_.list_members(B_);
  }

  // The losses of the batch and the gradients of all but the embedding, chunk after chunk.
  void forward_backward(Team& team, Range mine) {
    float* const logits = block(0).logits.get();  // the sum of all blocks' shares
    const int64_t ld_V = block(0).ld_V;
    const float scale = 1.0f / static_cast<float>(B_);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      fold_.table(kernel_, block(i).table.get(), block(i).ld, block(i).W1.get(), block(i).ld,
                  block(i).ld);
    }
    for (int64_t first = 0; first < B_; first += cut_.chunk_rows) {
      const int64_t B = std::min(cut_.chunk_rows, B_ - first);
      const int32_t* rows = fold_.rows() + first * sizes_.block_size;
      for (int64_t i = mine.begin; i < mine.end; ++i) {
        block(i).forward(kernel_, rows, B, i == 0 ? b2_.get() : nullptr);
      }
      team.barrier();
      for (int64_t i = mine.begin; i < mine.end; ++i) {
        const Range part = share_of(B, i, block_count());
        const int64_t begin = part.begin * ld_V, length = (part.end - part.begin) * ld_V;
        for (int64_t j = 1; j < block_count(); ++j) {
          kernel_.add(logits + begin, block(j).logits.get() + begin, length);
        }
        kernel_.cross_entropy(&losses_[first + part.begin], &dlogits_[begin], logits + begin, ld_V,
                              &Y_[first + part.begin], scale, part.end - part.begin,
                              sizes_.vocab_size);
      }
      team.barrier();
      for (int64_t i = mine.begin; i < mine.end; ++i) {
        block(i).backward(kernel_, dlogits_.get(), fold_, first / cut_.chunk_rows, B);
      }
      if (team.rank() == team.size() - 1) add_to_db2(ld_V, B, first == 0);
      // No barrier here: what the next forward writes, no backward reads.
    }
  }

  void add_to_db2(int64_t ld_V, int64_t B, bool first) {
    kernel_.sum_rows(first ? db2_.get() : db2_chunk_.get(), dlogits_.get(), ld_V, B,
                     sizes_.vocab_size);
    if (!first) kernel_.add(db2_.get(), db2_chunk_.get(), sizes_.vocab_size);
  }

  // Updates what the blocks share; returns the loss.
  float finish_step(uint64_t step, float lr) {
    const auto [T, E, H, V] = sizes_;
    double sum = 0;
    for (int64_t b = 0; b < B_; ++b) sum += losses_[b];
    const double loss = sum / static_cast<double>(B_);

    std::fill_n(dC_.get(), V * E, 0.0f);
    for (int64_t row = 0; row < fold_.row_count(); ++row) {
      float* dC_row = &dC_[fold_.tokens()[row] * E];
      for (const auto& owned : blocks_) kernel_.add(dC_row, &owned->demb[row * E], E);
    }
    bool finite = kernel_.sgd_update(C_.get(), dC_.get(), lr, weight_decay_, V * E);
    finite &= kernel_.sgd_update(b2_.get(), db2_.get(), lr, 0, V) != 0;
    finite &= std::all_of(finite_.begin(), finite_.end(), [](char ok) { return ok != 0; });

    if (!std::isfinite(loss) || !finite) {
      std::ostringstream sentence;
      sentence << "step " << step << ": "
               << (std::isfinite(loss) ? "an updated parameter" : "the loss")
               << " is not finite (loss " << loss << ", learning rate " << lr
               << "); the parameters are as they were before the call";
      throw DivergedError(sentence.str(), static_cast<int64_t>(step), loss, lr);
    }
    return static_cast<float>(loss);
  }

  const Kernels& kernel_;
  const Sizes sizes_;
  const Examples examples_;
  const Batches batches_;
  const uint64_t seed_;
  const float weight_decay_;
  const int64_t B_;
  const StepCut cut_;
  Fold fold_;
  Buffer<int64_t> rows_;                // (B)
  Buffer<int32_t> X_, Y_;               // (B,T) (B)
  Buffer<float> losses_;                // (B)
  Buffer<float> C_, dC_;                // (V,E)
  Buffer<float> b2_, db2_, db2_chunk_;  // (V), padded
  Buffer<float> dlogits_;               // (chunk_rows, V padded)
  std::vector<std::unique_ptr<HiddenBlock>> blocks_;
  std::vector<char> finite_;  // per block, of its last update
};

// A larger batch than this is a slip, and should not end in the exhaustion of memory.
constexpr int64_t kMaxBatchTokens = 1 << 28;

void check_arguments(const Sizes& sizes, const OptimizerState& state, const Examples& examples,
                     const double* lr, int64_t steps, const Batches& batches) {
  check_sizes(sizes);
  check_at_least("steps", steps, 0);
  check_in_range("the number of examples", examples.count, 1, kMaxExamples);
  if (batches.kind != Batches::Kind::all) {
    check_at_least("batch_size", batches.batch_size, 1);
    if (batches.batch_size > kMaxBatchTokens / sizes.block_size) {
      throw ArgumentError("batch_size = " + std::to_string(batches.batch_size) + " is above " +
                          std::to_string(kMaxBatchTokens / sizes.block_size) +
                          " at this block_size");
    }
  }
  for (int64_t step = 0; step < steps; ++step) {
    if (!is_rate(lr[step])) checked_rate("lr[" + std::to_string(step) + "]", lr[step]);
  }
  if (!state.empty()) {
    throw ArgumentError("state holds '" + state[0].name + "', but SGD has no state");
  }
}

}  // namespace

int64_t train_steps(float* losses, const Parameters& parameters, const OptimizerState& state,
                    const Sizes& sizes, const Examples& examples, const double* lr, int64_t steps,
                    uint64_t first_step, const Batches& batches, const TrainOptions& options,
                    const std::function<bool()>& should_stop) {
  check_arguments(sizes, state, examples, lr, steps, batches);
  const int threads = checked_threads(options.threads);
  const ConstParameters initial{parameters.C, parameters.W1, parameters.b1, parameters.W2,
                                parameters.b2};
  Trainer trainer(sizes, initial, examples, batches, options);
  if (steps == 0) return 0;
  const int64_t done = trainer.run(losses, lr, steps, first_step, threads, should_stop);
  trainer.write_back(parameters);
  return done;
}

}  // namespace makemore
