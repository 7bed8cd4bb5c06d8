#include "ops/training/edge_step.h"

#include <limits>
#include <vector>

#include "cpu/support/block.h"
#include "cpu/support/parallel.h"
#include "ops/training/blocks/plan.h"

namespace fpd::cpu {
namespace {

// body(block, index, memory) for each block, whose shared memory is not what it was.
template <typename T, typename Body>
void run_blocks(std::int64_t blocks, std::int64_t size, int threads, const Body& body) {
  parallel_for(blocks, 1, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t index = begin; index < end; ++index) {
      std::vector<T> memory(static_cast<std::size_t>(size), std::numeric_limits<T>::quiet_NaN());
      HostBlock block;
      body(block, index, memory.data());
    }
  });
}

template <int width, int tiles>
void run_step(const EdgeStepArgs& args, int threads) {
  run_blocks<float>(sum_blocks(args), sum_block_floats<tiles>(), threads,
                    [&](HostBlock& block, std::int64_t index, float* memory) {
                      sum_block<width, tiles>(block, args, index, memory);
                    });
  with_activation(args.network.activation, [&](auto activate) {
    run_blocks<float>(args.plan.slots, args.plan.floats, threads,
                      [&](HostBlock& block, std::int64_t index, float* memory) {
                        tile_block(block, args, index, memory, activate);
                      });
  });
  run_blocks<float>(gradient_blocks(args), gradient_block_floats<tiles>(), threads,
                    [&](HostBlock& block, std::int64_t index, float* memory) {
                      gradient_block<width, tiles>(block, args, index, memory);
                    });
  run_blocks<double>(update_blocks(args), kBlockThreads, threads,
                     [&](HostBlock& block, std::int64_t index, double* memory) {
                       update_block(block, args, index, memory);
                     });
}

}  // namespace

std::size_t edge_step_shared_bytes() { return 227 * 1024; }

void edge_step(const EdgeStepArgs& args, int threads) {
  with_split_tiles(args.first.out, [&](auto tiles) {
    copies_by_fours(args) ? run_step<4, tiles>(args, threads) : run_step<1, tiles>(args, threads);
  });
}

}  // namespace fpd::cpu
