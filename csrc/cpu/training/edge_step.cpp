#include "ops/training/edge_step.h"

#include "cpu/support/block.h"
#include "ops/training/blocks/plan.h"

namespace fpd::cpu {
namespace {

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

void edge_step(const EdgeStepArgs& args, int threads) {
  with_split_tiles(args.first.out, [&](auto tiles) {
    copies_by_fours(args.table, args.first) ? run_step<4, tiles>(args, threads)
                                            : run_step<1, tiles>(args, threads);
  });
}

}  // namespace fpd::cpu
