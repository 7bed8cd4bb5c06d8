#include "cpu/support/parallel.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace fpd::cpu {
namespace {

// Waking a thread takes longer than many a step of an operation, so a thread looks out for so long
// before it sleeps. Longer would take a core from whoever comes next.
constexpr std::chrono::microseconds kLookout{10};
constexpr int kLooksPerClock = 32;

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits a little for a condition; whether it came.
template <typename Condition>
bool look_out_for(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + kLookout;
  do {
    for (int look = 0; look < kLooksPerClock; ++look) {
      if (condition()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

// One job at a time: a caller that finds the pool taken works alone.
class Pool {
 public:
  // Never destroyed: its threads may still wait when the process ends.
  static Pool*& current() {
    static Pool* pool = create();
    return pool;
  }

  void run(std::int64_t helpers, void (*work)(void*), void* context) {
    const std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
    if (!turn.owns_lock()) return work(context);
    grow(helpers);
    work_ = work;
    context_ = context;
    state_ = static_cast<std::uint64_t>(helpers);
    tell(wake_);
    work(context);
    state_ &= ~kPlaces;  // helpers that have not started find nothing left to do
    const auto is_done = [this] { return state_ == 0; };
    if (look_out_for(is_done)) return;
    std::unique_lock<std::mutex> lock(sleep_);
    done_.wait(lock, is_done);
  }

 private:
  // The state of a job: how many helpers it still takes, and how many are at work.
  static constexpr std::uint64_t kPlaces = 0xffffffff, kAtWork = kPlaces + 1;

  static Pool* create() {
#if defined(__unix__) || defined(__APPLE__)
    // Threads do not survive a fork: the child gets a pool without any.
    pthread_atfork(nullptr, nullptr, [] { current() = new Pool; });
#endif
    return new Pool;
  }

  void grow(std::int64_t helpers) {
    try {
      for (; size_ < helpers; ++size_) std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {
      // The system has no more threads to give: those at hand do the work.
    }
  }

  // Wakes those that sleep. A sleeper that saw the old state holds the lock until it waits.
  void tell(std::condition_variable& sleepers) {
    {
      const std::lock_guard<std::mutex> guard(sleep_);
    }
    sleepers.notify_all();
  }

  // Takes a place in the job, if there is one.
  bool join() {
    std::uint64_t state = state_;
    while ((state & kPlaces) != 0) {
      if (state_.compare_exchange_weak(state, state - 1 + kAtWork)) return true;
    }
    return false;
  }

  void serve() {
    const auto is_wanted = [this] { return (state_ & kPlaces) != 0; };
    for (;;) {
      if (!look_out_for(is_wanted)) {
        std::unique_lock<std::mutex> lock(sleep_);
        wake_.wait(lock, is_wanted);
      }
      if (!join()) continue;
      work_(context_);
      if (state_.fetch_sub(kAtWork) == kAtWork) tell(done_);
    }
  }

  std::mutex turn_;
  std::mutex sleep_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::atomic<std::uint64_t> state_{0};
  void (*work_)(void*) = nullptr;
  void* context_ = nullptr;
  std::int64_t size_ = 0;
};

}  // namespace

void run_with_helpers(std::int64_t helpers, void (*work)(void*), void* context) {
  Pool::current()->run(helpers, work, context);
}

}  // namespace fpd::cpu
