// A trained model that no longer changes: it scores, samples and completes texts.
//
// Any number of threads may use one object; copies share its memory.  Where the probabilities of
// all V^T contexts take at most 16 MiB, they are put into a table once that many contexts have been
// asked for; results have the same bits before and after.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "makemore/completion.hpp"
#include "makemore/model_file.hpp"
#include "makemore/poll.hpp"
#include "makemore/sampling.hpp"

namespace makemore {

class FrozenNet;

struct Sample {
  std::string text;
  Ending ending;
};

class LanguageModel {
 public:
  // Copies the parameters.  Throws ArgumentError as check_model does.
  explicit LanguageModel(const SavedModel& model);
  // Throws FileError or FormatError as load_model does.
  static LanguageModel load(const std::string& path);

  const Sizes& sizes() const;
  const Vocabulary& vocabulary() const;

  // out (N,V) = ln p( . | X[i])           X (N,T)
  // Throws RangeError for a token outside the vocabulary.
  void log_probs(float* out, const int32_t* X, int64_t N, int threads = 0,
                 const Poll& poll = {}) const;

  // The probabilities (V) of the token that comes after `prefix` in a text.  Throws ArgumentError
  // as Vocabulary::encode does; so do the functions below that take text.
  std::vector<float> next(std::string_view prefix) const;
  void next(float* probs, std::string_view prefix) const;

  // The log-probability of each text and its end, in nats.  It does not depend on the other texts.
  std::vector<double> score(std::span<const std::string> texts, Unknown unknown = Unknown::error,
                            int threads = 0, const Poll& poll = {}) const;

  // -ln p of each token of a text and of its end, in nats.
  std::vector<double> surprisals(std::string_view text) const;

  // Samples number 0 to n - 1, each beginning with `prefix`; see draw_samples.
  std::vector<Sample> sample(int64_t n, const SampleOptions& options = {},
                             std::string_view prefix = {}, int threads = 0,
                             const Poll& poll = {}) const;

  // The k most probable texts that begin with `prefix`: see makemore/completion.hpp.
  Completions complete(std::string_view prefix, int64_t k, int64_t max_length = 100,
                       const Poll& poll = {}) const;

  // Scores texts that are given as tokens: text i of n is tokens [offsets[i], offsets[i+1]), and
  // there are n + 1 offsets.  A text that holds kNoToken has the score -inf.
  void score_tokens(double* out, std::span<const int32_t> tokens, std::span<const int64_t> offsets,
                    int threads = 0, const Poll& poll = {}) const;
  // out (tokens + texts): the surprisals of text i from offsets[i] + i on.  Throws RangeError for a
  // token outside the vocabulary.
  void surprisals(double* out, std::span<const int32_t> tokens, std::span<const int64_t> offsets,
                  int threads = 0, const Poll& poll = {}) const;

 private:
  friend class Sampler;
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::shared_ptr<const FrozenNet> net_;
};

// Draws samples of one model with the same options, piece by piece.  Any number of threads may use
// one object.
class Sampler {
 public:
  // Throws ArgumentError when an option is outside its range or the prefix is not in the
  // vocabulary.
  Sampler(const LanguageModel& model, const SampleOptions& options, std::string_view prefix = {});

  // Samples number first to first + n - 1.
  Samples draw(uint64_t first, int64_t n, int threads = 0, const Poll& poll = {}) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace makemore
