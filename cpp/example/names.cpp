// Learns from a list of words, saves the model, loads it again, scores the words and samples names.
//
//   names [words.txt [model.safetensors]]      one word a line; by default a few names
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "makemore/error.hpp"
#include "makemore/forward.hpp"
#include "makemore/language_model.hpp"
#include "makemore/model.hpp"
#include "makemore/model_file.hpp"
#include "makemore/random.hpp"
#include "makemore/trainer.hpp"
#include "makemore/vocabulary.hpp"

namespace {

using Words = std::vector<std::string>;

const Words kNames = {"emma",  "olivia", "ava",     "isabella", "sophia", "charlotte",
                      "mia",   "amelia", "noah",    "liam",     "jacob",  "william",
                      "mason", "ethan",  "michael", "james"};

// Reads a file line by line and leaves out empty lines.
Words read_words(const std::string& path) {
  std::ifstream file(path);
  Words words;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) words.push_back(line);
  }
  if (!file.eof()) throw makemore::FileError("cannot read " + path);
  return words;
}

// All characters of the words by code point, which is also the order of their bytes in UTF-8.
makemore::Vocabulary vocabulary_of(const Words& words) {
  std::set<std::string> characters;
  for (const std::string& word : words) {
    for (size_t begin = 0, end; begin < word.size(); begin = end) {
      end = begin + 1;
      while (end < word.size() && (word[end] & 0xC0) == 0x80) ++end;  // continuation bytes
      characters.insert(word.substr(begin, end - begin));
    }
  }
  return makemore::Vocabulary({characters.begin(), characters.end()});
}

struct Dataset {
  std::vector<int32_t> X, Y;  // X (N,T)  Y (N)
};

// With T = 3, "ava" gives ... -> a, ..a -> v, .av -> a, ava -> . where . is token 0.
Dataset examples_of(const Words& words, const makemore::Vocabulary& vocabulary, int64_t T) {
  Dataset data;
  for (const std::string& word : words) {
    std::vector<int32_t> context(static_cast<size_t>(T), 0);
    std::vector<int32_t> tokens = vocabulary.encode(word);
    tokens.push_back(0);
    for (const int32_t token : tokens) {
      data.X.insert(data.X.end(), context.begin(), context.end());
      data.Y.push_back(token);
      context.erase(context.begin());
      context.push_back(token);
    }
  }
  return data;
}

makemore::SavedModel trained_on(const Words& words) {
  const makemore::Vocabulary vocabulary = vocabulary_of(words);
  const makemore::Sizes sizes{
      .block_size = 3, .n_embd = 10, .n_hidden = 200, .vocab_size = vocabulary.size()};
  const Dataset data = examples_of(words, vocabulary, sizes.block_size);
  const makemore::Examples examples{data.X.data(), data.Y.data(), std::ssize(data.Y)};

  makemore::ParameterArrays parameters(sizes);
  makemore::initial_parameters(parameters.view(), sizes, /*seed=*/1, makemore::Init::scaled);
  const std::vector<double> lr(2'000, 0.1);  // one for each step
  std::vector<float> losses(lr.size());      // of each step's minibatch
  makemore::TrainOptions options;            // plain SGD, all threads
  options.seed = 1;
  makemore::train_steps(losses.data(), parameters.view(), /*state=*/{}, sizes, examples, lr.data(),
                        std::ssize(lr), /*first_step=*/0, {.batch_size = 32}, options);

  const makemore::ConstParameters learned = std::as_const(parameters).view();
  std::printf("%zu words, %lld examples: loss %.4f at first, %.4f after %zu steps\n", words.size(),
              static_cast<long long>(examples.count), losses.front(),
              makemore::mean_loss(sizes, learned, examples.X, examples.Y, examples.count),
              lr.size());
  return {sizes, vocabulary, std::move(parameters), /*data=*/std::nullopt};
}

void run(const Words& words, const std::string& path) {
  makemore::save_model(path, trained_on(words));

  const makemore::LanguageModel model = makemore::LanguageModel::load(path);
  const std::vector<double> scores = model.score(words);
  for (size_t i = 0; i < words.size(); ++i) {
    std::printf("ln p(%s) = %.17g\n", words[i].c_str(), scores[i]);
  }
  for (const makemore::Sample& sample : model.sample(20, {.seed = 42})) {
    std::printf("sample %s\n", sample.text.c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? read_words(argv[1]) : kNames, argc > 2 ? argv[2] : "names.safetensors");
  } catch (const makemore::Error& error) {  // one sentence, whatever went wrong
    std::fprintf(stderr, "names: %s\n", error.what());
    return 2;
  }
}
