// All kernels for one instruction set; CMakeLists.txt compiles this file once for each.
#include "kernels.hpp"

#include "cfc.hpp"
#include "gated.hpp"
#include "lrc.hpp"
#include "ltc.hpp"

namespace liquid {
namespace LIQUID_ISA {

template <class T, class F>
void each(F function, const T* x, T* result, std::int64_t size) {
    constexpr int width = Simd<T>::width;
    alignas(64) T lanes[width];
    for (std::int64_t start = 0; start < size; start += width) {
        const std::int64_t count = size - start < width ? size - start : width;
        for (int i = 0; i < width; ++i) lanes[i] = i < count ? x[start + i] : T(0);
        store(lanes, function(load(lanes)));
        for (int i = 0; i < count; ++i) result[start + i] = lanes[i];
    }
}

template <class T>
void opened_values(const T* t, T* result, std::int64_t size) {
    each([](Vector<T> v) { return opened<T>(v); }, t, result, size);
}

template <class T>
bool elementary(const char* name, const T* x, T* result, std::int64_t size) {
    using V = Vector<T>;
    const auto is = [&](const char* other) { return __builtin_strcmp(name, other) == 0; };
    if (is("exp")) {
        each([](V v) { return exponential<T>(v); }, x, result, size);
    } else if (is("sigmoid")) {
        each([](V v) { return sigmoid<T>(v); }, x, result, size);
    } else if (is("tanh")) {
        each([](V v) { return hyperbolic_tangent<T>(v); }, x, result, size);
    } else if (is("normal")) {
        each([](V v) { return Normal<T>(v).below; }, x, result, size);
    } else {
        return false;
    }
    return true;
}

template <class T>
std::int64_t sum_opened(std::int64_t repeats, T* sum) {
    constexpr int width = Simd<T>::width, size = 64 * width;
    alignas(64) T t[size];
    for (int i = 0; i < size; ++i) t[i] = static_cast<T>(i - size / 2) * T(16) / size;
    Vector<T> total = broadcast(T(0));
    for (std::int64_t repeat = 0; repeat < repeats; ++repeat) {
        __asm__ volatile("" : : "r"(t) : "memory");  // or one round would do for all
        for (int i = 0; i < size; i += 4 * width) {
            Vector<T> s[4] = {load(t + i), load(t + i + width), load(t + i + 2 * width), load(t + i + 3 * width)};
            open<T, true, 4>(s);
            total += (s[0] + s[1]) + (s[2] + s[3]);
        }
    }
    *sum = horizontal_sum<T>(total);
    return repeats * size;
}

// A function whose numbers are flushed, see threads.hpp.
template <class Signature>
struct Flushed;
template <class Result, class... Arguments>
struct Flushed<Result (*)(Arguments...)> {
    template <Result (*function)(Arguments...)>
    static Result call(Arguments... arguments) {
        const Flushing flushing;
        return function(arguments...);
    }
};
template <auto function>
constexpr auto flushed = Flushed<decltype(function)>::template call<function>;

template <class T>
constexpr Table<T> table() {
    return {flushed<ltc_forward<T>>,   flushed<ltc_backward<T>>,   flushed<lrc_forward<T>>, flushed<lrc_backward<T>>,
            flushed<cfc_forward<T>>,   flushed<cfc_backward<T>>,   cfc_kept<T>,
            flushed<gated_forward<T>>, flushed<gated_backward<T>>, gated_kept<T>,           elementary<T>,
            flushed<ltc_steps<T>>,     flushed<lrc_steps<T>>,      flushed<cfc_steps<T>>,   flushed<gated_steps<T>>,
            opened_values<T>,          sum_opened<T>};
}

}  // namespace LIQUID_ISA

#define LIQUID_JOIN_(a, b) a##b
#define LIQUID_JOIN(a, b) LIQUID_JOIN_(a, b)
#define LIQUID_TEXT_(a) #a
#define LIQUID_TEXT(a) LIQUID_TEXT_(a)

const Kernels LIQUID_JOIN(LIQUID_ISA, _kernels) = {LIQUID_TEXT(LIQUID_ISA), LIQUID_ISA::table<float>(),
                                                   LIQUID_ISA::table<double>()};

}  // namespace liquid
