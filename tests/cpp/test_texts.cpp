// Reading and writing of texts without Python: tokens that many threads make, columns that are
// given away as Arrow arrays, and Arrow arrays that are read without copies.
#include <cstring>
#include <string>
#include <vector>

#include "check.hpp"
#include "makemore/error.hpp"
#include "text/arrow.hpp"
#include "text/text_column.hpp"
#include "text/token_batch.hpp"

using namespace makemore;

namespace {

const Vocabulary kMixed({"a", "b", "é", "日", "😀"}), kAscii({"a", "b", "c"}),
    kWords({"the", "cat", "日本"}, "|", " ");

// Texts whose tokens are as many as their bytes, and others, in an order without a pattern.
std::vector<std::string> some_texts(size_t n) {
  const char* const parts[] = {"a", "ab", "é", "日b", "😀", "", "babab", "x日", "y"};
  std::vector<std::string> texts(n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < i * 7919 % 6; ++j) texts[i] += parts[(i + j * j * 31) % 9];
  }
  return texts;
}

std::vector<std::string_view> views_of(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

void expect_tokens(const TokenBatch& batch, const Vocabulary& vocabulary,
                   const std::vector<std::string>& texts, Unknown unknown) {
  std::vector<int32_t> tokens;
  std::vector<int64_t> offsets{0};
  for (const std::string& text : texts) {
    vocabulary.append(tokens, text, unknown);
    offsets.push_back(std::ssize(tokens));
  }
  EXPECT(std::ranges::equal(batch.tokens(), tokens));
  EXPECT(std::ranges::equal(batch.offsets(), offsets));
}

TEST_CASE("tokens are those of one text after another, whatever the threads") {
  const std::vector<std::string> texts = some_texts(40'000);
  TokenBatch batch;
  for (const Vocabulary* vocabulary : {&kMixed, &kWords}) {
    for (const Unknown unknown : {Unknown::skip, Unknown::mark}) {
      for (const int threads : {1, 2, 7}) {
        batch.encode(*vocabulary, views_of(texts), unknown, threads);
        expect_tokens(batch, *vocabulary, texts, unknown);
      }
    }
  }
  batch.encode(kMixed, {}, Unknown::error, 2);
  expect_tokens(batch, kMixed, {}, Unknown::error);
}

TEST_CASE("the first text that cannot be encoded is named, whatever the threads") {
  std::vector<std::string> texts(30'000, "abab");
  TokenBatch batch;
  for (const size_t first : {29'999, 20'000, 11'111, 3}) {
    texts[first] = "ab?";
    const std::string place = "texts[" + std::to_string(500 + first) + "]: the character '?'";
    for (const int threads : {1, 2, 7}) {
      EXPECT_THROWS(batch.encode(kMixed, views_of(texts), Unknown::error, threads, 500),
                    ArgumentError, place);
    }
    texts[first] = "\xff";
    EXPECT_THROWS(batch.encode(kMixed, views_of(texts), Unknown::skip, 7, 500), ArgumentError,
                  "not valid UTF-8");
  }
}

TEST_CASE("a text without data has no tokens") {
  const std::vector<std::string_view> texts{"a", {}, "", "b"};
  TokenBatch batch;
  batch.encode(kAscii, texts, Unknown::error, 1);
  EXPECT(std::ranges::equal(batch.offsets(), std::vector<int64_t>{0, 1, 1, 1, 2}));
}

std::vector<std::string> texts_of(const TextColumn& column) {
  std::vector<std::string> texts;
  for (int64_t i = 0; i < column.count(); ++i) texts.emplace_back(column.text(i));
  return texts;
}

TEST_CASE("a column holds what is appended in each way") {
  TextColumn column;
  std::vector<std::string> expected{"ab", "", "é"};
  for (const std::string& text : expected) column.append(text);
  const std::vector<int32_t> tokens{1, 2, 3};
  for (const Vocabulary* vocabulary : {&kAscii, &kMixed, &kWords}) {
    column.append(*vocabulary, tokens, std::vector<int64_t>{0, 0, 2, 3});
    for (const auto& [begin, end] : {std::pair{0, 0}, std::pair{0, 2}, std::pair{2, 3}}) {
      expected.push_back(vocabulary->decode(
          std::span(tokens).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin))));
    }
  }
  EXPECT(texts_of(column) == expected);
  column.append(column);
  const std::vector<std::string> once = expected;
  expected.insert(expected.end(), once.begin(), once.end());
  EXPECT(texts_of(column) == expected);
}

TEST_CASE("a column that is given away is read where it lies, and outlives itself") {
  auto column = std::make_shared<TextColumn>();
  for (const std::string& text : some_texts(300)) column->append(text);
  const std::vector<std::string> expected = texts_of(*column);
  const char* const bytes = column->bytes();
  ArrowSchema given_schema{};
  ArrowArray given_array{};
  export_to_arrow(column, given_schema, given_array);
  column.reset();
  const ArrowOwned<ArrowSchema> schema(given_schema);
  const ArrowOwned<ArrowArray> array(given_array);
  EXPECT(given_schema.release == nullptr && given_array.release == nullptr);
  const auto layout = text_layout(schema->format);
  EXPECT(layout == TextLayout::large_utf8);
  const ArrowTexts texts("texts", *layout, *array, 0);
  EXPECT(texts.count() == std::ssize(expected));
  for (int64_t i = 0; i < texts.count(); ++i) {
    EXPECT(texts.text(i, "texts", 0) == expected[static_cast<size_t>(i)]);
  }
  EXPECT(array->buffers[2] == bytes);
}

TEST_CASE("a slice begins inside of its buffers, and says which text is wrong") {
  int32_t offsets[] = {0, 3, 3, 5, 9};
  const uint8_t validity[] = {0b1011};
  const char bytes[] = "abcdefghi";
  const void* buffers[] = {validity, offsets, bytes};
  ArrowArray array{};
  array.length = 3;
  array.offset = 1;
  array.null_count = 1;
  array.n_buffers = 3;
  array.buffers = buffers;
  const ArrowTexts texts("texts", TextLayout::utf8, array, 0);
  EXPECT(texts.text(0, "texts", 0).empty() && texts.text(0, "texts", 0).data() != nullptr);
  EXPECT(texts.text(1, "texts", 0).data() == nullptr);
  EXPECT(texts.text(2, "texts", 0) == "fghi");
  offsets[3] = 10;
  EXPECT_THROWS(ArrowTexts("texts", TextLayout::utf8, array, 70), ArgumentError,
                "texts[72] has the Arrow offsets 10 and 9");
  offsets[3] = 5;
  array.length = 4;
  array.offset = INT64_MAX - 3;
  EXPECT_THROWS(ArrowTexts("texts", TextLayout::utf8, array, 0), ArgumentError, "offset");
}

}  // namespace

int main() { return check::run(); }
