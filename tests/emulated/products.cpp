// The search by products of warpgroups on the host, and the maps that it goes by, for ctypes.
#include <cuda_runtime_api.h>

#include "cuda/neighbors/warpgroup_search.cuh"
#include "cuda/support/launch.cuh"

using namespace fpd;

extern "C" const char* search(const std::uint16_t* units, const std::uint16_t* column_units,
                              const float* norms, float* bounds, std::int32_t* indices,
                              const float* row_norms, std::int64_t rows, std::int64_t width,
                              float slack, std::int64_t columns, std::int64_t dim,
                              std::int64_t first_column, bool late_copies, bool late_products) {
  using namespace fpd::cuda;
  emulated_device::late_copies = late_copies;
  emulated_device::late_products = late_products;
  emulated_device::products.clear();
  std::memset(emulated_device::memory, 0xff, sizeof emulated_device::memory);
  const NearestByCosinesArgs args{{bounds, indices, row_norms, rows, width},
                                  units,
                                  column_units,
                                  norms,
                                  slack,
                                  columns,
                                  dim,
                                  first_column,
                                  ProductEngine::wgmma};
  return emulated::failure_of([&] {
    emulated::launch(warpgroup_search_kernel, (rows + kSearchRows - 1) / kSearchRows,
                     kSearchThreads)(args, TensorMap{units, rows, dim, kSearchRows},
                                     TensorMap{column_units, columns, dim, kProductColumns});
  });
}

extern "C" int slice_offset_of(int row, int column) { return slice_offset(row, column); }
extern "C" std::uint64_t descriptor_of(std::uint32_t address) { return matrix_descriptor(address); }
extern "C" int sum_row_of(int thread, int i) { return sum_row(thread, i); }
extern "C" int sum_column_of(int thread, int i) { return sum_column(thread, i); }

// How many of some tests pass, and how many of those that must have did not.
extern "C" void count_tests(const float* row_norms, const float* column_norms, const float* cosines,
                            const float* ends, float slack, std::int64_t count, std::int64_t* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    const bool passes = BoundTest::of(row_norms[i], slack, ends[i])
                            .passes(cosines[i], TestedColumn::of(column_norms[i]));
    const bool below =
        squared_distance_bound(row_norms[i], column_norms[i], cosines[i], slack) < ends[i];
    out[0] += passes;
    out[1] += below;
    out[2] += below && !passes;
  }
}
