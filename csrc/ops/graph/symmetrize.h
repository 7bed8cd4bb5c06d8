// A directed sparse graph and its transpose joined into one symmetric, sorted graph. `plan` sorts
// both sides into scratch and counts each row; once the caller has allocated the edges, `fill`
// writes them. Rows and columns come out ascending, so the result has one possible order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "math/graph/fuzzy_set.h"

namespace fpd {

struct Csr {
  const std::int64_t* indptr;   // (n + 1,)
  const std::int32_t* indices;  // (nnz,)
  const float* weights;         // (nnz,)
};

// The points whose joined edges are wanted, where those of all would take too much: the outputs are
// theirs alone.
struct HeadRange {
  std::int64_t first;
  std::int64_t last;        // one past the last
  std::int64_t transposed;  // entries of the graph in these columns
};

struct SymmetrizeArgs {
  std::int64_t* indptr;  // (n + 1,) plan: out, fill: in
  std::int32_t* heads;   // (indptr[n],) fill: out
  std::int32_t* tails;   // (indptr[n],) fill: out
  float* weights;        // (indptr[n],) fill: out
  void* scratch;         // symmetrize_scratch bytes, the same for plan and fill
  Csr graph;             // directed, columns of a row distinct and in any order
  std::int64_t n;
  std::int64_t nnz;
  std::int64_t longest;  // plan: no row of the graph has more entries
  Symmetrizer symmetrizer;
  HeadRange range{};  // on the CPU; n, indptr and the arrays are of all points where it is empty
};

// Calls emit(tail, weight) for each entry of row `row`, ascending, given both sides sorted.
template <typename Emit>
FPD_HD void join_row(const Csr& forward, const Csr& transposed, std::int64_t row,
                     const Symmetrizer& symmetrizer, Emit&& emit) {
  std::int64_t f = forward.indptr[row], f_end = forward.indptr[row + 1];
  std::int64_t t = transposed.indptr[row], t_end = transposed.indptr[row + 1];
  while (f < f_end || t < t_end) {
    const std::int32_t from_f = f < f_end ? forward.indices[f] : INT32_MAX;
    const std::int32_t from_t = t < t_end ? transposed.indices[t] : INT32_MAX;
    const std::int32_t tail = from_f < from_t ? from_f : from_t;
    const float w = from_f == tail ? forward.weights[f++] : 0.0f;
    const float w_t = from_t == tail ? transposed.weights[t++] : 0.0f;
    const float joined = symmetrizer(w, w_t);
    if (joined != 0.0f) emit(tail, joined);  // an intersection leaves no zero behind
  }
}

namespace cpu {
std::size_t symmetrize_scratch(std::int64_t n, std::int64_t nnz);
// Of a range of heads, whose rows have so many entries.
std::size_t symmetrize_range_scratch(std::int64_t n, const HeadRange& range, std::int64_t forward);
void symmetrize_plan(const SymmetrizeArgs& args, int threads);
void symmetrize_fill(const SymmetrizeArgs& args, int threads);
}  // namespace cpu
namespace cuda {
std::size_t symmetrize_scratch(std::int64_t n, std::int64_t nnz);
void symmetrize_plan(const SymmetrizeArgs& args, void* stream);
void symmetrize_fill(const SymmetrizeArgs& args, void* stream);
}  // namespace cuda

}  // namespace fpd
