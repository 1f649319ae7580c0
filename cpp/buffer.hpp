// Arrays that a kernel works in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "memory.hpp"

namespace liquid {
namespace LIQUID_ISA {

// Zeroed, and aligned for vectors. The standard containers' functions would be shared between instruction sets.
template <class T>
class Buffer {
  public:
    explicit Buffer(std::int64_t size) { acquire(size); }
    ~Buffer() { release(data_, bytes()); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    // Other memory, of another size.
    void renew(std::int64_t size) {
        release(data_, bytes());
        acquire(size);
    }
    T* get() const { return data_; }
    T& operator[](std::int64_t i) const { return data_[i]; }
    std::int64_t size() const { return size_; }

  private:
    // Checked here, since the cast to void* below silences the compiler's own check.
    static_assert(std::is_trivially_copyable_v<T>, "Buffer zeroes its memory, so T must be a plain type");
    void acquire(std::int64_t size) {
        size_ = size;
        data_ = static_cast<T*>(allocate(bytes()));
        __builtin_memset(static_cast<void*>(data_), 0, bytes());
    }
    std::size_t bytes() const { return static_cast<std::size_t>(size_ < 1 ? 1 : size_) * sizeof(T); }
    std::int64_t size_;
    T* data_;
};

template <class T>
void clear(T* values, std::int64_t count) {
    __builtin_memset(values, 0, static_cast<std::size_t>(count) * sizeof(T));
}

inline std::int64_t round_up(std::int64_t value, std::int64_t step) { return (value + step - 1) / step * step; }

}  // namespace LIQUID_ISA
}  // namespace liquid
