// The only threading in the tree, with parallel.cpp. No thread starts before the first call that
// wants one, waiting threads sleep instead of spinning beside the caller's own thread pool, and a
// forked child starts its own.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>

namespace fpd::cpu {

// Runs work(context) here and on up to `helpers` other threads, and returns when all are done.
// Helpers may come late or never, so the work must be complete once one of the calls returns.
void run_with_helpers(std::int64_t helpers, void (*work)(void*), void* context);

// Calls body(begin, end) over pieces of [0, n) of at most `grain`. Which thread takes a piece is
// left open, so a body writes only what belongs to its own piece. What one throws, as where memory
// runs out, is thrown here once no thread is at work.
template <typename Body>
void parallel_for(std::int64_t n, std::int64_t grain, int threads, const Body& body) {
  struct Job {
    std::int64_t n;
    std::int64_t grain;
    std::int64_t pieces;
    const Body* body;
    std::atomic<std::int64_t> next;
    std::atomic<bool> failed;
    std::exception_ptr error;  // of the first that failed
  };
  Job job{n, grain, (n + grain - 1) / grain, &body, {0}, {false}, nullptr};
  const auto work = [](void* context) {
    Job& own = *static_cast<Job*>(context);
    try {
      for (std::int64_t piece = own.next++; piece < own.pieces; piece = own.next++) {
        (*own.body)(piece* own.grain, std::min(own.n, (piece + 1) * own.grain));
      }
    } catch (...) {
      own.next = own.pieces;
      if (!own.failed.exchange(true)) own.error = std::current_exception();
    }
  };
  const std::int64_t helpers = std::min<std::int64_t>(threads, job.pieces) - 1;
  if (helpers > 0) {
    run_with_helpers(helpers, work, &job);
  } else {
    work(&job);
  }
  if (job.error) std::rethrow_exception(job.error);
}

// The same for bodies that keep what they find: body(worker, begin, end) with a worker below
// `workers`, whose pieces come one after the other.
template <typename Body>
void parallel_for_workers(std::int64_t n, std::int64_t grain, std::int64_t workers, int threads,
                          const Body& body) {
  std::atomic<std::int64_t> next{0};
  parallel_for(workers, 1, threads, [&](std::int64_t worker, std::int64_t) {
    for (std::int64_t begin = next.fetch_add(grain); begin < n; begin = next.fetch_add(grain)) {
      body(worker, begin, std::min(n, begin + grain));
    }
  });
}

}  // namespace fpd::cpu
