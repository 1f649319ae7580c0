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

struct Gathering {
    void (*body)(void*, int, int);
    void* context;
};

// Functions of OpenMP's runtime that this process has loaded, or null.
template <class Function>
Function* loaded(const char* name) {
#if defined(__unix__) || defined(__APPLE__)
    return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
#else
    return nullptr;
#endif
}

// Inside a region of OpenMP's.
void attend(void* gathering_) {
    auto& gathering = *static_cast<Gathering*>(gathering_);
    static const auto number = loaded<int()>("omp_get_thread_num"), size = loaded<int()>("omp_get_num_threads");
    gathering.body(gathering.context, number(), size());
}

// The entry that compilers emit for "#pragma omp parallel", in GNU's runtime and in LLVM's. Linking a runtime would
// bring a second team of threads beside that of PyTorch's own copy, and the two would fight for the cores.
using Fork = void(void (*)(void*), void*, unsigned, unsigned);

Fork* openmp() { return loaded<Fork>("GOMP_parallel"); }

// Tells the processor that this thread is waiting.
inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
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
    } else if (Fork* fork = openmp()) {
        fork(take, &work, static_cast<unsigned>(threads), 0);
    } else {
        std::vector<std::thread> others;
        for (int i = 1; i < threads; ++i) others.emplace_back(take, &work);
        take(&work);
        for (auto& other : others) other.join();
    }
}

void together(int threads, void (*body)(void*, int, int), void* context) {
    if (threads <= 1 || forked) {
        body(context, 0, 1);
    } else if (Fork* fork = openmp()) {
        Gathering gathering{body, context};
        fork(attend, &gathering, static_cast<unsigned>(threads), 0);
    } else {
        std::vector<std::thread> others;
        for (int i = 1; i < threads; ++i) others.emplace_back(body, context, i, threads);
        body(context, 0, threads);
        for (auto& other : others) other.join();
    }
}

void wait_for_all(Barrier& barrier, int members) {
    const int round = __atomic_load_n(&barrier.round, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&barrier.arrived, 1, __ATOMIC_ACQ_REL) == members) {
        __atomic_store_n(&barrier.arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier.round, round + 1, __ATOMIC_RELEASE);
        return;
    }
    // They come within a microsecond, but for one that the system has taken off its core.
    for (int looks = 0; __atomic_load_n(&barrier.round, __ATOMIC_ACQUIRE) == round; ++looks) {
        if (looks < 1000) {
            relax();
        } else {
            std::this_thread::yield();
        }
    }
}

}  // namespace liquid
