#include "cuda/support/block.cuh"

namespace fpd::cuda {

std::size_t block_shared_bytes() { return shared_memory_limit(); }

}  // namespace fpd::cuda
