#include "threads.hpp"

#include <atomic>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#include <pthread.h>
#endif

namespace liquid {
namespace {

struct Work {
    std::atomic<std::int64_t> next{0};
    std::int64_t tasks;
    void (*body)(void*, std::int64_t);
    void* context;
};

void take(void* work_) {
    auto& work = *static_cast<Work*>(work_);
    for (std::int64_t task; (task = work.next.fetch_add(1, std::memory_order_relaxed)) < work.tasks;) {
        work.body(work.context, task);
    }
}

// The entry that compilers emit for "#pragma omp parallel", in GNU's runtime and in LLVM's. Linking a runtime would
// bring a second team of threads beside that of PyTorch's own copy, and the two would fight for the cores.
using Fork = void (*)(void (*)(void*), void*, unsigned, unsigned);

Fork openmp() {
#if defined(__unix__) || defined(__APPLE__)
    return reinterpret_cast<Fork>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
#else
    return nullptr;
#endif
}

// A child of fork() has none of its parent's threads, and OpenMP would wait for them forever.
std::atomic<bool> forked{false};

#if defined(__unix__) || defined(__APPLE__)
[[maybe_unused]] const int watch = pthread_atfork(nullptr, nullptr, [] { forked = true; });
#endif

}  // namespace

const char* threading() { return forked ? "none" : openmp() ? "openmp" : "threads"; }

void parallel(std::int64_t tasks, int threads, void (*body)(void*, std::int64_t), void* context) {
    Work work;
    work.tasks = tasks;
    work.body = body;
    work.context = context;
    if (threads > tasks) threads = static_cast<int>(tasks);
    if (threads <= 1 || forked) {
        take(&work);
    } else if (Fork fork = openmp()) {
        fork(take, &work, static_cast<unsigned>(threads), 0);
    } else {
        std::vector<std::thread> others;
        for (int i = 1; i < threads; ++i) others.emplace_back(take, &work);
        take(&work);
        for (auto& other : others) other.join();
    }
}

}  // namespace liquid
