// Texts from and for other libraries' columns, by the capsules of the Arrow C data interface.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/arrow.hpp"
#include "text/text_column.hpp"

namespace makemore::bindings {

namespace py = pybind11;

// Reads the texts of an object with __arrow_c_array__ or __arrow_c_stream__, without copies.
class ArrowSource {
 public:
  // No source where the object has neither method, or lacks the library that the method needs.
  // Errors call the object `name`.  TypeError where it holds something else than texts,
  // ArgumentError where its Arrow structures are malformed.
  static std::optional<ArrowSource> of(const std::string& name, py::handle value);

  // The next texts, which last until the next call; no texts after the last.  They are not checked
  // to be UTF-8, and a null has no data().  The caller must not hold Python's lock, which the
  // producer of a stream may need.  ArgumentError for a malformed array, or where a stream fails.
  std::span<const std::string_view> next();

 private:
  explicit ArrowSource(const std::string& name) : name_(name) {}
  void take_array(py::handle given);
  void take_stream(py::handle given);
  void take_layout(const ArrowSchema& schema);
  void take_chunk(ArrowOwned<ArrowArray> chunk);
  bool next_chunk();
  [[noreturn]] void refuse_failure(int code);

  std::string name_;
  TextLayout layout_ = TextLayout::utf8;
  ArrowOwned<ArrowArrayStream> stream_;
  ArrowOwned<ArrowArray> chunk_;
  ArrowTexts texts_;            // of the chunk
  int64_t first_ = 0, at_ = 0;  // the number of the chunk's first text; how many of it are read
  std::vector<std::string_view> read_;
};

// A list of str, None where a text is null.  ArgumentError, which calls the texts name[first + i],
// for one that is not UTF-8.
py::list strings_of(std::span<const std::string_view> texts, const std::string& name,
                    int64_t first);

// Python's TextColumn.  Its texts do not change any more once they were given away as an Arrow
// array, which shares their memory.
struct PyTextColumn {
  std::shared_ptr<TextColumn> texts = std::make_shared<TextColumn>();
};

// All texts of a column as str.
py::list strings_of(const TextColumn& column);

}  // namespace makemore::bindings
