#include "ops/training/embed_rows.h"

#include "cpu/support/block.h"
#include "ops/training/blocks/embed_tile.h"

namespace fpd::cpu {

void embed_rows(const EmbedRowsArgs& args, int threads) {
  const bool by_fours = copies_by_fours(args.table, args.first);
  const std::int64_t blocks = (embed_tiles(args) + 1) / 2;  // two tiles each
  with_activation(args.network.activation, [&](auto activate) {
    with_split_tiles(args.first.out, [&](auto tiles) {
      run_blocks<float>(blocks, embed_block_floats<tiles>(args), threads,
                        [&](HostBlock& block, std::int64_t index, float* memory) {
                          if (by_fours) {
                            embed_block<4, tiles>(block, args, index, blocks, memory, activate);
                          } else {
                            embed_block<1, tiles>(block, args, index, blocks, memory, activate);
                          }
                        });
    });
  });
}

}  // namespace fpd::cpu
