// Work spread over the threads that PyTorch already has.
#pragma once

#include <cstdint>

namespace liquid {

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

// How both get their threads: "openmp" (the runtime this process has loaded, as a rule PyTorch's), "threads"
// (started anew for each call), or "none" (a forked child).
const char* threading();

}  // namespace liquid
