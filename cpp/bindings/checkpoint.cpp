// Checkpoint for Python: NumPy arrays in and out, and the bytes of its file.
#include "makemore/checkpoint.hpp"

#include <string>
#include <vector>

#include "arrays.hpp"
#include "bindings.hpp"
#include "makemore/error.hpp"
#include "saved_model.hpp"

namespace makemore::bindings {

using namespace py::literals;

namespace {

// Five arrays of the sizes of a model; `what` is what errors call them.
ParameterArrays five_of(py::handle arrays, const Sizes& sizes, const std::string& what) {
  if (!py::isinstance<py::tuple>(arrays) || PyTuple_GET_SIZE(arrays.ptr()) != 5) {
    throw py::type_error(what + " must be a tuple of five arrays, not " + type_name(arrays));
  }
  const auto [T, E, H, V] = sizes;
  const auto copy = [&](int i, const Shape& shape) -> std::vector<float> {
    const std::string name = what + "[" + std::to_string(i) + "]";
    const FloatArray array = float_input(name.c_str(), PyTuple_GET_ITEM(arrays.ptr(), i), shape);
    return {array.data(), array.data() + array.size()};
  };
  ParameterArrays five;
  five.C = copy(0, {V, E});
  five.W1 = copy(1, {T * E, H});
  five.b1 = copy(2, {H});
  five.W2 = copy(3, {H, V});
  five.b2 = copy(4, {V});
  return five;
}

Checkpoint make_checkpoint(const py::object& model, const py::object& optimizer,
                           const py::object& moments, const py::object& losses,
                           const py::object& dev_losses, const py::object& best,
                           const py::object& progress) {
  if (!py::isinstance<SavedModel>(model)) {
    throw py::type_error("model must be a SavedModel, not " + type_name(model));
  }
  if (!py::isinstance<py::dict>(moments)) {
    throw py::type_error("moments must be a dict of tuples, not " + type_name(moments));
  }
  Checkpoint checkpoint{.model = model.cast<const SavedModel&>()};
  const Sizes sizes = checkpoint.model.sizes;
  checkpoint.optimizer = optimizer_named(std::string(text("optimizer", optimizer)));
  const std::vector<std::string> names = moments_of(checkpoint.optimizer);
  for (const std::string& name : names) {
    PyObject* const arrays = PyDict_GetItemString(moments.ptr(), name.c_str());
    if (arrays == nullptr) throw ArgumentError("moments lacks " + name);
    checkpoint.moments.push_back(five_of(arrays, sizes, "moments['" + name + "']"));
  }
  if (PyDict_Size(moments.ptr()) != std::ssize(names)) {
    throw ArgumentError("moments holds more than the optimizer remembers");
  }
  const FloatArray of_steps = float_input("losses", losses, {kAny});
  checkpoint.losses.assign(of_steps.data(), of_steps.data() + of_steps.size());
  const DoubleArray of_evaluations = numbers_of("dev_losses", dev_losses, {kAny});
  checkpoint.dev_losses.assign(of_evaluations.data(),
                               of_evaluations.data() + of_evaluations.size());
  if (!best.is_none()) checkpoint.best = five_of(best, sizes, "best");
  checkpoint.progress = text("progress", progress);
  check_checkpoint(checkpoint);
  return checkpoint;
}

py::dict moments_dict(const Checkpoint& checkpoint) {
  const std::vector<std::string> names = moments_of(checkpoint.optimizer);
  py::dict moments;
  for (size_t i = 0; i < names.size(); ++i) {
    moments[names[i].c_str()] = arrays_of(checkpoint.moments[i], checkpoint.model.sizes);
  }
  return moments;
}

py::object best_tuple(const Checkpoint& checkpoint) {
  if (!checkpoint.best) return py::none();
  return arrays_of(*checkpoint.best, checkpoint.model.sizes);
}

}  // namespace

void bind_checkpoint(py::module_& m) {
  py::class_<Checkpoint>(m, "Checkpoint", R"(A training run between two steps, as its file holds it.

Parameters
----------
model : SavedModel
    After the last step.
optimizer : str
moments : dict of tuples
    For each of `moments_of(optimizer)` five arrays of the shapes of the parameters.  Copied.
losses : float32 array, shape (steps,)
dev_losses : float array, shape (evaluations,)
best : tuple of five arrays, optional
    The parameters of the best evaluation.
progress : str
    Whatever else the run remembers.

Raises
------
ArgumentError
    Something does not fit the model or is not finite.)")
      .def(py::init(&make_checkpoint), "model"_a, "optimizer"_a, "moments"_a, "losses"_a,
           "dev_losses"_a, "best"_a = py::none(), "progress"_a = "")
      .def_property_readonly(
          "model", [](const Checkpoint& checkpoint) { return checkpoint.model; }, "A copy of it.")
      .def_property_readonly(
          "optimizer", [](const Checkpoint& checkpoint) { return name_of(checkpoint.optimizer); },
          "Its name.")
      .def_property_readonly("moments", &moments_dict, "New arrays C, W1, b1, W2, b2 of each.")
      .def_property_readonly(
          "losses", [](const Checkpoint& checkpoint) { return array_of(checkpoint.losses); },
          "A new array.")
      .def_property_readonly(
          "dev_losses",
          [](const Checkpoint& checkpoint) { return array_of(checkpoint.dev_losses); },
          "A new array.")
      .def_property_readonly("best", &best_tuple, "New arrays C, W1, b1, W2, b2, or None.")
      .def_property_readonly(
          "progress", [](const Checkpoint& checkpoint) { return checkpoint.progress; },
          "The text as it was given.")
      .def("to_bytes", &to_bytes<Checkpoint, checkpoint_to_bytes>,
           "Return the bytes of the file; the same checkpoint always gives the same.")
      .def_static("from_bytes", &from_bytes<Checkpoint, checkpoint_from_bytes>, "data"_a,
                  "name"_a = "bytes",
                  R"(Return the checkpoint of a file's bytes, which errors call `name`.

Raises
------
FormatError
    The bytes are not a checkpoint's, or were changed.)")
      .def("save", &save<Checkpoint, save_checkpoint>, "path"_a,
           R"(Write the file, replacing one of that name atomically.

Raises
------
FileError
    The system refuses; an older file is as it was.)")
      .def_static("load", &load<Checkpoint, load_checkpoint>, "path"_a,
                  R"(Return the checkpoint of a file.

Raises
------
FileError
    The file cannot be read.
FormatError
    Its bytes are not a checkpoint's, or were changed.)");
}

}  // namespace makemore::bindings
