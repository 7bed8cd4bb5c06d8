// How a step's work is cut into blocks, and where its arrays are.
#pragma once

#include "ops/training/blocks/edge_tile.h"
#include "ops/training/blocks/first_layer.h"
#include "ops/training/blocks/update.h"

namespace fpd {

inline std::int64_t pieces_of(std::int64_t size, std::int64_t piece) {
  return (size + piece - 1) / piece;
}

// Parts of whole stages, as many as bring `blocks` up to kStepBlocks.
inline DepthSplit split_depth(std::int64_t depth, std::int64_t blocks) {
  const std::int64_t stages = pieces_of(depth, kSplitDepth);
  const std::int64_t wanted = std::clamp<std::int64_t>(kStepBlocks / blocks, 1, stages);
  const std::int64_t size = pieces_of(stages, wanted);
  return {size * kSplitDepth, pieces_of(stages, size)};
}

inline std::int64_t row_blocks(const EdgeStepArgs& args) {
  return pieces_of(step_rows(args), kSplitRows);
}

inline std::int64_t column_blocks(const EdgeStepArgs& args) {
  return pieces_of(args.first.in, kSplitRows);
}

// Blocks of the first and the third launch.
inline std::int64_t sum_blocks(const EdgeStepArgs& args) {
  return row_blocks(args) * args.plan.columns.parts;
}

inline std::int64_t gradient_blocks(const EdgeStepArgs& args) {
  return column_blocks(args) * args.plan.batch.parts;
}

// The smallest tile that leaves no block with two, or the largest that fits; weights that stay in
// shared memory before those that are loaded anew for each tile.
inline EdgeStepPlan edge_step_plan(EdgeStepArgs args, std::size_t shared_bytes) {
  EdgeStepPlan& plan = args.plan;
  const int group = rows_per_head(args);
  const auto limit = static_cast<std::int64_t>(shared_bytes / sizeof(float));
  plan = {};
  plan.columns = split_depth(args.first.in, row_blocks(args));
  plan.batch = split_depth(step_rows(args), column_blocks(args));
  bool fits = false;
  with_split_tiles(args.first.out, [&](auto tiles) {
    fits = std::max(sum_block_floats<tiles>(), gradient_block_floats<tiles>()) <= limit;
  });
  if (!fits) return plan;
  for (const bool resident : {true, false}) {
    for (int rows = kProductColumns; rows <= kMaxStepRows; rows += kProductColumns) {
      EdgeStepArgs tried = args;
      tried.plan.resident = resident;
      tried.plan.rows = rows;
      const std::int64_t floats = tile_floats(tried);
      if (rows < group || floats > limit) continue;
      const int heads = rows / group;
      const std::int64_t tiles = pieces_of(args.draw.batch, heads);
      plan.heads = heads;
      plan.rows = rows;
      plan.resident = resident;
      plan.floats = floats;
      plan.tiles = tiles;
      plan.slots = std::min(tiles, kStepBlocks);
      if (tiles <= kStepBlocks) break;
    }
    if (plan.heads > 0) break;
  }
  return plan;
}

// Arrays one after the other; of a null memory, their offsets with the size at the end.
struct ScratchPlaces {
  EdgeStepScratch arrays;
  std::size_t bytes;
};

inline ScratchPlaces edge_step_scratch(const EdgeStepArgs& args, void* memory) {
  constexpr std::size_t alignment = 256;
  std::uintptr_t next = reinterpret_cast<std::uintptr_t>(memory);
  const auto take = [&](auto* kind, std::int64_t count) {
    const std::uintptr_t address = next;
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof *kind;
    next += (bytes + alignment - 1) / alignment * alignment;
    return reinterpret_cast<decltype(kind)>(address);
  };
  const std::int64_t rows = step_rows(args);
  const std::int64_t columns = padded_to(args.first.out, kProductColumns);
  constexpr float* floats = nullptr;
  EdgeStepScratch arrays{};
  arrays.sums = take(floats, args.plan.columns.parts * rows * columns);
  arrays.sum_grads = take(floats, rows * columns);
  arrays.first_partials =
      take(floats, args.plan.batch.parts * args.first.out * std::int64_t{args.first.in});
  arrays.slot_partials = take(floats, args.plan.slots * slot_size(args));
  arrays.loss_partials = take(static_cast<double*>(nullptr), args.plan.slots);
  arrays.nodes = take(static_cast<std::int32_t*>(nullptr), rows);
  return {arrays, next - reinterpret_cast<std::uintptr_t>(memory)};
}

}  // namespace fpd
