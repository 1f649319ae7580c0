// Work spread over the threads that PyTorch already has.
#pragma once

#include <cstdint>

namespace liquid {

// How many threads to take where so many are asked for: no more than this process may use cores, as others would only
// wait for each other.
int affordable(int threads);

// Takes this process to have so many, for tests; 0 for what it has.
void suppose_cores(int cores);

// Calls body(context, task) for every task in [0, tasks), on up to `threads` threads.
//
// Which thread takes which task is left open, so results must not depend on it: a task has memory of its own.
void parallel(std::int64_t tasks, int threads, void (*body)(void*, std::int64_t), void* context);

// Calls body(context, member, members) on up to `threads` threads at the same time. Fewer may come than were asked for;
// `members` is how many did.
void together(int threads, void (*body)(void*, int, int), void* context);

// Where threads at work together wait for each other.
struct alignas(64) Barrier {
    int arrived = 0;
    alignas(64) int round = 0;
};

// Returns when all members have called it; what each wrote before is then there for all.
void wait_for_all(Barrier& barrier, int members);

// Whether threads had to wait for each other for long in the last second, since other programs take the cores as well.
bool crowded();

// How both get their threads: "openmp" (the runtime this process has loaded, as a rule PyTorch's), "threads"
// (started anew for each call), or "none" (a forked child).
const char* threading();

// Whether more than one thread was ever asked for. OpenMP may then have threads, which a forked child would wait for.
bool had_threads();

// While one lives, results of this thread below the smallest normal number are 0, and so are such arguments: processors
// take a hundred times longer for them. parallel() and together() make one on each of their threads.
class Flushing {
  public:
    Flushing();
    ~Flushing();
    Flushing(const Flushing&) = delete;
    Flushing& operator=(const Flushing&) = delete;

  private:
    const std::uint64_t before_;
};

}  // namespace liquid
