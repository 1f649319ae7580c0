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
    static constexpr float bound = 120.0f;  // of arguments that opened() need not compare
    static constexpr float most = 0x1.fffffep+127f;  // of finite numbers
    static constexpr std::int32_t sign = INT32_MIN;
};

template <>
struct Simd<double> {
    using Vector = DoubleVector;
    using Integers = Int64Vector;
    static constexpr int width = kVectorBytes / 8;
    static constexpr int mantissa_bits = 52;
    static constexpr double round_magic = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double largest_exponent = 1022.0;
    static constexpr double bound = 1000.0;
    static constexpr double most = 0x1.fffffffffffffp+1023;
    static constexpr std::int64_t sign = INT64_MIN;
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

// Whether all values, whole vectors of them, are within +-limit, or finite. As integers, numbers without their sign keep
// their order, and NaN is larger than any.
template <class T>
LIQUID_INLINE bool within(const T* values, std::int64_t size, T limit = Simd<T>::most) {
    using Integers = typename Simd<T>::Integers;
    Integers peak{};
    for (std::int64_t k = 0; k < size; k += Simd<T>::width) {
        const Integers bits = (Integers)load(values + k) & ~Simd<T>::sign;
        peak = bits > peak ? bits : peak;
    }
    bool inside = limit >= 0;
    const Integers most = (Integers)broadcast(limit);
    for (int lane = 0; lane < Simd<T>::width; ++lane) inside &= peak[lane] <= most[lane];
    return inside;
}

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

#if defined(__AVX512F__) || defined(__AVX2__)
// With t = k + j/32 + r (or j/8), a power q = c 2^-(k + j/32) from a table and a minimax polynomial p = c 2^r, c chosen
// for it to begin with 1: q / (q + p). The table has the bits of c 2^-(j/32) with j * 2^18 added, so that to take off
// 2^18 times (32 k + j) takes k from the exponent. That number stands in the last bits of t plus `magic`.
#if defined(__AVX512F__)
struct Powers {
    static constexpr int shift = 18;
    alignas(64) static constexpr std::int32_t powers[32] = {
        0x408533c5, 0x40865915, 0x40871c1a, 0x4085a4af, 0x40844b41, 0x40830f2a, 0x4081efcb, 0x4080ec86,
        0x408004bf, 0x407f37e2, 0x407e8559, 0x407dec95, 0x407d6d09, 0x407d0629, 0x407cb76e, 0x407c8055,
        0x407c605b, 0x407c5702, 0x407c63cd, 0x407c8644, 0x407cbdee, 0x407d0a58, 0x407d6b11, 0x407ddfa8,
        0x407e67b0, 0x407f02c0, 0x407fb06e, 0x40807055, 0x40814210, 0x4082253e, 0x4083197f, 0x40841e75};
    static LIQUID_INLINE FloatVector clamp(FloatVector t, float least, float most) {
        return _mm512_min_ps(broadcast(most), _mm512_max_ps(broadcast(least), t));
    }
    static LIQUID_INLINE Int32Vector look_up(FloatVector shifted) {
        return (Int32Vector)_mm512_permutex2var_epi32(_mm512_load_si512(powers), _mm512_castps_si512(shifted),
                                                      _mm512_load_si512(powers + 16));
    }
    static LIQUID_INLINE FloatVector polynomial(FloatVector r) {
        return fma(r, r + 0x1.715206p+1f, broadcast(0x1.0a678ap+2f));
    }
};
#else
struct Powers {
    static constexpr int shift = 20;
    alignas(32) static constexpr std::int32_t powers[8] = {0x419025b4, 0x41942f03, 0x41926d05, 0x418e4e35,
                                                           0x418bdae4, 0x418aef97, 0x418b6bc5, 0x418d3198};
    static LIQUID_INLINE FloatVector clamp(FloatVector t, float least, float most) {
        return _mm256_min_ps(broadcast(most), _mm256_max_ps(broadcast(least), t));
    }
    static LIQUID_INLINE Int32Vector look_up(FloatVector shifted) {
        return (Int32Vector)_mm256_permutevar8x32_epi32(_mm256_load_si256((const __m256i*)powers),
                                                        _mm256_castps_si256(shifted));
    }
    static LIQUID_INLINE FloatVector polynomial(FloatVector r) {
        return fma(fma(r, r + 0x1.151118p+2f, broadcast(0x1.8fa94p+3f)), r, broadcast(0x1.204b68p+4f));
    }
};
#endif

template <bool Bounded, int N>
LIQUID_INLINE void open_by_table(FloatVector* t) {
    constexpr float magic = 1.5f * (1 << Powers::shift);
    FloatVector shifted[N], power[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
        if (!Bounded) t[n] = Powers::clamp(t[n], -Simd<float>::bound, Simd<float>::largest_exponent);
        shifted[n] = t[n] + magic;
    }
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) t[n] -= shifted[n] - magic;
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
        power[n] = (FloatVector)(Powers::look_up(shifted[n]) - ((Int32Vector)shifted[n] << Powers::shift));
    }
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) t[n] = Powers::polynomial(t[n]);
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) t[n] = power[n] / (power[n] + t[n]);
}

#endif

template <class T, bool Bounded, int N>
LIQUID_INLINE void open_nearly(Vector<T>* t) {
#if defined(__AVX512F__) || defined(__AVX2__)
    if constexpr (sizeof(T) == sizeof(float)) return open_by_table<Bounded, N>(t);
#endif
    using S = Simd<T>;
    using Integers = typename S::Integers;
    constexpr T limit = S::largest_exponent;
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
        if (!Bounded) {
            t[n] = t[n] < -limit ? broadcast(-limit) : t[n];
            t[n] = t[n] > limit ? broadcast(limit) : t[n];
        }
        const Vector<T> shifted = t[n] + S::round_magic;
        const Vector<T> power = exp2_fraction(t[n] - (shifted - S::round_magic));
        // The whole part stands in the last bits of `shifted`: in the exponent, it multiplies by its power of two.
        t[n] = T(1) / (T(1) + (Vector<T>)((Integers)power + ((Integers)shifted << S::mantissa_bits)));
    }
}

// How far synapses are open: 1 / (1 + 2^t), the logistic function of -t * ln 2, for each of N vectors in place.
//
// The result is 0 beyond 126 (float) or 1022 (double): less would still count times a presynaptic value of 1e38. It is 1
// at the other end, and NaN stays NaN. Error below 3.5 units in the last place of the result for the t given, 2 where
// the result is above 1/2; tests/kernels/test_agreement.py measures it. Whoever knows that |t| <= Simd<T>::bound spares
// the comparisons; results have the same bits. Several vectors at once hide each other's latencies.
template <class T, bool Bounded, int N>
LIQUID_INLINE void open(Vector<T>* t) {
    if constexpr (Bounded) return open_nearly<T, true, N>(t);
    typename Simd<T>::Integers shut[N];
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) shut[n] = t[n] > Simd<T>::largest_exponent;
    open_nearly<T, false, N>(t);
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) t[n] = shut[n] ? Vector<T>{} : t[n];
}

template <class T, bool Bounded = false>
LIQUID_INLINE Vector<T> opened(Vector<T> t) {
    open<T, Bounded, 1>(&t);
    return t;
}

#if defined(__AVX512F__)
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
// `rows` to the width of a vector are zeros.
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
        const T* values = from + row * stride;
        for (std::int64_t column = 0; column < columns; ++column) to[column * width + row] = values[column];
    }
    for (std::int64_t column = 0; column < columns && rows < width; ++column) {
        for (std::int64_t row = rows; row < width; ++row) to[column * width + row] = T(0);
    }
#endif
}

// The backward pass.
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
        T* values = to + row * stride;
        for (std::int64_t column = 0; column < columns; ++column) values[column] = from[column * width + row];
    }
#endif
}

}  // namespace LIQUID_ISA
}  // namespace liquid
