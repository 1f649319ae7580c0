// All kernels for one instruction set; CMakeLists.txt compiles this file once for each.
#include "kernels.hpp"

#include "lrc.hpp"
#include "ltc.hpp"

namespace liquid {
namespace LIQUID_ISA {

template <class T, class Function>
void elementwise(const T* from, T* to, std::int64_t size, Function function) {
    constexpr int width = Simd<T>::width;
    alignas(64) T lanes[width];
    for (std::int64_t start = 0; start < size; start += width) {
        const std::int64_t count = size - start < width ? size - start : width;
        for (int i = 0; i < width; ++i) lanes[i] = i < count ? from[start + i] : T(0);
        store(lanes, function(load(lanes)));
        for (int i = 0; i < count; ++i) to[start + i] = lanes[i];
    }
}

template <class T>
void opened_values(const T* t, T* result, std::int64_t size) {
    elementwise(t, result, size, [](Vector<T> values) { return opened<T>(values); });
}

template <class T>
void tanh_values(const T* x, T* result, std::int64_t size) {
    elementwise(x, result, size, [](Vector<T> values) { return tanh<T>(values); });
}

template <class T>
constexpr Table<T> table() {
    return {ltc_forward<T>, ltc_backward<T>, lrc_forward<T>, lrc_backward<T>, opened_values<T>, tanh_values<T>};
}

}  // namespace LIQUID_ISA

#define LIQUID_JOIN_(a, b) a##b
#define LIQUID_JOIN(a, b) LIQUID_JOIN_(a, b)
#define LIQUID_TEXT_(a) #a
#define LIQUID_TEXT(a) LIQUID_TEXT_(a)

const Kernels LIQUID_JOIN(LIQUID_ISA, _kernels) = {LIQUID_TEXT(LIQUID_ISA), LIQUID_ISA::table<float>(),
                                                   LIQUID_ISA::table<double>()};

}  // namespace liquid
