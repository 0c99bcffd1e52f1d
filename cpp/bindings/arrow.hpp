// Texts from and for the data tools of others, by the capsules of the Arrow C data interface.
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

// The texts of an object with __arrow_c_array__ or __arrow_c_stream__, read where they lie.
class ArrowSource {
 public:
  // None where the object has neither method, or misses the library that would answer.  Errors call
  // it `name`.  TypeError where it holds something else than texts, ArgumentError where what it
  // gives is malformed.
  static std::optional<ArrowSource> of(const std::string& name, py::handle value);

  // The next texts, which last until the next call, or none behind the last.  Not checked to be
  // UTF-8; one without data() is null.  To be called without Python's lock, as others may need it
  // to answer.  ArgumentError for a malformed array, or where a stream fails.
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
  int64_t first_ = 0, at_ = 0;  // the number of its first text, and of those read of it
  std::vector<std::string_view> read_;
};

// A list of str, None where a text is null.  ArgumentError, which calls the texts name[first + i],
// for one that is not UTF-8.
py::list strings_of(std::span<const std::string_view> texts, const std::string& name,
                    int64_t first);

// The texts that a function gives as a column.  Once given away as an Arrow array it does not
// change any more.
struct PyTextColumn {
  std::shared_ptr<TextColumn> texts = std::make_shared<TextColumn>();
};

// All its texts as str.
py::list strings_of(const TextColumn& column);

}  // namespace makemore::bindings
