// A struct is taken out of its capsule as the specification demands: it is moved, the original is
// marked as released, and the moved one is released once.
#include "arrow.hpp"

#include <pybind11/critical_section.h>

#include <atomic>

#include "base/utf8.hpp"
#include "bindings.hpp"
#include "classes.hpp"
#include "gil.hpp"
#include "makemore/error.hpp"
#include "scalars.hpp"
#include "strings.hpp"

namespace makemore::bindings {

using namespace py::literals;

namespace {

constexpr int64_t kAtOnce = 1 << 18;  // texts and bytes that are read at a time

// The first line of an exception's text, even where its __str__ raises or gives lone surrogates.
std::string reason_of(const py::error_already_set& error) {
  try {
    const py::object text = py::str(error.value()).attr("encode")("utf-8", "backslashreplace");
    const std::string said = text.cast<std::string>();
    return said.substr(0, said.find('\n'));
  } catch (py::error_already_set& another) {
    if (!another.matches(PyExc_Exception)) throw;
    return "an exception that cannot be shown";
  }
}

// The result of a producer's method; no object where the library that it needs is missing.
py::object answer_of(const std::string& name, const py::object& method) {
  try {
    return call(method, nullptr, 0);
  } catch (py::error_already_set& error) {
    if (error.matches(PyExc_ImportError)) return {};
    if (!error.matches(PyExc_Exception) || error.matches(PyExc_MemoryError)) throw;
    throw py::type_error(name + " cannot be read as Arrow: " + show_text(reason_of(error)));
  }
}

template <typename Struct>
ArrowOwned<Struct> taken_out(const std::string& name, py::handle capsule, const char* kind) {
  if (PyCapsule_IsValid(capsule.ptr(), kind) == 0) {
    throw py::type_error(name + " cannot be read as Arrow: its method must give a capsule called " +
                         kind + ", not " + type_name(capsule));
  }
  const py::scoped_critical_section no_other(capsule);  // several threads may have one capsule
  auto* const given = static_cast<Struct*>(PyCapsule_GetPointer(capsule.ptr(), kind));
  if (given->release == nullptr) {
    throw ArgumentError(name + " gives an " + kind + " that is released already");
  }
  return ArrowOwned<Struct>(*given);
}

struct Release {
  template <typename Struct>
  void operator()(Struct* kept) const {
    if (kept->release != nullptr) kept->release(kept);
    delete kept;
  }
};

template <typename Struct>
py::capsule capsule_of(std::unique_ptr<Struct, Release> owned, const char* kind) {
  const py::capsule capsule(owned.get(), kind, [](PyObject* self) {
    Release()(static_cast<Struct*>(PyCapsule_GetPointer(self, PyCapsule_GetName(self))));
  });
  static_cast<void>(owned.release());  // the capsule has it
  return capsule;
}

}  // namespace

std::optional<ArrowSource> ArrowSource::of(const std::string& name, py::handle value) {
  for (const bool is_stream : {false, true}) {
    const char* const method = is_stream ? "__arrow_c_stream__" : "__arrow_c_array__";
    const py::object bound = py::getattr(value, method, py::none());
    if (bound.is_none()) continue;
    const py::object given = answer_of(name, bound);
    if (!given) continue;
    ArrowSource source(name);
    is_stream ? source.take_stream(given) : source.take_array(given);
    return source;
  }
  return std::nullopt;
}

void ArrowSource::take_array(py::handle given) {
  if (!PyTuple_Check(given.ptr()) || PyTuple_GET_SIZE(given.ptr()) != 2) {
    throw py::type_error(name_ +
                         " cannot be read as Arrow: __arrow_c_array__ must give a tuple of "
                         "two capsules, not " +
                         type_name(given));
  }
  const auto schema =
      taken_out<ArrowSchema>(name_, PyTuple_GET_ITEM(given.ptr(), 0), "arrow_schema");
  auto array = taken_out<ArrowArray>(name_, PyTuple_GET_ITEM(given.ptr(), 1), "arrow_array");
  take_layout(*schema);
  take_chunk(std::move(array));
}

void ArrowSource::take_stream(py::handle given) {
  stream_ = taken_out<ArrowArrayStream>(name_, given, "arrow_array_stream");
  if (stream_->get_schema == nullptr || stream_->get_next == nullptr) {
    throw ArgumentError(name_ + " gives an Arrow stream without its functions");
  }
  ArrowSchema given_schema{};
  int code = 0;
  {
    const GilRelease release;
    code = stream_->get_schema(stream_.get(), &given_schema);
  }
  if (code != 0) refuse_failure(code);
  const ArrowOwned<ArrowSchema> schema(given_schema);
  take_layout(*schema);
}

void ArrowSource::take_layout(const ArrowSchema& schema) {
  if (schema.format == nullptr || schema.release == nullptr) {
    throw ArgumentError(name_ + " gives an Arrow schema that is released, or has no format");
  }
  const std::string_view format = schema.format;
  if (format == "+s") {
    throw py::type_error(name_ + " is a table of Arrow columns; give one of them");
  }
  const auto layout = text_layout(format);
  if (!layout || schema.dictionary != nullptr) {
    throw py::type_error(
        name_ + " holds Arrow values of " +
        (schema.dictionary != nullptr ? "a dictionary" : "the format '" + show_text(format) + "'") +
        "; they must be strings: utf8, large_utf8 or string_view");
  }
  if (schema.n_children != 0) {
    throw ArgumentError(name_ + " gives an Arrow schema of texts with " +
                        std::to_string(schema.n_children) + " children; it must have none");
  }
  layout_ = *layout;
}

void ArrowSource::take_chunk(ArrowOwned<ArrowArray> chunk) {
  chunk_ = std::move(chunk);
  texts_ = ArrowTexts(name_, layout_, *chunk_, first_);
}

bool ArrowSource::next_chunk() {
  if (stream_.is_released()) return false;
  first_ += texts_.count();
  at_ = 0;
  texts_ = ArrowTexts();  // views of the chunk, so they go first
  chunk_ = ArrowOwned<ArrowArray>();
  ArrowArray given{};
  const int code = stream_->get_next(stream_.get(), &given);
  if (code != 0) refuse_failure(code);
  if (given.release == nullptr) return false;
  take_chunk(ArrowOwned<ArrowArray>(given));
  return true;
}

void ArrowSource::refuse_failure(int code) {
  const char* const reason =
      stream_->get_last_error == nullptr ? nullptr : stream_->get_last_error(stream_.get());
  throw ArgumentError(name_ + " comes from an Arrow stream that failed with error " +
                      std::to_string(code) + (reason == nullptr ? "" : ": " + show_text(reason)));
}

std::span<const std::string_view> ArrowSource::next() {
  read_.clear();
  while (at_ == texts_.count()) {
    if (!next_chunk()) return {};
  }
  for (int64_t bytes = 0; at_ < texts_.count() && std::ssize(read_) + bytes < kAtOnce; ++at_) {
    read_.push_back(texts_.text(at_, name_, first_));
    bytes += std::ssize(read_.back());
  }
  return read_;
}

py::list strings_of(std::span<const std::string_view> texts, const std::string& name,
                    int64_t first) {
  py::list strings(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    PyObject* string = nullptr;
    if (texts[i].data() == nullptr) {
      string = py::none().release().ptr();
    } else if (is_utf8(texts[i])) {
      string = PyUnicode_DecodeUTF8(texts[i].data(), std::ssize(texts[i]), nullptr);
    } else {
      throw ArgumentError(name + "[" + std::to_string(first + static_cast<int64_t>(i)) +
                          "] is not valid UTF-8: '" + show_text(texts[i]) + "'");
    }
    if (string == nullptr) throw py::error_already_set();
    PyList_SET_ITEM(strings.ptr(), static_cast<Py_ssize_t>(i), string);
  }
  return strings;
}

py::list strings_of(const TextColumn& column) {
  const int64_t n = column.count();
  py::list strings(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    const std::string_view text = column.text(i);
    PyObject* const string = PyUnicode_DecodeUTF8(text.data(), std::ssize(text), nullptr);
    if (string == nullptr) throw py::error_already_set();
    PyList_SET_ITEM(strings.ptr(), static_cast<Py_ssize_t>(i), string);
  }
  return strings;
}

namespace {

// Reads one source for Python piece by piece, and refuses a second call at the same time.
class Reader {
 public:
  Reader(ArrowSource source, std::string name)
      : source_(std::move(source)), name_(std::move(name)) {}

  py::list next() {
    if (is_reading_.exchange(true)) {
      throw ArgumentError(name_ + " is being read by another call");
    }
    try {
      py::list strings = read();
      if (strings.empty()) source_.reset();
      is_reading_ = false;
      return strings;
    } catch (...) {
      source_.reset();  // the caught error keeps this reader alive, which need not keep the source
      is_reading_ = false;
      throw;
    }
  }

 private:
  py::list read() {
    if (!source_) return py::list();
    std::span<const std::string_view> texts;
    {
      const GilRelease release;
      texts = source_->next();
    }
    const int64_t first = std::exchange(done_, done_ + std::ssize(texts));
    return strings_of(texts, name_, first);
  }

  std::optional<ArrowSource> source_;
  std::string name_;
  int64_t done_ = 0;
  std::atomic<bool> is_reading_{false};
};

py::object arrow_reader(const py::object& texts, const py::object& name) {
  const std::string called(text("name", name));
  if (!py::hasattr(texts, "__arrow_c_array__") && !py::hasattr(texts, "__arrow_c_stream__")) {
    throw py::type_error("texts must have __arrow_c_array__ or __arrow_c_stream__, which " +
                         type_name(texts) + " has not");
  }
  auto source = ArrowSource::of(called, texts);
  if (!source) return py::none();
  const auto reader = std::make_shared<Reader>(std::move(*source), called);
  return py::cpp_function([reader] { return reader->next(); });
}

const PyTextColumn& column_of(const py::object& self) {
  return object_of<PyTextColumn>("self", self);
}

// Makes a method of a function of a column, to which no other thread appends meanwhile.
template <typename Call>
auto alone(const Call& call) {
  return [call](const py::object& self) {
    const py::scoped_critical_section no_other(self);
    return call(*column_of(self).texts);
  };
}

void append(const py::object& self, const py::object& texts) {
  const PyTextColumn& column = column_of(self);
  if (PyUnicode_Check(texts.ptr())) {
    throw py::type_error("texts must be an iterable of str, not one str");
  }
  TextColumn collected;
  const bool is_column = is_a<PyTextColumn>(texts);
  if (!is_column) {
    Elements elements("texts", texts);
    while (elements.next()) {
      const std::string place = "texts[" + std::to_string(collected.count()) + "]";
      collected.append(text(place, elements.value()));
    }
  }
  const py::scoped_critical_section no_other(self, texts);
  if (column.texts.use_count() > 1) {
    throw ArgumentError("texts cannot be appended to a column that was given away as Arrow");
  }
  // What a library that released an array has read of this memory, it has read before.
  std::atomic_thread_fence(std::memory_order_acquire);
  column.texts->append(is_column ? *column_of(texts).texts : collected);
}

py::tuple arrow_capsules(const py::object& self, const py::object&) {
  const py::scoped_critical_section no_other(self);
  std::unique_ptr<ArrowSchema, Release> schema(new ArrowSchema());
  std::unique_ptr<ArrowArray, Release> array(new ArrowArray());
  export_to_arrow(column_of(self).texts, *schema, *array);
  return py::make_tuple(capsule_of(std::move(schema), "arrow_schema"),
                        capsule_of(std::move(array), "arrow_array"));
}

}  // namespace

void bind_arrow(py::module_& m) {
  auto column = class_of<PyTextColumn>(m, "TextColumn", R"(Texts in one piece of memory.

It is made by `makemore_cpp.sample` with ``as_arrow=True``, and is an Arrow array of large_utf8 for
whatever reads the Arrow C data interface: ``pyarrow.array(column)``, ``polars.Series(column)``.)");
  def_init(column, +[] { return PyTextColumn(); });
  column.def("__len__", alone([](const TextColumn& texts) { return texts.count(); }))
      .def("__repr__", alone([](const TextColumn& texts) {
             return "<TextColumn of " + std::to_string(texts.count()) + " texts>";
           }))
      .def("tolist", alone([](const TextColumn& texts) { return strings_of(texts); }),
           "Return the texts as a list of str.")
      .def("append", &append, "texts"_a,
           R"(Append the texts of another column, or an iterable of str.

Raises
------
TypeError
    `texts` holds something else than str.
ArgumentError
    The column was given away as an Arrow array, or a text has a lone surrogate.)")
      .def("__arrow_c_array__", &arrow_capsules, "requested_schema"_a = py::none(),
           "Return the capsules of an Arrow schema and array, which share the column's memory.");

  m.def("arrow_reader", &arrow_reader, "texts"_a, "name"_a,
        R"(Return a function that gives the next texts of an Arrow array or stream.

Parameters
----------
texts : object with __arrow_c_array__ or __arrow_c_stream__
name : str
    What errors call it.

Returns
-------
function or None
    Each call gives a list of str, None for a null, which is empty behind the last. There is no
    function where the library is missing that `texts` needs to answer.

Raises
------
TypeError
    `texts` has neither method, or holds something else than strings.
ArgumentError
    An array is malformed.)");
}

}  // namespace makemore::bindings
