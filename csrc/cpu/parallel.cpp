#include "parallel.h"

#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace fpd::cpu {
namespace {

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
    {
      const std::lock_guard<std::mutex> guard(state_);
      grow(helpers);
      work_ = work;
      context_ = context;
      places_ = helpers;
    }
    wake_.notify_all();
    work(context);
    std::unique_lock<std::mutex> lock(state_);
    places_ = 0;  // helpers that have not started find nothing left to do
    done_.wait(lock, [this] { return running_ == 0; });
  }

 private:
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

  void serve() {
    std::unique_lock<std::mutex> lock(state_);
    for (;;) {
      wake_.wait(lock, [this] { return places_ > 0; });
      --places_;
      ++running_;
      const auto work = work_;
      void* const context = context_;
      lock.unlock();
      work(context);
      lock.lock();
      if (--running_ == 0) done_.notify_one();
    }
  }

  std::mutex turn_;
  std::mutex state_;
  std::condition_variable wake_;
  std::condition_variable done_;
  void (*work_)(void*) = nullptr;
  void* context_ = nullptr;
  std::int64_t places_ = 0;   // helpers that the job still takes
  std::int64_t running_ = 0;  // helpers at work
  std::int64_t size_ = 0;
};

}  // namespace

void run_with_helpers(std::int64_t helpers, void (*work)(void*), void* context) {
  Pool::current()->run(helpers, work, context);
}

}  // namespace fpd::cpu
