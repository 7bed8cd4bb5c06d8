#include "ops/neighbors/nearest_by_products.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "cpu/neighbors/block_search.h"
#include "cpu/support/parallel.h"

namespace fpd::cpu {
namespace {

constexpr std::int64_t kRowsPerPiece = 64;
constexpr std::int64_t kPiecesPerWorker = 16;
constexpr std::int64_t kPanelsTogether = 3;  // that meet each of several blocks of queries
constexpr std::int64_t kPanelsAhead = 2;     // whose rows are asked for while one is laid out

// A panel of rows that lie one after the other.
void pack_panel(const PlainRows& rows, std::int64_t first, std::int64_t size, float* values,
                std::int64_t stride, float* norms) {
  const Rows from{rows.values + first * rows.dim, rows.dim};
  const float* const ahead = from.first + kPanelsAhead * kPanelRows * rows.dim;
  pack_panel(rows, from, size, values, stride, norms, ahead);
}

}  // namespace

void pack_rows(const PackRowsArgs& args, int threads) {
  const ProductTable& table = args.table;
  parallel_for(table.blocks(), 1, threads, [&](std::int64_t block, std::int64_t) {
    for (std::int64_t from = 0; from < kProductBlock; from += kPanelRows) {
      const std::int64_t first = block * kProductBlock + from;
      const std::int64_t size = std::clamp<std::int64_t>(table.n - first, 0, kPanelRows);
      pack_panel(args.rows, first, size, table.block(block) + from, kProductBlock,
                 table.norms + first);
    }
  });
}

void nearest_pairs(const NearestPairsArgs& args, int threads) {
  const ProductTable& table = args.table;
  const BlockPairs pairs{table.blocks()};
  for (std::int64_t round = args.first_round; round < args.last_round; ++round) {
    parallel_for(pairs.size(round), 1, threads, [&](std::int64_t i, std::int64_t) {
      const BlockPairs::Pair pair = pairs.at(round, i);
      if (!pairs.holds(pair)) return;
      const RowBlock rows = RowBlock::of(table, pair.first);
      const RowBlock columns = RowBlock::of(table, pair.second);
      const Updates updates = round == 0 ? Updates::rows_excluding_self : Updates::both;
      search_block(args.lists, rows, columns, table.dim, updates);
    });
  }
}

void nearest_to_queries(const NearestToQueriesArgs& args, int threads) {
  const ProductTable& queries = args.queries;
  const std::int64_t dim = queries.dim, together = queries.blocks() > 1 ? kPanelsTogether : 1;
  const auto take = [&](std::int64_t part, std::int64_t begin, std::int64_t end) {
    const std::unique_ptr<float[]> values(new float[together * kPanelRows * dim]);
    alignas(64) float norms[kPanelsTogether * kPanelRows];
    RowBlock panels[kPanelsTogether];
    for (std::int64_t first = args.first + begin; first < args.first + end;) {
      std::int64_t count = 0;
      for (; count < together && first < args.first + end; ++count, first += kPanelRows) {
        const std::int64_t size = std::min(kPanelRows, args.first + end - first);
        float* const panel = values.get() + count * kPanelRows * dim;
        panels[count] = {first, size, panel, norms + count * kPanelRows};
        pack_panel(args.rows, first, size, panel, kPanelRows, norms + count * kPanelRows);
      }
      for (std::int64_t block = 0; block < queries.blocks(); ++block) {
        const RowBlock asked = RowBlock::of(queries, block);
        const std::int64_t list = part * queries.blocks() * kProductBlock + asked.first;
        for (std::int64_t i = 0; i < count; ++i) {
          search_block(args.lists, list, panels[i], asked, dim);
        }
      }
    }
  };
  const std::int64_t rows = args.last - args.first, least = together * kPanelRows;
  const std::int64_t pieces = kPiecesPerWorker * args.parts;
  const std::int64_t grain = least * std::max<std::int64_t>(1, rows / (least * pieces));
  parallel_for_workers(rows, grain, args.parts, threads, take);
}

void read_lists(const ReadListsArgs& args, int threads) {
  const ProductLists& lists = args.lists;
  parallel_for(args.rows, kRowsPerPiece, threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::uint64_t> found;
    for (std::int64_t row = begin; row < end; ++row) {
      found.clear();
      for (std::int64_t part = 0; part < args.parts; ++part) {
        const std::int64_t list = part * blocks_of(args.rows) * kProductBlock + row;
        const std::uint64_t* keys = lists.keys + list * lists.capacity;
        found.insert(found.end(), keys, keys + lists.sizes[list]);
      }
      write_smallest(found.data(), static_cast<std::int64_t>(found.size()), lists.width,
                     args.indices + row * lists.width, args.squares + row * lists.width);
    }
  });
}

}  // namespace fpd::cpu
