// Memory that kernels work in, counted: PyTorch's profiler does not see it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace liquid {

// Aligned for vectors.
void* allocate(std::size_t bytes);
void release(void* memory, std::size_t bytes);

// Bytes now, and at most since the peak was forgotten.
std::int64_t held_bytes();
std::int64_t peak_bytes();
void forget_peak();

}  // namespace liquid
