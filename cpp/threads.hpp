// Work spread over the threads that PyTorch already has.
#pragma once

#include <cstdint>

namespace liquid {

// Calls body(context, task) for every task in [0, tasks), on up to `threads` threads.
//
// Which thread takes which task is left open, so results must not depend on it: a task has memory of its own.
void parallel(std::int64_t tasks, int threads, void (*body)(void*, std::int64_t), void* context);

// How parallel() gets its threads: "openmp" (the runtime this process has loaded, as a rule PyTorch's), "threads"
// (started anew for each call), or "none" (a forked child).
const char* threading();

}  // namespace liquid
