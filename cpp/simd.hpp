// Vectors of the instruction set that this translation unit is compiled for, and the one function a synapse needs.
//
// kernels.cpp is compiled once per instruction set, each time with LIQUID_ISA naming the namespace that everything
// below lives in, so that no function compiled for a newer processor can stand in for an older one's.
#pragma once

#include <cstdint>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

namespace liquid {
namespace LIQUID_ISA {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

typedef float FloatVector __attribute__((vector_size(kVectorBytes)));
typedef double DoubleVector __attribute__((vector_size(kVectorBytes)));
typedef std::int32_t Int32Vector __attribute__((vector_size(kVectorBytes)));
typedef std::int64_t Int64Vector __attribute__((vector_size(kVectorBytes)));

template <class T>
struct Simd;

template <>
struct Simd<float> {
    using Vector = FloatVector;
    using Integers = Int32Vector;
    static constexpr int width = kVectorBytes / 4;
    static constexpr int mantissa_bits = 23;
    static constexpr float round_magic = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest whole number
    static constexpr float largest_exponent = 126.0f;
};

template <>
struct Simd<double> {
    using Vector = DoubleVector;
    using Integers = Int64Vector;
    static constexpr int width = kVectorBytes / 8;
    static constexpr int mantissa_bits = 52;
    static constexpr double round_magic = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double largest_exponent = 1022.0;
};

template <class T>
using Vector = typename Simd<T>::Vector;

#define LIQUID_INLINE inline __attribute__((always_inline))

template <class T>
LIQUID_INLINE Vector<T> broadcast(T value) {
    return value - Vector<T>{};
}

template <class T>
LIQUID_INLINE Vector<T> load(const T* from) {
    return *reinterpret_cast<const Vector<T>*>(from);
}

template <class T>
LIQUID_INLINE void store(T* to, Vector<T> value) {
    *reinterpret_cast<Vector<T>*>(to) = value;
}

// a * b + c and c - a * b, in one rounding where the processor can.
#if defined(__AVX512F__)
LIQUID_INLINE FloatVector fma(FloatVector a, FloatVector b, FloatVector c) { return _mm512_fmadd_ps(a, b, c); }
LIQUID_INLINE DoubleVector fma(DoubleVector a, DoubleVector b, DoubleVector c) { return _mm512_fmadd_pd(a, b, c); }
LIQUID_INLINE FloatVector fnma(FloatVector a, FloatVector b, FloatVector c) { return _mm512_fnmadd_ps(a, b, c); }
LIQUID_INLINE DoubleVector fnma(DoubleVector a, DoubleVector b, DoubleVector c) { return _mm512_fnmadd_pd(a, b, c); }
#elif defined(__AVX2__)
LIQUID_INLINE FloatVector fma(FloatVector a, FloatVector b, FloatVector c) { return _mm256_fmadd_ps(a, b, c); }
LIQUID_INLINE DoubleVector fma(DoubleVector a, DoubleVector b, DoubleVector c) { return _mm256_fmadd_pd(a, b, c); }
LIQUID_INLINE FloatVector fnma(FloatVector a, FloatVector b, FloatVector c) { return _mm256_fnmadd_ps(a, b, c); }
LIQUID_INLINE DoubleVector fnma(DoubleVector a, DoubleVector b, DoubleVector c) { return _mm256_fnmadd_pd(a, b, c); }
#else
LIQUID_INLINE FloatVector fma(FloatVector a, FloatVector b, FloatVector c) { return a * b + c; }
LIQUID_INLINE DoubleVector fma(DoubleVector a, DoubleVector b, DoubleVector c) { return a * b + c; }
LIQUID_INLINE FloatVector fnma(FloatVector a, FloatVector b, FloatVector c) { return c - a * b; }
LIQUID_INLINE DoubleVector fnma(DoubleVector a, DoubleVector b, DoubleVector c) { return c - a * b; }
#endif

template <class T>
LIQUID_INLINE T horizontal_sum(Vector<T> values) {
    T sum = 0;
    for (int lane = 0; lane < Simd<T>::width; ++lane) sum += values[lane];
    return sum;
}

// 2^r for r in [-1/2, 1/2]: interpolation in Chebyshev nodes, relative error 3e-9; for double the series, 5e-18.
LIQUID_INLINE FloatVector exp2_fraction(FloatVector r) {
    constexpr float terms[] = {0x1.5f48c0p-10f, 0x1.3b2a1cp-7f, 0x1.c6aeccp-5f, 0x1.ebfbe0p-3f, 0x1.62e430p-1f, 1.0f};
    FloatVector p = broadcast(0x1.444p-13f);
    for (float term : terms) p = fma(p, r, broadcast(term));
    return p;
}

LIQUID_INLINE DoubleVector exp2_fraction(DoubleVector r) {
    constexpr double ln2 = 0.693147180559945309417232121458;
    constexpr double terms[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
                                1.0 / 5040,      1.0 / 720,      1.0 / 120,     1.0 / 24,     1.0 / 6,
                                0.5,             1.0,            1.0};
    DoubleVector x = r * ln2, p = broadcast(1.0 / 6227020800.0);
    for (double term : terms) p = fma(p, x, broadcast(term));
    return p;
}

// How far a synapse is open: 1 / (1 + 2^t), the logistic function of -t * ln 2.
//
// Arguments beyond +-126 (float) or +-1022 (double) count as that, NaN stays NaN. Error below 3 units in the last
// place of the result with AVX-512, else 2, for the t given; tests/kernels/test_agreement.py measures it.
template <class T>
LIQUID_INLINE Vector<T> opened(Vector<T> t) {
    using S = Simd<T>;
    constexpr T limit = S::largest_exponent;
    t = t < -limit ? broadcast(-limit) : t;
    t = t > limit ? broadcast(limit) : t;
    Vector<T> shifted = t + S::round_magic;
    Vector<T> power = exp2_fraction(t - (shifted - S::round_magic));
    // The whole part stands in the last bits of `shifted`: moved into the exponent, it multiplies by its power of two.
    auto bits = (typename S::Integers)power + ((typename S::Integers)shifted << S::mantissa_bits);
    return T(1) / (T(1) + (Vector<T>)bits);
}

#if defined(__AVX512F__)
// 2^t as 2^floor(t) * 2^(k/16) * 2^r: the second factor from a table that one register holds, the third a cubic.
// The reciprocal starts from 14 bits and takes one Newton step: division would cost as much as all the rest.
template <>
LIQUID_INLINE FloatVector opened<float>(FloatVector t) {
    alignas(64) static constexpr float roots[16] = {
        1.0f,           0x1.0b5586cp+0f, 0x1.172b83cp+0f, 0x1.2387a6ep+0f, 0x1.306fe0ap+0f, 0x1.3dea64cp+0f,
        0x1.4bfdad6p+0f, 0x1.5ab07dep+0f, 0x1.6a09e66p+0f, 0x1.7a11474p+0f, 0x1.8ace542p+0f, 0x1.9c49182p+0f,
        0x1.ae89f9ap+0f, 0x1.c199bdep+0f, 0x1.d5818dcp+0f, 0x1.ea4afa2p+0f};
    t = _mm512_min_ps(broadcast(126.0f), t);
    FloatVector r = _mm512_reduce_ps(t, (4 << 4) | _MM_FROUND_TO_NEG_INF);
    FloatVector sixteenths =
        _mm512_add_round_ps(t, broadcast(1.5f * (1 << 19)), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    FloatVector root = _mm512_permutexvar_ps(_mm512_castps_si512(sixteenths), load(roots));
    FloatVector p = fma(fma(broadcast(0x1.d0a82ep-5f), r, broadcast(0x1.ebe2dep-3f)), r, broadcast(0x1.62e444p-1f));
    p = fma(p, r, broadcast(1.0f));
    FloatVector denominator = fma(_mm512_scalef_ps(root, t), p, broadcast(1.0f));
    FloatVector guess = _mm512_rcp14_ps(denominator);
    return fma(guess, fnma(denominator, guess, broadcast(1.0f)), guess);
}
#endif

}  // namespace LIQUID_ISA
}  // namespace liquid
