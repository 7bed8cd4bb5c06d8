#include <mma.h>

#include "cuda/support/launch.cuh"
#include "ops/training/hidden_layers.h"

namespace fpd::cuda {
namespace {

namespace wmma = nvcuda::wmma;

constexpr int kWarp = 32;
constexpr int kWarps = kBlockSize / kWarp;
constexpr int kTile = static_cast<int>(kHiddenTile);
constexpr int kEdge = 16;  // rows and columns of a warp's product
constexpr int kDepth = 8;  // of one instruction
constexpr int kLanesPerSum = 8;
constexpr unsigned kAllLanes = 0xffffffffu;

static_assert(kTile % kEdge == 0 && padded_width(1) == kEdge, "tiles are whole products");

__device__ int warp_lane() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ int warp_index() { return static_cast<int>(threadIdx.x) / kWarp; }

// Rows of arrays in shared memory: four floats longer, so that columns spread over the banks.
FPD_HD int stride_of(int widest) { return padded_width(widest) + 4; }

// A block's arrays in shared memory, rows of `stride`.
struct Shared {
  int stride;
  float* values;  // (tile, in) of a layer
  float* grads;   // (tile, out) gradients in its sums
  float* out;     // (tile, in or out) a product
  float* weight;  // (out, in)

  __device__ Shared(float* memory, int widest)
      : stride(stride_of(widest)),
        values(memory),
        grads(values + kTile * stride),
        out(grads + kTile * stride),
        weight(out + kTile * stride) {}
};

std::size_t shared_bytes(int widest) {
  const int rows = 3 * kTile + padded_width(widest);
  return sizeof(float) * static_cast<std::size_t>(rows) *
         static_cast<std::size_t>(stride_of(widest));
}

// The rows of a network's tables that a block works on.
struct Tile {
  std::int64_t first;
  int rows;

  __device__ Tile(std::int64_t tile, std::int64_t all)
      : first(tile * kTile), rows(static_cast<int>(all - first < kTile ? all - first : kTile)) {}
};

// Calls body(row, column) for rows of a matrix, lanes of a warp side by side.
template <typename Body>
__device__ void for_elements(int rows, int columns, const Body& body) {
  for (int r = warp_index(); r < rows; r += kWarps) {
    for (int c = warp_lane(); c < columns; c += kWarp) body(r, c);
  }
}

// An array in shared memory from value(row, column), with zeros around it up to whole products.
template <typename Value>
__device__ void fill(float* to, int stride, int rows, int columns, int padded_rows,
                     const Value& value) {
  for_elements(padded_rows, padded_width(columns), [&](int r, int c) {
    to[r * stride + c] = r < rows && c < columns ? value(r, c) : 0.0f;
  });
}

__device__ void fill_weight(const Shared& shared, const DenseLayer& layer) {
  fill(shared.weight, shared.stride, layer.out, layer.in, padded_width(layer.out),
       [&](int r, int c) { return layer.weight[r * layer.in + c]; });
}

template <typename Function>
__device__ void fill_values(const Shared& shared, const Tile& tile, const float* sums, int width,
                            Function activate) {
  fill(shared.values, shared.stride, tile.rows, width, kTile,
       [&](int r, int c) { return activate(sums[(tile.first + r) * width + c]).value; });
}

template <typename Use, typename Order>
using Factor = wmma::fragment<Use, kEdge, kEdge, kDepth, wmma::precision::tf32, Order>;
using Product = wmma::fragment<wmma::accumulator, kEdge, kEdge, kDepth, float>;

template <typename Use, typename Order>
__device__ void load_factor(Factor<Use, Order>& factor, const float* from, int stride) {
  wmma::load_matrix_sync(factor, from, static_cast<unsigned>(stride));
  for (int i = 0; i < factor.num_elements; ++i) factor.x[i] = to_tf32(factor.x[i]);
}

// Adds left (kEdge, depth) times right (depth, kEdge); steps lead from one kDepth to the next.
template <typename LeftOrder, typename RightOrder>
__device__ void add_product(Product& product, const float* left, int left_step, const float* right,
                            int right_step, int depth, int stride) {
  for (int k = 0; k < depth; k += kDepth) {
    Factor<wmma::matrix_a, LeftOrder> a;
    Factor<wmma::matrix_b, RightOrder> b;
    load_factor(a, left, stride);
    load_factor(b, right, stride);
    wmma::mma_sync(product, a, b, product);
    left += left_step;
    right += right_step;
  }
}

// out (tile, columns) = rows (tile, depth) times the weight, as it is or transposed.
template <bool transposed>
__device__ void multiply_weight(const Shared& shared, const float* rows, int depth, int columns) {
  using Order = std::conditional_t<transposed, wmma::col_major, wmma::row_major>;
  constexpr int row_blocks = kTile / kEdge;
  for (int t = warp_index(); t < row_blocks * (columns / kEdge); t += kWarps) {
    const int row = t % row_blocks * kEdge, column = t / row_blocks * kEdge;
    const float* right = shared.weight + (transposed ? column * shared.stride : column);
    Product product;
    wmma::fill_fragment(product, 0.0f);
    add_product<wmma::row_major, Order>(product, rows + row * shared.stride, kDepth, right,
                                        transposed ? kDepth : kDepth * shared.stride, depth,
                                        shared.stride);
    wmma::store_matrix_sync(shared.out + row * shared.stride + column, product,
                            static_cast<unsigned>(shared.stride), wmma::mem_row_major);
  }
}

// sums (out, in) of gradients times values over the tile's rows, added to what the slot holds.
__device__ void add_weight_grads(const Shared& shared, const DenseLayer& layer, float* sums,
                                 bool is_first) {
  const int in = padded_width(layer.in), row_blocks = padded_width(layer.out) / kEdge;
  for (int t = warp_index(); t < row_blocks * (in / kEdge); t += kWarps) {
    const int row = t % row_blocks * kEdge, column = t / row_blocks * kEdge;
    float* to = sums + row * in + column;
    Product product;
    if (is_first) {
      wmma::fill_fragment(product, 0.0f);
    } else {
      wmma::load_matrix_sync(product, to, static_cast<unsigned>(in), wmma::mem_row_major);
    }
    add_product<wmma::col_major, wmma::row_major>(product, shared.grads + row,
                                                  kDepth * shared.stride, shared.values + column,
                                                  kDepth * shared.stride, kTile, shared.stride);
    wmma::store_matrix_sync(to, product, static_cast<unsigned>(in), wmma::mem_row_major);
  }
}

__device__ void add_bias_grads(const Shared& shared, const DenseLayer& layer, float* sums,
                               bool is_first) {
  for (int o = static_cast<int>(threadIdx.x); o < layer.out; o += kBlockSize) {
    float sum = is_first ? 0.0f : sums[o];
    for (int r = 0; r < kTile; ++r) sum += shared.grads[r * shared.stride + o];
    sums[o] = sum;
  }
}

// The last layer, few columns wide: groups of lanes share a dot product.
__device__ void apply_last(const Shared& shared, const DenseLayer& layer, const Tile& tile,
                           float* out) {
  constexpr int sums_per_warp = kWarp / kLanesPerSum;
  const int part = warp_lane() % kLanesPerSum, items = tile.rows * layer.out;
  for (int base = warp_index() * sums_per_warp; base < items; base += kWarps * sums_per_warp) {
    const int item = base + warp_lane() / kLanesPerSum;
    const int r = item / layer.out, o = item % layer.out;
    float sum = 0.0f;
    for (int i = part; item < items && i < layer.in; i += kLanesPerSum) {
      sum += shared.values[r * shared.stride + i] * layer.weight[o * layer.in + i];
    }
    for (int bits = kLanesPerSum / 2; bits > 0; bits /= 2) {
      sum += __shfl_xor_sync(kAllLanes, sum, bits);
    }
    if (part == 0 && item < items) out[(tile.first + r) * layer.out + o] = sum + layer.bias[o];
  }
}

// Gradients in the last layer's weights and in its input.
__device__ void backward_last(const Shared& shared, const DenseLayer& layer, float* sums,
                              bool is_first) {
  const int in = padded_width(layer.in);
  for_elements(layer.out, layer.in, [&](int o, int i) {
    float sum = is_first ? 0.0f : sums[o * in + i];
    for (int r = 0; r < kTile; ++r) {
      sum += shared.grads[r * shared.stride + o] * shared.values[r * shared.stride + i];
    }
    sums[o * in + i] = sum;
  });
  for_elements(kTile, layer.in, [&](int r, int i) {
    float sum = 0.0f;
    for (int o = 0; o < layer.out; ++o) {
      sum += shared.grads[r * shared.stride + o] * layer.weight[o * layer.in + i];
    }
    shared.out[r * shared.stride + i] = sum;
  });
}

template <typename Function>
__global__ void hidden_forward_kernel(HiddenForwardArgs args, Function activate) {
  extern __shared__ __align__(32) float memory[];  // as products are loaded
  const HiddenLayers& network = args.network;
  const Shared shared(memory, network.widest);
  const int last = network.count - 1;
  for (std::int64_t t = blockIdx.x; t < hidden_tiles(args.rows); t += gridDim.x) {
    const Tile tile(t, args.rows);
    fill_values(shared, tile, args.input, network.layers[0].in, activate);
    for (int l = 0; l < last; ++l) {
      const DenseLayer& layer = network.layers[l];
      fill_weight(shared, layer);
      __syncthreads();
      multiply_weight<true>(shared, shared.values, padded_width(layer.in), padded_width(layer.out));
      __syncthreads();
      float* sums = args.sums == nullptr ? nullptr : args.sums + sums_before(network, l, args.rows);
      fill(shared.values, shared.stride, tile.rows, layer.out, kTile, [&](int r, int c) {
        const float sum = shared.out[r * shared.stride + c] + layer.bias[c];
        if (sums != nullptr) sums[(tile.first + r) * layer.out + c] = sum;
        return activate(sum).value;
      });
    }
    __syncthreads();
    apply_last(shared, network.layers[last], tile, args.out);
    __syncthreads();
  }
}

template <typename Function>
__global__ void hidden_backward_kernel(HiddenBackwardArgs args, Function activate) {
  extern __shared__ __align__(32) float memory[];  // as products are loaded
  const HiddenLayers& network = args.network;
  const Shared shared(memory, network.widest);
  const int last = network.count - 1;
  float* slot = args.partials + blockIdx.x * partials_before(network, network.count);
  for (std::int64_t t = blockIdx.x; t < hidden_tiles(args.rows); t += gridDim.x) {
    const Tile tile(t, args.rows);
    const bool is_first = t == blockIdx.x;
    const int width = network.layers[last].out;
    fill(shared.grads, shared.stride, tile.rows, width, kTile,
         [&](int r, int c) { return args.out_grad[(tile.first + r) * width + c]; });
    for (int l = last; l >= 0; --l) {
      const DenseLayer& layer = network.layers[l];
      const float* input = input_of(args, l);
      float* sums = slot + partials_before(network, l);
      fill_values(shared, tile, input, layer.in, activate);
      if (l < last) fill_weight(shared, layer);
      __syncthreads();
      add_bias_grads(shared, layer, sums + padded_width(layer.out) * padded_width(layer.in),
                     is_first);
      if (l == last) {
        backward_last(shared, layer, sums, is_first);
      } else {
        add_weight_grads(shared, layer, sums, is_first);
        multiply_weight<false>(shared, shared.grads, padded_width(layer.out),
                               padded_width(layer.in));
      }
      __syncthreads();
      fill(shared.grads, shared.stride, tile.rows, layer.in, kTile, [&](int r, int c) {
        const std::int64_t at = (tile.first + r) * layer.in + c;
        const float gradient = shared.out[r * shared.stride + c] * activate(input[at]).slope;
        if (l == 0) args.input_grad[at] = gradient;
        return gradient;
      });
    }
    __syncthreads();
  }
}

constexpr int kSlices = kBlockSize / kWarp;  // of the slots, summed side by side

// A block kWarp elements of a layer's gradients, a warp a slice of the slots.
__global__ void join_slots_kernel(HiddenBackwardArgs args, std::int64_t slots) {
  __shared__ float sums[kBlockSize];
  const int l = static_cast<int>(blockIdx.y);
  const DenseLayer& layer = args.network.layers[l];
  const int weights = layer.out * layer.in, size = weights + layer.out;
  const int in = padded_width(layer.in), padded_weights = padded_width(layer.out) * in;
  const std::int64_t slot_size = partials_before(args.network, args.network.count);
  const float* partials = args.partials + partials_before(args.network, l);
  float* gradients = args.gradients + gradients_before(args.network, l);
  const int e = static_cast<int>(blockIdx.x) * kWarp + warp_lane();
  const int at = e < weights ? e / layer.in * in + e % layer.in : padded_weights + e - weights;
  float sum = 0.0f;
  for (std::int64_t slot = warp_index(); e < size && slot < slots; slot += kSlices) {
    sum += partials[slot * slot_size + at];
  }
  sums[threadIdx.x] = sum;
  __syncthreads();
  if (warp_index() != 0 || e >= size) return;
  for (int slice = 1; slice < kSlices; ++slice) sum += sums[slice * kWarp + warp_lane()];
  gradients[e] = sum;
}

}  // namespace

bool hidden_layers_fit(int widest) {
  return widest <= kMaxHiddenWidth && shared_bytes(widest) <= shared_memory_limit();
}

void hidden_forward(const HiddenForwardArgs& args, void* stream) {
  if (args.rows == 0) return;
  with_activation(args.network.activation, [&](auto activate) {
    const auto kernel = hidden_forward_kernel<decltype(activate)>;
    const std::size_t bytes = shared_bytes(args.network.widest);
    allow_shared_memory(kernel, bytes);
    kernel<<<blocks_for(args.rows, kHiddenTile), kBlockSize, bytes, as_stream(stream)>>>(args,
                                                                                         activate);
    FPD_CUDA_CHECK(cudaGetLastError());
  });
}

void hidden_backward(const HiddenBackwardArgs& args, void* stream) {
  const std::int64_t slots = hidden_slots(args.rows);
  if (slots > 0) {
    with_activation(args.network.activation, [&](auto activate) {
      const auto kernel = hidden_backward_kernel<decltype(activate)>;
      const std::size_t bytes = shared_bytes(args.network.widest);
      allow_shared_memory(kernel, bytes);
      kernel<<<static_cast<unsigned>(slots), kBlockSize, bytes, as_stream(stream)>>>(args,
                                                                                     activate);
      FPD_CUDA_CHECK(cudaGetLastError());
    });
  }
  int most = 0;
  for (int l = 0; l < args.network.count; ++l) {
    const DenseLayer& layer = args.network.layers[l];
    most = std::max(most, layer.out * (layer.in + 1));
  }
  const dim3 grid(blocks_for(most, kWarp), static_cast<unsigned>(args.network.count));
  join_slots_kernel<<<grid, kBlockSize, 0, as_stream(stream)>>>(args, slots);
  FPD_CUDA_CHECK(cudaGetLastError());
}

}  // namespace fpd::cuda
