#include "cpu/support/block.h"

namespace fpd::cpu {

std::size_t block_shared_bytes() { return 227 * 1024; }

}  // namespace fpd::cpu
