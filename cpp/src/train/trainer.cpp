// The training loop.  A step has a few phases, in which each thread works on the hidden units that
// it owns and, where the vocabulary is large, on the tokens that it owns.
#include "makemore/trainer.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <memory>
#include <numeric>
#include <sstream>
#include <utility>
#include <vector>

#include "base/buffer.hpp"
#include "base/check.hpp"
#include "base/dispatch.hpp"
#include "base/floating_point.hpp"
#include "base/shares.hpp"
#include "base/thread_pool.hpp"
#include "base/utf8.hpp"
#include "makemore/error.hpp"
#include "makemore/machine.hpp"
#include "makemore/random.hpp"
#include "net/distinct_contexts.hpp"
#include "net/fold.hpp"
#include "train/hidden_block.hpp"
#include "train/negatives.hpp"
#include "train/output_layer.hpp"
#include "train/update.hpp"

namespace makemore {

namespace {

int64_t batch_size_of(const Batches& batches, const Examples& examples) {
  return batches.kind == Batches::Kind::all ? examples.count : batches.batch_size;
}

bool all_inside(const int32_t* tokens, int64_t n, int64_t V) {
  bool inside = true;
  for (int64_t i = 0; i < n; ++i) inside &= tokens[i] >= 0 && tokens[i] < V;
  return inside;
}

// The examples of one step, made in three steps: their rows are chosen, copied, and folded.
class Batch {
 public:
  Batch(const Sizes& sizes, int64_t batch_size, bool share_contexts, int64_t most_candidates)
      : rows(batch_size),
        X(batch_size * sizes.block_size),
        Y(batch_size),
        contexts(sizes.block_size, batch_size, share_contexts),
        fold(sizes, batch_size),
        candidates(most_candidates, batch_size),
        sizes_(sizes),
        B_(batch_size) {}

  // Prefetches the chosen rows, which lie far apart in memory.
  void prefetch(const Examples& examples) const {
    for (int64_t b = 0; b < B_; ++b) {
      __builtin_prefetch(examples.X + rows[b] * sizes_.block_size);
      __builtin_prefetch(examples.Y + rows[b]);
    }
  }

  void copy(const Examples& examples, int64_t begin, int64_t end) {
    const int64_t T = sizes_.block_size;
    for (int64_t b = begin; b < end; ++b) {
      const int32_t* from = examples.X + rows[b] * T;
      for (int64_t t = 0; t < T; ++t) X[b * T + t] = from[t];
      Y[b] = examples.Y[rows[b]];
    }
  }

  // Checks the copied tokens, since the caller may change the arrays at any time, and folds them.
  // Tokens of contiguous int32 arrays are checked nowhere else.
  void check_and_fold(const Poll& poll = {}) {
    const int64_t T = sizes_.block_size, V = sizes_.vocab_size;
    if (!all_inside(X.get(), B_ * T, V) || !all_inside(Y.get(), B_, V)) {
      for (int64_t b = 0; b < B_; ++b) {
        check_tokens("X", &X[b * T], 1, T, V, rows[b]);
        check_token_vector("Y", &Y[b], 1, V, rows[b]);
      }
    }
    contexts.build(X.get(), Y.get(), B_, poll);
    fold.build(contexts.X(), contexts.count());
  }

  Buffer<int64_t> rows;  // (B)
  Buffer<int32_t> X, Y;  // (B,T) (B)
  DistinctContexts contexts;
  Fold fold;                 // of the contexts
  Candidates candidates;     // used where the softmax is sampled
  std::exception_ptr error;  // from making this batch; thrown only if its step is reached

 private:
  const Sizes sizes_;
  const int64_t B_;
};

class Trainer {
 public:
  // `arrays` holds the parameters first, then each of the optimiser's moments.
  Trainer(const Sizes& sizes, const std::vector<Parameters>& arrays, const Examples& examples,
          const Batches& batches, const TrainOptions& options, const Poll& poll)
      : kernel_(kernels()),
        sizes_(sizes),
        examples_(examples),
        batches_(batches),
        options_(options),
        moments_(static_cast<int64_t>(arrays.size()) - 1),
        B_(batch_size_of(batches, examples)),
        ld_V_(padded(sizes.vocab_size)),
        cut_(cut_step(B_, sizes, options.negatives.value_or(0))),
        own_groups_(own_share(options.exchange, std::ssize(cut_.token_groups))),
        losses_(B_),
        loss_sums_(std::max(cut_.hidden_blocks.size(), cut_.token_groups.size())),
        C_(sizes.vocab_size * sizes.n_embd, moments_),
        dC_(sizes.vocab_size * sizes.n_embd),
        b2_(ld_V_, moments_) {
    const bool cuts_tokens = !cut_.token_groups.empty();
    const int64_t candidates =
        options.negatives ? most_candidates(sizes.vocab_size, *options.negatives, B_) : 0;
    if (options.negatives) {
      negatives_ = std::make_unique<Negatives>(examples.Y, examples.count, sizes.vocab_size,
                                               *options.negatives, B_,
                                               std::ssize(cut_.token_groups), options.seed, poll);
    }
    if (cuts_tokens) {
      output_ = std::make_unique<OutputLayer>(sizes, cut_, first_tokens(), B_, b2_, moments_,
                                              candidates, options.exchange);
    } else {
      db2_ = Buffer<float>(ld_V_);
      db2_chunk_ = Buffer<float>(ld_V_);
      dlogits_ = Buffer<float>(cut_.chunk_rows * ld_V_);
    }
    // With dropout each example drops units of its own, so that equal contexts cannot be shared.
    const bool drops = options.dropout > 0;
    // One batch is in use while the next is made; a batch of all examples is made once.
    const int batch_count = batches.kind == Batches::Kind::all ? 1 : 2;
    for (int i = 0; i < batch_count; ++i) {
      prepared_.push_back(std::make_unique<Batch>(sizes, B_, !drops, candidates));
    }
    const BlockUse use{prepared_[0]->fold.max_rows(),
                       cut_.chunk_rows,
                       B_ <= cut_.chunk_rows,
                       moments_,
                       drops,
                       !cuts_tokens};
    if (sizes.is_direct) direct_demb_ = Buffer<float>(use.max_table_rows * sizes.n_embd);
    int64_t begin = 0;
    for (const int64_t units : cut_.hidden_blocks) {
      blocks_.push_back(std::make_unique<HiddenBlock>(sizes, begin, units, use));
      begin += units;
    }
    for (int64_t i = 0; i <= moments_; ++i) pack(i, arrays[static_cast<size_t>(i)]);
    const Parameters& parameters = arrays[0];
    skips_embeddings_ = cuts_tokens && options.update.optimizer == Optimizer::sgd &&
                        options.update.weight_decay == 0 &&
                        std::all_of(parameters.C, parameters.C + sizes.vocab_size * sizes.n_embd,
                                    [](float c) { return std::isfinite(c); });
    shares_embeddings_ = options.exchange != nullptr && cuts_tokens && !skips_embeddings_;
    if (shares_embeddings_) message_ = Buffer<float>(use.max_table_rows * sizes.n_embd);
  }

  // Does the steps and returns how many; see train_steps.
  int64_t run(float* losses, const double* lr, int64_t steps, uint64_t first_step, int threads,
              const std::function<bool()>& should_stop, const Poll& poll) {
    const int size = static_cast<int>(std::min<int64_t>(threads, share_count()));
    std::atomic<int64_t> end{steps};  // atomic, since a late thread may read while task 0 writes
    contexts_.resize(static_cast<size_t>(steps));
    make_first_batch(first_step, poll);
    if (batches_.kind == Batches::Kind::all)
      std::fill(contexts_.begin(), contexts_.end(), contexts_[0]);
    if (has_batch_of_its_own(1, steps)) choose_rows(1, first_step);
    run_team(size, [&](Team& team) {
      for (int64_t step = 0; step < end.load(std::memory_order_relaxed); ++step) {
        Batch& batch = batch_of(step);
        if (step == bad_step_.load(std::memory_order_acquire)) {  // its tokens must not be used
          if (team.rank() == 0) std::rethrow_exception(batch.error);
          return;
        }
        const uint64_t number = first_step + static_cast<uint64_t>(step);
        const UpdateRule rule(options_.update, lr[step], number);
        Batch* const next = has_batch_of_its_own(step + 1, steps) ? &batch_of(step + 1) : nullptr;
        const int64_t contexts = contexts_[static_cast<size_t>(step)];
        forward_backward_update(team, batch, contexts, next, number, rule);
        const auto finish = [&](int64_t task) {
          if (task == 0) {
            losses[step] = finish_step(batch, number, rule);
            if (step + 1 < steps && should_stop && should_stop()) end = step + 1;
          } else if (step + 1 < steps) {
            if (next != nullptr) fold_batch(step + 1);
            draw_candidates(step + 1, first_step);
            if (has_batch_of_its_own(step + 2, steps)) choose_rows(step + 2, first_step);
          }
        };
        team.run(2, finish, 1);  // task 0 stays on the calling thread, where should_stop must run
      }
    });
    if (options_.exchange != nullptr && output_) exchange_parameters();
    return end;
  }

  void write_back(const std::vector<Parameters>& arrays) const {
    for (int64_t i = 0; i <= moments_; ++i) {
      const Parameters& to = arrays[static_cast<size_t>(i)];
      std::copy_n(C_.array(i), sizes_.vocab_size * sizes_.n_embd, to.C);
      std::copy_n(b2_.array(i), sizes_.vocab_size, to.b2);
      for (const auto& owned : blocks_) owned->unpack(kernel_, i, to);
      if (output_) output_->unpack(kernel_, i, to);
    }
  }

 private:
  void pack(int64_t which, const Parameters& from) {
    std::copy_n(from.C, sizes_.vocab_size * sizes_.n_embd, C_.array(which));
    std::copy_n(from.b2, sizes_.vocab_size, b2_.array(which));
    for (const auto& owned : blocks_) owned->pack(kernel_, which, from);
    if (output_) output_->pack(kernel_, which, from);
  }

  // The first token of each group, and V.
  std::vector<int64_t> first_tokens() const {
    if (negatives_) return negatives_->first_tokens();
    std::vector<int64_t> starts = {0};
    for (const int64_t tokens : cut_.token_groups) starts.push_back(starts.back() + tokens);
    return starts;
  }

  int64_t block_count() const { return static_cast<int64_t>(blocks_.size()); }
  int64_t group_count() const { return static_cast<int64_t>(cut_.token_groups.size()); }
  int64_t share_count() const { return std::max(block_count(), group_count()); }
  HiddenBlock& block(int64_t i) { return *blocks_[static_cast<size_t>(i)]; }
  Batch& batch_of(int64_t step) { return *prepared_[static_cast<size_t>(step) % prepared_.size()]; }

  // A batch of all examples is made once, by the first step.
  bool has_batch_of_its_own(int64_t step, int64_t steps) const {
    return step < steps && (step == 0 || batches_.kind != Batches::Kind::all);
  }

  void make_first_batch(uint64_t first_step, const Poll& poll) {
    constexpr int64_t kExamplesPerPoll = 1 << 20;
    choose_rows(0, first_step);
    for (int64_t begin = 0; begin < B_; begin += kExamplesPerPoll) {
      if (poll) poll();
      batch_of(0).copy(examples_, begin, std::min(B_, begin + kExamplesPerPoll));
    }
    fold_batch(0, poll);
    draw_candidates(0, first_step);
  }

  void choose_rows(int64_t step, uint64_t first_step) {
    Batch& batch = batch_of(step);
    if (batches_.kind == Batches::Kind::drawn) {
      batch_rows(batch.rows.get(), options_.seed, first_step + static_cast<uint64_t>(step), B_,
                 examples_.count);
    } else {
      for (int64_t b = 0; b < B_; ++b) batch.rows[b] = row_of(batch, step, b);
    }
    batch.prefetch(examples_);
  }

  // The row that the caller chose.  It is read once and then checked, since the caller may change
  // the array during the call.
  int64_t row_of(Batch& batch, int64_t step, int64_t b) const {
    if (batches_.kind == Batches::Kind::all) return b;
    const int64_t row = batches_.rows[step * B_ + b];
    if (row >= 0 && row < examples_.count) return row;
    if (!batch.error) {
      batch.error = std::make_exception_ptr(
          RangeError("row " + std::to_string(row) + " at rows[" + std::to_string(step) + ", " +
                     std::to_string(b) + "] is outside the examples [0, " +
                     std::to_string(examples_.count) + ")"));
    }
    return 0;
  }

  void fold_batch(int64_t step, const Poll& poll = {}) {
    Batch& batch = batch_of(step);
    try {
      if (!batch.error) batch.check_and_fold(poll);
    } catch (const RangeError&) {
      batch.error = std::current_exception();
    }
    if (batch.error) bad_step_.store(step, std::memory_order_release);
    contexts_[static_cast<size_t>(step)] = batch.contexts.count();
  }

  void draw_candidates(int64_t step, uint64_t first_step) {
    Batch& batch = batch_of(step);
    if (!negatives_ || batch.error) return;
    negatives_->draw(kernel_, batch.candidates, first_step + static_cast<uint64_t>(step),
                     batch.contexts.Y(), B_);
  }

  // Does a step up to finish_step: the forward and backward passes, chunk after chunk of contexts,
  // and the update.  The next batch is copied on the way.
  void forward_backward_update(Team& team, const Batch& batch, int64_t contexts, Batch* next,
                               uint64_t step, const UpdateRule& rule) {
    const Dropout dropout = dropout_of(step);
    const Dropout* const drop = options_.dropout > 0 ? &dropout : nullptr;
    if (shares_embeddings_) exchange(team, [&] { exchange_embeddings(batch.fold); });
    for (int64_t first = 0; first < contexts; first += cut_.chunk_rows) {
      const int64_t count = std::min(cut_.chunk_rows, contexts - first);
      const Chunk chunk{first, count, first == 0, first + count == contexts};
      if (output_) {
        pass_along_tokens(team, batch, chunk, next, drop, rule);
      } else {
        pass_along_units(team, batch, chunk, next, drop, rule);
      }
    }
    if (!output_) return;
    team.run(1, [&](int64_t) { sum_embedding_gradients(batch.fold); });
    // The parts may depend on the number of threads, since each token is updated by itself. Whether
    // they are finite is noted with that of the groups.
    const Range rows =
        own_share(shares_embeddings_ ? options_.exchange : nullptr, sizes_.vocab_size);
    const int64_t parts = std::min<int64_t>(team.size(), own_groups_.end - own_groups_.begin);
    team.run(parts, [&](int64_t i) {
      const auto [begin, end] = share_of(rows.end - rows.begin, i, parts);
      const Range part{rows.begin + begin, rows.begin + end};
      output_->finite(own_groups_.begin + i) &= update_embeddings(batch.fold, part, rule);
    });
    exchange(team, [&] { output_->exchange_finite(); });
  }

  // A chunk where the blocks of hidden units own the output layer; their logits are added up.
  void pass_along_units(Team& team, const Batch& batch, const Chunk& chunk, Batch* next,
                        const Dropout* drop, const UpdateRule& rule) {
    const int64_t count = block_count();
    const int32_t* const rows = batch.fold.rows() + chunk.first * sizes_.block_size;
    team.run(count, [&](int64_t i) {
      if (chunk.is_first) block(i).forward_table(kernel_, batch.fold, C_.value());
      block(i).forward(kernel_, rows, chunk.count, drop, chunk.first);
      block(i).forward_logits(kernel_, chunk.count, i == 0 ? b2_.value() : nullptr);
    });
    team.run(count, [&](int64_t i) {
      const Range share = share_of(chunk.count, i, count);
      add_loss(i, chunk, cross_entropy(batch.contexts, chunk.first, share));
      if (chunk.is_first) copy_share(next, i, count);
    });
    team.run(count, [&](int64_t i) {
      block(i).backward_logits(kernel_, dlogits_.get(), chunk.count, chunk.is_first,
                               chunk.is_last ? &rule : nullptr);
      block(i).backward(kernel_, batch.fold, rows, chunk.count, chunk.is_first);
      if (i == count - 1) add_to_db2(chunk.count, chunk.is_first);
      if (chunk.is_last) block(i).backward_table(kernel_, batch.fold, rule);
    });
  }

  // A chunk where groups of tokens own the output layer; their parts of dh are added up.
  void pass_along_tokens(Team& team, const Batch& batch, const Chunk& chunk, Batch* next,
                         const Dropout* drop, const UpdateRule& rule) {
    const int64_t blocks = block_count(), groups = group_count();
    const int32_t* const rows = batch.fold.rows() + chunk.first * sizes_.block_size;
    team.run(blocks, [&](int64_t i) {
      if (chunk.is_first) block(i).forward_table(kernel_, batch.fold, C_.value());
      block(i).forward(kernel_, rows, chunk.count, drop, chunk.first);
      output_->take_hidden(kernel_, block(i), chunk);
      if (i == 0 && sizes_.is_direct) {
        const int32_t* const X = batch.contexts.X() + chunk.first * sizes_.block_size;
        output_->take_embeddings(kernel_, C_.value(), X, chunk);
      }
      if (i != blocks - 1) return;
      const Candidates* const candidates = negatives_ ? &batch.candidates : nullptr;
      const int32_t* const Y = negatives_ ? candidates->places.get() : batch.contexts.Y();
      output_->sort_targets(batch.contexts, Y, chunk, candidates);
    });
    const auto run_own = [&](const auto& body) {
      const auto [begin, end] = own_groups_;
      team.run(end - begin, [&, begin = begin](int64_t i) { body(begin + i); });
    };
    run_own([&](int64_t g) { output_->forward(kernel_, g, chunk); });
    exchange(team, [&] { output_->exchange_found(chunk); });
    team.run(groups, [&](int64_t g) {
      add_loss(g, chunk, output_->cross_entropy(kernel_, g, batch.contexts, chunk, losses_.get()));
      if (chunk.is_first) copy_share(next, g, groups);
    });
    run_own(
        [&](int64_t g) { output_->backward(kernel_, g, chunk, chunk.is_last ? &rule : nullptr); });
    if (options_.exchange != nullptr) {
      team.run(groups, [&](int64_t g) { output_->sum_own_dh(kernel_, g, chunk); });
    }
    exchange(team, [&] { output_->exchange_gradients(); });
    team.run(blocks, [&](int64_t i) {
      output_->give_dh(kernel_, block(i), chunk);
      if (i == 0 && sizes_.is_direct) {
        const int64_t pairs = batch.fold.row_count();  // read inside a task only: see contexts_
        if (chunk.is_first) std::fill_n(direct_demb_.get(), pairs * sizes_.n_embd, 0.0f);
        output_->give_demb(kernel_, direct_demb_.get(), rows, chunk);
      }
      block(i).backward(kernel_, batch.fold, rows, chunk.count, chunk.is_first);
      if (chunk.is_last) block(i).backward_table(kernel_, batch.fold, rule);
    });
  }

  // Exchanges data with other ranks, if there are any, on the calling thread: see Exchange.
  template <typename Body>
  void exchange(Team& team, const Body& body) {
    if (options_.exchange != nullptr) team.run(1, [&](int64_t) { body(); }, 1);
  }

  void add_loss(int64_t share, const Chunk& chunk, double sum) {
    double& total = loss_sums_[static_cast<size_t>(share)];
    total = chunk.is_first ? sum : total + sum;
  }

  void copy_share(Batch* next, int64_t i, int64_t count) {
    if (next == nullptr) return;
    const Range examples = share_of(B_, i, count);
    next->copy(examples_, examples.begin, examples.end);
  }

  Dropout dropout_of(uint64_t step) const {
    const auto low = [](uint64_t x) { return static_cast<uint32_t>(x); };
    return {{{low(options_.seed), low(options_.seed >> 32)},
             static_cast<uint32_t>(Purpose::dropout),
             {low(step), low(step >> 32)},
             low(static_cast<uint64_t>(dropout_blocks_per_row(sizes_.n_hidden)))},
            low(static_cast<uint64_t>(options_.dropout * 0x1p32)),
            static_cast<float>(1 / (1 - options_.dropout))};
  }

  // For some rows of the chunk that begins at context `first`: sums the blocks' logits, computes
  // dlogits, and returns the sum of the losses of all examples of these contexts.
  double cross_entropy(const DistinctContexts& contexts, int64_t first, Range rows) {
    float* const logits = block(0).logits.get() + rows.begin * ld_V_;
    const int64_t count = rows.end - rows.begin;
    for (int64_t i = 1; i < block_count(); ++i) {
      kernel_.add(logits, block(i).logits.get() + rows.begin * ld_V_, count * ld_V_);
    }
    const int32_t* const starts = contexts.starts() + first + rows.begin;
    kernel_.cross_entropy(losses_.get(), &dlogits_[rows.begin * ld_V_], logits, ld_V_, starts,
                          contexts.Y(), 1.0f / static_cast<float>(B_), count, sizes_.vocab_size);
    double sum = 0;
    for (int64_t k = starts[0]; k < starts[count]; ++k) sum += losses_[k];
    return sum;
  }

  void add_to_db2(int64_t B, bool first) {
    kernel_.sum_rows(first ? db2_.get() : db2_chunk_.get(), dlogits_.get(), ld_V_, B,
                     sizes_.vocab_size);
    if (!first) kernel_.add(db2_.get(), db2_chunk_.get(), sizes_.vocab_size);
  }

  // Adds the other blocks' gradients of the pairs' embeddings, and the gradient by way of the
  // direct connections, to those of the first block.
  void sum_embedding_gradients(const Fold& fold) {
    for (int64_t i = 1; i < block_count(); ++i) {
      kernel_.add(block(0).demb.get(), block(i).demb.get(), fold.row_count() * sizes_.n_embd);
    }
    if (!sizes_.is_direct) return;
    kernel_.add(block(0).demb.get(), direct_demb_.get(), fold.row_count() * sizes_.n_embd);
  }

  // Calls take(row, token) for the pairs of a range of tokens.
  template <typename Take>
  static void for_each_pair(const Fold& fold, Range tokens, const Take& take) {
    for (int64_t row = 0; row < fold.row_count(); ++row) {
      const int64_t token = fold.tokens()[row];
      if (token >= tokens.begin && token < tokens.end) take(row, token);
    }
  }

  // Updates the rows of C for a range of tokens; returns whether all are finite.
  bool update_embeddings(const Fold& fold, Range tokens, const UpdateRule& rule) {
    const int64_t E = sizes_.n_embd;
    const auto update_rows = [&](int64_t token, int64_t n) {
      return update(kernel_, rule, rule.weight_decay, C_, token * E, &dC_[token * E], n * E);
    };
    const int64_t count = tokens.end - tokens.begin;
    if (!skips_embeddings_) std::fill_n(&dC_[tokens.begin * E], count * E, 0.0f);
    for_each_pair(fold, tokens, [&](int64_t row, int64_t token) {
      kernel_.add(&dC_[token * E], &block(0).demb[row * E], E);
    });
    if (!skips_embeddings_) return update_rows(tokens.begin, count);
    bool finite = true;
    for_each_pair(fold, tokens, [&](int64_t, int64_t token) {
      finite &= update_rows(token, 1);
      // The token's pairs at other positions then add nothing, and the next step begins with zeros.
      std::fill_n(&dC_[token * E], E, 0.0f);
    });
    return finite;
  }

  // Receives the embeddings of a batch's tokens from the ranks that update them.
  void exchange_embeddings(const Fold& fold) {
    Exchange& exchange = *options_.exchange;
    const int64_t E = sizes_.n_embd, pairs = fold.row_count();
    const auto owner = [&](int64_t row) {
      return static_cast<size_t>(owner_of(fold.tokens()[row], sizes_.vocab_size, exchange.size));
    };
    // The first place of each rank in the message, which is sorted by rank.
    std::vector<int64_t> starts(static_cast<size_t>(exchange.size) + 1);
    for (int64_t row = 0; row < pairs; ++row) ++starts[owner(row) + 1];
    std::partial_sum(starts.begin(), starts.end(), starts.begin());
    const auto for_each_embedding = [&](const auto& visit) {
      std::vector<int64_t> next = starts;
      for (int64_t row = 0; row < pairs; ++row) {
        visit(&message_[next[owner(row)]++ * E], C_.value() + fold.tokens()[row] * E);
      }
    };
    for_each_embedding(
        [&](float* in_message, const float* row) { std::copy_n(row, E, in_message); });
    exchange_shares(exchange, message_.get(), exchange.size,
                    [&](int64_t rank) { return starts[static_cast<size_t>(rank)] * E; });
    for_each_embedding(
        [&](const float* in_message, float* row) { std::copy_n(in_message, E, row); });
  }

  // Receives the parameters that other ranks have updated.
  void exchange_parameters() {
    output_->exchange_parameters(moments_);
    if (!shares_embeddings_) return;
    for (int64_t i = 0; i <= moments_; ++i) {
      exchange_shares(*options_.exchange, C_.array(i), sizes_.vocab_size,
                      [&](int64_t token) { return token * sizes_.n_embd; });
    }
  }

  // Updates what the blocks share, and returns the loss; throws DivergedError.
  float finish_step(const Batch& batch, uint64_t step, const UpdateRule& rule) {
    const double sum = std::accumulate(loss_sums_.begin(), loss_sums_.end(), 0.0);
    const double loss = sum / static_cast<double>(B_);

    bool finite = true;
    if (!output_) {
      sum_embedding_gradients(batch.fold);
      finite &= update_embeddings(batch.fold, {0, sizes_.vocab_size}, rule);
      finite &= update(kernel_, rule, rule.bias_decay, b2_, 0, db2_.get(), sizes_.vocab_size);
    }
    for (const auto& owned : blocks_) finite &= owned->finite;
    for (int64_t g = 0; g < group_count(); ++g) finite &= output_->finite(g);

    if (!std::isfinite(loss) || !finite) {
      std::ostringstream sentence;
      sentence << "step " << step << ": "
               << (std::isfinite(loss) ? "an updated parameter" : "the loss")
               << " is not finite (loss " << std::abs(loss) << ", learning rate " << rule.lr
               << "); the parameters are as they were before the call";
      throw DivergedError(sentence.str(), static_cast<int64_t>(step), loss, rule.lr);
    }
    return static_cast<float>(loss);
  }

  const Kernels& kernel_;
  const Sizes sizes_;
  const Examples examples_;
  const Batches batches_;
  const TrainOptions options_;
  const int64_t moments_;
  const int64_t B_;
  const int64_t ld_V_;  // the ld of arrays with one column per token: V, padded with zeros
  const StepCut cut_;
  const Range own_groups_;  // this rank's groups of tokens; all, where there are no other ranks
  std::vector<std::unique_ptr<Batch>> prepared_;
  // The number of distinct contexts of each step of this call, on which its chunks and phases
  // depend.  Threads must read it here and not from the batch: a thread that comes late may find
  // the batch filled for a later step already.
  std::vector<int64_t> contexts_;
  std::atomic<int64_t> bad_step_{-1};  // the step of this call whose batch must not be used
  Buffer<float> losses_;               // (B), sorted by context
  std::vector<double> loss_sums_;      // one for each task of the cross-entropy
  Weights C_;                          // (V,E)
  Buffer<float> dC_;                   // (V,E)
  Buffer<float> direct_demb_;          // (pairs,E), by way of the direct connections
  Weights b2_;                         // (ld_V)
  // The blocks share the following where they own W2.
  Buffer<float> db2_, db2_chunk_;  // (ld_V)
  Buffer<float> dlogits_;          // (chunk_rows, ld_V)
  std::vector<std::unique_ptr<HiddenBlock>> blocks_;
  std::unique_ptr<OutputLayer> output_;   // null where the blocks own W2
  std::unique_ptr<Negatives> negatives_;  // null where the softmax is over all tokens
  // Whether only the embeddings of a batch's tokens are updated.  SGD without weight decay leaves a
  // finite embedding as it is where its gradient is 0.
  bool skips_embeddings_ = false;
  // Whether each rank updates only its share of the embeddings, since all change in every step.
  bool shares_embeddings_ = false;
  Buffer<float> message_;  // (pairs,E), of exchange_embeddings
};

// A larger batch than this must be a slip, and should not exhaust the memory.
constexpr int64_t kMaxBatchTokens = 1 << 28;

void check_options(const TrainOptions& options, const Sizes& sizes, int64_t batch_size) {
  check_update_options(options.update);
  check_fraction("dropout", options.dropout);
  if (options.negatives) {
    check_in_range("negatives", *options.negatives, 1, sizes.vocab_size - 1);
  }
  if (options.dropout > 0 && sizes.n_hidden > 0 &&
      batch_size > (int64_t{1} << 32) / dropout_blocks_per_row(sizes.n_hidden)) {
    throw ArgumentError("a batch of " + std::to_string(batch_size) +
                        " has too many hidden units for dropout");
  }
}

// Throws unless each rank gets at least one group of tokens.
void check_exchange(const Exchange& exchange, const Sizes& sizes, int64_t batch_size,
                    const TrainOptions& options) {
  check_at_least("the number of ranks", exchange.size, 1);
  check_in_range("the rank", exchange.rank, 0, exchange.size - 1);
  const int64_t groups =
      std::ssize(cut_step(batch_size, sizes, options.negatives.value_or(0)).token_groups);
  if (exchange.size <= std::max(groups, int64_t{1})) return;
  const std::string shape = "a vocabulary of " + std::to_string(sizes.vocab_size) +
                            " tokens and a batch of " + std::to_string(batch_size);
  throw ArgumentError(
      std::to_string(exchange.size) + " ranks cannot share this training: with " + shape +
      (groups == 0 ? ", the output layer is not cut along tokens"
                   : ", the output layer is cut in groups of tokens, of which there are " +
                         std::to_string(groups)));
}

// The arrays of the parameters, then those of each moment of the optimiser.
std::vector<Parameters> arrays_of(const Parameters& parameters, const OptimizerState& state,
                                  const Sizes& sizes, Optimizer optimizer) {
  const auto counts = parameter_counts(sizes);
  std::vector<Parameters> arrays = {parameters};
  std::vector<std::string> names;
  for (const std::string& moment : moments_of(optimizer)) {
    Parameters found;
    for (size_t i = 0; i < kParameters.size(); ++i) {
      const int64_t size = *counts.all()[i];
      names.push_back(moment + "." + kParameters[i].name);
      const auto array = std::find_if(state.begin(), state.end(), [&](const StateArray& candidate) {
        return candidate.name == names.back();
      });
      if (array == state.end())
        throw ArgumentError("state lacks '" + names.back() + "'; optimizer_state('" +
                            name_of(optimizer) + "') makes a state");
      if (array->size != size) {
        throw ArgumentError("state['" + show_text(array->name) + "'] has " +
                            std::to_string(array->size) + " elements; it must have " +
                            std::to_string(size));
      }
      *found.all()[i] = array->data;
    }
    arrays.push_back(found);
  }
  for (const StateArray& array : state) {
    if (std::find(names.begin(), names.end(), array.name) == names.end()) {
      throw ArgumentError("state holds '" + show_text(array.name) +
                          "', which this optimizer has not");
    }
  }
  return arrays;
}

void check_arguments(const Sizes& sizes, const Examples& examples, const double* lr, int64_t steps,
                     const Batches& batches) {
  check_sizes(sizes);
  check_at_least("steps", steps, 0);
  check_in_range("the number of examples", examples.count, 1, kMaxExamples);
  if (batches.kind != Batches::Kind::all) check_at_least("batch_size", batches.batch_size, 1);
  const int64_t most = kMaxBatchTokens / sizes.block_size;
  if (batch_size_of(batches, examples) > most) {
    throw ArgumentError("batch_size = " + std::to_string(batch_size_of(batches, examples)) +
                        " is above " + std::to_string(most) + " at this block_size");
  }
  for (int64_t step = 0; step < steps; ++step) {
    if (!is_rate(lr[step])) checked_rate("lr[" + std::to_string(step) + "]", lr[step]);
  }
}

}  // namespace

int64_t train_steps(float* losses, const Parameters& parameters, const OptimizerState& state,
                    const Sizes& sizes, const Examples& examples, const double* lr, int64_t steps,
                    uint64_t first_step, const Batches& batches, const TrainOptions& options,
                    const std::function<bool()>& should_stop, const Poll& poll) {
  const PlainFloatingPoint mode;
  check_arguments(sizes, examples, lr, steps, batches);
  check_options(options, sizes, batch_size_of(batches, examples));
  if (options.exchange != nullptr) {
    check_exchange(*options.exchange, sizes, batch_size_of(batches, examples), options);
  }
  const std::vector<Parameters> arrays =
      arrays_of(parameters, state, sizes, options.update.optimizer);
  const int threads = checked_threads(options.threads);
  if (steps == 0) return 0;
  Trainer trainer(sizes, arrays, examples, batches, options, poll);
  const int64_t done = trainer.run(losses, lr, steps, first_step, threads, should_stop, poll);
  trainer.write_back(arrays);
  return done;
}

}  // namespace makemore
