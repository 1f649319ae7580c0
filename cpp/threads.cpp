#include "threads.hpp"

#include <atomic>
#include <chrono>
#include <climits>
#include <cmath>
#include <fstream>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#include <pthread.h>
#endif

namespace liquid {
namespace {

// The register that says what becomes of numbers too small to be normal, and its bits for "zero".
#if defined(__x86_64__)
constexpr std::uint64_t kFlush = 0x8040;  // of results, of arguments
std::uint64_t control() { return _mm_getcsr(); }
void set_control(std::uint64_t value) { _mm_setcsr(static_cast<unsigned>(value)); }
#elif defined(__aarch64__)
constexpr std::uint64_t kFlush = std::uint64_t{1} << 24;  // of both
std::uint64_t control() {
    std::uint64_t value;
    __asm__ volatile("mrs %0, fpcr" : "=r"(value));
    return value;
}
void set_control(std::uint64_t value) { __asm__ volatile("msr fpcr, %0" : : "r"(value)); }
#else
constexpr std::uint64_t kFlush = 0;
std::uint64_t control() { return 0; }
void set_control(std::uint64_t) {}
#endif

struct Work {
    std::atomic<std::int64_t> next{0};
    std::int64_t tasks;
    void (*body)(void*, std::int64_t);
    void* context;
};

void take(void* work_) {
    const Flushing flushing;
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
    const Flushing flushing;
    auto& gathering = *static_cast<Gathering*>(gathering_);
    static const auto number = loaded<int()>("omp_get_thread_num"), size = loaded<int()>("omp_get_num_threads");
    gathering.body(gathering.context, number(), size());
}

// The entry that compilers emit for "#pragma omp parallel", in GNU's runtime and in LLVM's. Linking a runtime would
// bring a second team of threads beside that of PyTorch's own copy, and the two would fight for the cores.
using Fork = void(void (*)(void*), void*, unsigned, unsigned);

Fork* openmp() { return loaded<Fork>("GOMP_parallel"); }

using Clock = std::chrono::steady_clock;

// How often threads that wait for each other came late, and until when that is held against them.
constexpr int kOften = 8;
std::atomic<int> late{0};
std::atomic<Clock::rep> crowded_until{Clock::time_point::min().time_since_epoch().count()};

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

std::atomic<bool> asked{false};  // for more than one thread
std::atomic<int> supposed{0};    // cores

#if defined(__unix__) || defined(__APPLE__)
[[maybe_unused]] const int watch = pthread_atfork(nullptr, nullptr, [] { forked = true; });
#endif

// Cores' worth of time that a container may use, if cgroups limit it.
int quota() {
    std::ifstream file("/sys/fs/cgroup/cpu.max");  // "max 100000", or as many microseconds of each 100000
    double most, period;
    return file >> most >> period && period > 0 ? static_cast<int>(std::ceil(most / period)) : INT_MAX;
}

}  // namespace

const char* threading() { return forked ? "none" : openmp() ? "openmp" : "threads"; }

int affordable(int threads) {
    if (threads <= 1) return threads;
    asked = true;
    // OpenMP knows the cores of a process whose threads it has bound to one each.
    static const auto openmp_cores = loaded<int()>("omp_get_num_procs");
    static const int most = quota();
    int cores = supposed;
    if (!cores) {
        cores = openmp_cores ? openmp_cores() : static_cast<int>(std::thread::hardware_concurrency());
        if (most < cores) cores = most;
    }
    return cores > 0 && cores < threads ? cores : threads;
}

void suppose_cores(int cores) { supposed = cores; }

bool had_threads() { return asked; }

Flushing::Flushing() : before_(control()) {
    if ((before_ & kFlush) != kFlush) set_control(before_ | kFlush);
}

Flushing::~Flushing() {
    if ((before_ & kFlush) != kFlush) set_control(before_);
}

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
        const Flushing flushing;
        body(context, 0, 1);
    } else if (Fork* fork = openmp()) {
        Gathering gathering{body, context};
        fork(attend, &gathering, static_cast<unsigned>(threads), 0);
    } else {
        std::vector<std::thread> others;
        const auto join = [=](int member) {
            const Flushing flushing;
            body(context, member, threads);
        };
        for (int i = 1; i < threads; ++i) others.emplace_back(join, i);
        join(0);
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
    const auto waiting = [&] { return __atomic_load_n(&barrier.round, __ATOMIC_ACQUIRE) == round; };
    for (int looks = 0; looks < 300; ++looks) {
        if (!waiting()) return;
        relax();
    }
    const Clock::time_point start = Clock::now();
    while (waiting()) std::this_thread::yield();
    const Clock::time_point now = Clock::now();
    if (now - start > std::chrono::microseconds(100) && late.fetch_add(1, std::memory_order_relaxed) == kOften) {
        late = 0;
        crowded_until = (now + std::chrono::seconds(1)).time_since_epoch().count();
    }
}

bool crowded() { return !supposed && Clock::now().time_since_epoch().count() < crowded_until; }

}  // namespace liquid
