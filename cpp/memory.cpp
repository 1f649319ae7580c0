#include "memory.hpp"

#include <atomic>
#include <new>

namespace liquid {
namespace {

constexpr std::align_val_t kAlignment{64};
std::atomic<std::int64_t> held{0}, peak{0};

}  // namespace

void* allocate(std::size_t bytes) {
    void* memory = ::operator new(bytes, kAlignment);
    const auto size = static_cast<std::int64_t>(bytes);
    const std::int64_t now = held.fetch_add(size, std::memory_order_relaxed) + size;
    std::int64_t most = peak.load(std::memory_order_relaxed);
    while (most < now && !peak.compare_exchange_weak(most, now, std::memory_order_relaxed)) {
    }
    return memory;
}

void release(void* memory, std::size_t bytes) {
    ::operator delete(memory, kAlignment);
    held.fetch_sub(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
}

std::int64_t held_bytes() { return held.load(std::memory_order_relaxed); }

std::int64_t peak_bytes() { return peak.load(std::memory_order_relaxed); }

void forget_peak() { peak.store(held_bytes(), std::memory_order_relaxed); }

}  // namespace liquid
