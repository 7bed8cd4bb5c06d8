// The only threading in the tree. Threads live for one call: nothing starts at import, nothing
// survives a fork, and nothing spins beside the caller's own thread pool.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

namespace fpd::cpu {

// Calls body(begin, end) over pieces of [0, n) of at most `grain`. Which thread takes a piece is
// left open, so a body writes only what belongs to its own piece, and must not throw.
template <typename Body>
void parallel_for(std::int64_t n, std::int64_t grain, int threads, const Body& body) {
  const std::int64_t pieces = (n + grain - 1) / grain;
  std::atomic<std::int64_t> next{0};
  const auto work = [&] {
    for (std::int64_t piece = next++; piece < pieces; piece = next++) {
      body(piece * grain, std::min(n, (piece + 1) * grain));
    }
  };
  std::vector<std::thread> helpers;
  const std::int64_t wanted = std::min<std::int64_t>(threads, pieces) - 1;
  try {
    for (std::int64_t i = 0; i < wanted; ++i) helpers.emplace_back(work);
  } catch (const std::system_error&) {
    // The system has no more threads to give: those at hand do the work.
  }
  work();
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace fpd::cpu
