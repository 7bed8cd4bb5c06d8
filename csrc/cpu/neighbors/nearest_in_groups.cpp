#include "ops/neighbors/nearest_in_groups.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/neighbors/block_search.h"
#include "cpu/support/parallel.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRoom = 32;  // of a list beyond its width

// Up to kProductBlock queries of a group.
struct Block {
  std::int64_t group;
  std::int64_t first;  // in the order
  std::int64_t size;
};

std::vector<Block> blocks_of_groups(const NearestInGroupsArgs& args) {
  std::vector<Block> blocks;
  for (std::int64_t group = 0, first = 0; group < args.groups; ++group) {
    for (; first < args.ends[group]; first += blocks.back().size) {
      blocks.push_back({group, first, std::min(kProductBlock, args.ends[group] - first)});
    }
  }
  return blocks;
}

// The queries of a block laid out for products, and their lists.
class Asked {
 public:
  explicit Asked(const NearestInGroupsArgs& args)
      : args_(args),
        values_(args.queries.dim * kProductBlock),
        norms_(kProductBlock),
        panel_(args.queries.dim * kPanelRows),
        keys_(kProductBlock * (args.width + kRoom)),
        sizes_(kProductBlock),
        bounds_(kProductBlock) {}

  void search(const Block& block) {
    pack(block);
    std::fill(sizes_.begin(), sizes_.end(), 0);
    std::fill(bounds_.begin(), bounds_.end(), INFINITY);
    const std::int64_t begin = block.group == 0 ? 0 : args_.met_ends[block.group - 1];
    const ProductLists lists = {keys_.data(),        sizes_.data(), bounds_.data(), args_.width,
                                args_.width + kRoom, 0.0f,          args_.met};
    const RowBlock queries{0, block.size, values_.data(), norms_.data()};
    alignas(64) float norms[kPanelRows];
    for (std::int64_t first = begin; first < args_.met_ends[block.group]; first += kPanelRows) {
      const std::int64_t size = std::min(kPanelRows, args_.met_ends[block.group] - first);
      const Rows rows{args_.rows.values, args_.rows.dim, args_.met + first};
      pack_panel(args_.rows, rows, size, panel_.data(), kPanelRows, norms, args_.rows.values);
      search_block(lists, 0, {first, size, panel_.data(), norms}, queries, args_.rows.dim);
    }
    for (std::int64_t q = 0; q < block.size; ++q) {
      const std::int64_t at = args_.order[block.first + q] * args_.width;
      write_smallest(keys_.data() + q * lists.capacity, sizes_[q], args_.width, args_.indices + at,
                     args_.squares + at);
    }
  }

 private:
  void pack(const Block& block) {
    for (std::int64_t from = 0; from < kProductBlock; from += kPanelRows) {
      const std::int64_t size = std::clamp<std::int64_t>(block.size - from, 0, kPanelRows);
      const Rows rows{args_.queries.values, args_.queries.dim, args_.order + block.first + from};
      pack_panel(args_.queries, rows, size, values_.data() + from, kProductBlock,
                 norms_.data() + from, args_.queries.values);
    }
  }

  const NearestInGroupsArgs& args_;
  std::vector<float> values_;  // (dim, kProductBlock)
  std::vector<float> norms_;
  std::vector<float> panel_;  // (dim, kPanelRows)
  std::vector<std::uint64_t> keys_;
  std::vector<std::int32_t> sizes_;
  std::vector<float> bounds_;
};

}  // namespace

void nearest_in_groups(const NearestInGroupsArgs& args, int threads) {
  const std::vector<Block> blocks = blocks_of_groups(args);
  constexpr std::int64_t kTogether = 8;  // blocks that share what a worker allocates
  const auto count = static_cast<std::int64_t>(blocks.size());
  parallel_for(count, kTogether, threads, [&](std::int64_t begin, std::int64_t end) {
    Asked asked(args);
    for (std::int64_t i = begin; i < end; ++i) asked.search(blocks[i]);
  });
}

}  // namespace fpd::cpu
