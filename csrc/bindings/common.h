// What the files that define the Python module share.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>

namespace fpd {

namespace py = pybind11;
using namespace py::literals;

using Address = std::uintptr_t;
using Index = std::int64_t;
using NoGil = py::call_guard<py::gil_scoped_release>;

template <typename T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

void bind_neighbors(py::module_& m);
void bind_graph(py::module_& m);
void bind_training(py::module_& m);
void bind_edge_step(py::module_& m);
void bind_layout(py::module_& m);

}  // namespace fpd
