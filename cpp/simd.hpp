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

// 1 / x for x of ordinary size: neither 0 nor beyond a tenth of the largest number.
template <class T>
LIQUID_INLINE Vector<T> reciprocal(Vector<T> x) {
    return T(1) / x;
}

#if defined(__AVX512F__)
template <>
LIQUID_INLINE FloatVector reciprocal<float>(FloatVector x) {
    FloatVector guess = _mm512_rcp14_ps(x);
    return fma(guess, fnma(x, guess, broadcast(1.0f)), guess);
}

// The lower, and the upper, halves of two vectors with their lanes in turn.
LIQUID_INLINE FloatVector interleave_low(FloatVector a, FloatVector b) {
    const __m512i lanes = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    return _mm512_permutex2var_ps(a, lanes, b);
}
LIQUID_INLINE FloatVector interleave_high(FloatVector a, FloatVector b) {
    const __m512i lanes = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    return _mm512_permutex2var_ps(a, lanes, b);
}
LIQUID_INLINE DoubleVector interleave_low(DoubleVector a, DoubleVector b) {
    return _mm512_permutex2var_pd(a, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), b);
}
LIQUID_INLINE DoubleVector interleave_high(DoubleVector a, DoubleVector b) {
    return _mm512_permutex2var_pd(a, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), b);
}

// A square of vectors, rows to columns: each round moves one bit of the row's number to the column's.
template <class T>
LIQUID_INLINE void transpose(Vector<T>* a, Vector<T>* b) {
    constexpr int width = Simd<T>::width;
#pragma GCC unroll 4
    for (int round = 1; round < width; round *= 2) {
#pragma GCC unroll 8
        for (int i = 0; i < width / 2; ++i) {
            b[2 * i] = interleave_low(a[i], a[i + width / 2]);
            b[2 * i + 1] = interleave_high(a[i], a[i + width / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < width; ++i) a[i] = b[i];
    }
}

LIQUID_INLINE FloatVector load_first(const float* from, std::int64_t count) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from);
}
LIQUID_INLINE DoubleVector load_first(const double* from, std::int64_t count) {
    return _mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << count) - 1), from);
}
LIQUID_INLINE void store_first(float* to, std::int64_t count, FloatVector value) {
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), value);
}
LIQUID_INLINE void store_first(double* to, std::int64_t count, DoubleVector value) {
    _mm512_mask_storeu_pd(to, static_cast<__mmask8>((1u << count) - 1), value);
}
#endif

// Rows of an array, each `columns` long and `stride` apart, as columns of vectors: to[column * width + row]. Rows from
// `rows` to the width of a vector are left as they are, or zeroed.
template <class T>
void to_columns(const T* from, std::int64_t stride, std::int64_t columns, std::int64_t rows, T* to) {
    constexpr int width = Simd<T>::width;
#if defined(__AVX512F__)
    for (std::int64_t start = 0; start < columns; start += width) {
        const std::int64_t count = columns - start < width ? columns - start : width;
        Vector<T> a[width], b[width];
        for (int row = 0; row < width; ++row) {
            a[row] = row < rows ? load_first(from + row * stride + start, count) : Vector<T>{};
        }
        transpose<T>(a, b);
        for (int column = 0; column < count; ++column) store(to + (start + column) * width, a[column]);
    }
#else
    for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t column = 0; column < columns; ++column) to[column * width + row] = from[row * stride + column];
    }
#endif
}

// The way back.
template <class T>
void from_columns(const T* from, std::int64_t stride, std::int64_t columns, std::int64_t rows, T* to) {
    constexpr int width = Simd<T>::width;
#if defined(__AVX512F__)
    for (std::int64_t start = 0; start < columns; start += width) {
        const std::int64_t count = columns - start < width ? columns - start : width;
        Vector<T> a[width], b[width];
        for (int column = 0; column < width; ++column) {
            a[column] = column < count ? load(from + (start + column) * width) : Vector<T>{};
        }
        transpose<T>(a, b);
        for (int row = 0; row < rows; ++row) store_first(to + row * stride + start, count, a[row]);
    }
#else
    for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t column = 0; column < columns; ++column) to[row * stride + column] = from[column * width + row];
    }
#endif
}

}  // namespace LIQUID_ISA
}  // namespace liquid
