// Vectorised elementary functions. Errors, in units of the last place of the result, are below 1 for exponential, 2.5
// for sigmoid and hyperbolic_tangent, 6.5 for Normal, in float and in double; tests/kernels/test_cfc_agreement.py
// measures them.
//
// All start from e^x = 2^n e^r with |r| <= ln(2) / 2. NaN stays NaN; arguments above the range of the exponent count as
// its end, so that no infinity arises on the way. Below it results are 0: less would still count times 1e38.
#pragma once

#include "simd.hpp"

namespace liquid {
namespace LIQUID_ISA {

template <class T>
struct Exponential;

// (e^r - 1 - r) / r^2 interpolated in Chebyshev nodes, the highest power first: relative error of e^r - 1 5e-10, 5e-19.
// ln(2) in two parts, the first with so few bits that its products with n are exact.
template <>
struct Exponential<float> {
    static constexpr float limit = 87.33f, high = 0x1.62e4p-1f, low = 0x1.7f7d1cp-20f;
    static constexpr float terms[] = {0x1.a12528p-13f, 0x1.6d4362p-10f, 0x1.1110e0p-7f,
                                      0x1.5554e8p-5f,  0x1.555556p-3f,  0x1p-1f};
};
template <>
struct Exponential<double> {
    static constexpr double limit = 708.39, high = 0x1.62e42fefap-1, low = 0x1.cf79abc9e3b398p-40;
    static constexpr double terms[] = {2.0914717341716378e-09, 2.5105259538448494e-08, 2.755727357010214e-07,
                                       2.7557255297969643e-06, 2.4801587325605324e-05, 0.0001984126987490126,
                                       0.001388888888888373,   0.008333333333326112,   0.04166666666666667,
                                       0.1666666666666667,     0.5};
};

template <class T>
LIQUID_INLINE Vector<T> smaller(Vector<T> x, T bound) {
    return x > bound ? broadcast(bound) : x;
}

template <class T>
LIQUID_INLINE Vector<T> magnitude(Vector<T> x) {
    using Integers = typename Simd<T>::Integers;
    return (Vector<T>)((Integers)x & ~(Integers)broadcast(T(-0.0)));
}

template <class T>
LIQUID_INLINE Vector<T> signed_as(Vector<T> size, Vector<T> sign) {
    using Integers = typename Simd<T>::Integers;
    return (Vector<T>)((Integers)size | ((Integers)sign & (Integers)broadcast(T(-0.0))));
}

// a / b for b of ordinary size: neither 0 nor beyond a tenth of the largest number.
template <class T>
LIQUID_INLINE Vector<T> quotient(Vector<T> a, Vector<T> b) {
    return a / b;
}

#if defined(__AVX512F__)
// Division takes as long as all the rest together; with the remainder put right this rounds nearly as well.
template <>
LIQUID_INLINE FloatVector quotient<float>(FloatVector a, FloatVector b) {
    const FloatVector first = _mm512_rcp14_ps(b), inverse = fma(first, fnma(b, first, broadcast(1.0f)), first);
    const FloatVector guess = a * inverse;
    return fma(fnma(b, guess, a), inverse, guess);
}
#endif

// e^x = scale * (1 + rest), for x within the limit.
template <class T>
struct Power {
    Vector<T> scale, rest;

    LIQUID_INLINE explicit Power(Vector<T> x) {
        using S = Simd<T>;
        using E = Exponential<T>;
        const Vector<T> shifted = fma(x, broadcast(T(1.44269504088896340736)), broadcast(S::round_magic));
        const Vector<T> n = shifted - S::round_magic;
        const Vector<T> r = fnma(n, broadcast(E::low), fnma(n, broadcast(E::high), x));
        Vector<T> p = broadcast(E::terms[0]);
        for (unsigned i = 1; i < sizeof(E::terms) / sizeof(T); ++i) p = fma(p, r, broadcast(E::terms[i]));
        rest = fma(r * r, p, r);
        using Integers = typename S::Integers;
        scale = (Vector<T>)((Integers)broadcast(T(1)) + ((Integers)shifted << S::mantissa_bits));
    }
};

template <class T>
LIQUID_INLINE Vector<T> exponential(Vector<T> x) {
    constexpr T limit = Exponential<T>::limit;
    const auto gone = x < -limit;
    const Power<T> power(gone ? broadcast(-limit) : smaller<T>(x, limit));
    return gone ? Vector<T>{} : fma(power.scale, power.rest, power.scale);
}

template <class T>
LIQUID_INLINE Vector<T> sigmoid(Vector<T> x) {
    constexpr T limit = Exponential<T>::limit;
    // Where e^-x would be 0 it is so small that 1 + e^-x is 1.
    const Vector<T> above = x > limit ? broadcast(limit) : x;
    const Power<T> power(above < -limit ? broadcast(limit) : -above);
    const Vector<T> open = quotient<T>(broadcast(T(1)), T(1) + fma(power.scale, power.rest, power.scale));
    return x < -limit ? Vector<T>{} : open;
}

// (e^2x - 1) / (e^2x + 1), its numerator without cancellation. From 20 on tanh is 1 even in double.
template <class T>
LIQUID_INLINE Vector<T> hyperbolic_tangent(Vector<T> x) {
    const Power<T> power(T(2) * smaller<T>(magnitude<T>(x), T(20)));
    const Vector<T> less_one = fma(power.scale, power.rest, power.scale - T(1));
    return signed_as<T>(quotient<T>(less_one, less_one + T(2)), x);
}

// e^(z^2) erfc(z) (z + 3) over (z - 3) / (z + 3), interpolated; relative error 5e-9, 2e-17.
template <class T>
struct Tail;
template <>
struct Tail<float> {
    static constexpr float limit = 13.2f;
    static constexpr float terms[] = {-0x1.5e75aep-12f, -0x1.064798p-11f, 0x1.9350eep-9f,  -0x1.3f000cp-10f,
                                      -0x1.b7af40p-6f,  0x1.e9957ep-4f,   -0x1.3deaf8p-2f, 0x1.2e326cp-1f,
                                      -0x1.c44c48p-1f,  0x1.12f21ep+0f};
};
template <>
struct Tail<double> {
    static constexpr double limit = 37.6;
    static constexpr double terms[] = {
        -1.6395485480678698e-09, -6.459032159942696e-09, 2.4973227668752545e-09, 4.902631771667328e-08,
        4.019188893536195e-08,   -2.334380505942334e-07, -4.026706871716185e-07, 9.996563629058999e-07,
        2.762495446091886e-06,   -4.749835794572455e-06, -1.7469568620774725e-05, 3.039839957518172e-05,
        0.0001075612702659246,   -0.0002767778984323993, -0.000548309663144011,  0.0030340620077886123,
        -0.00121241662936307,    -0.02682723462492517,   0.11952776128737143,    -0.3104672619005538,
        0.5902283571041007,      -0.8833944531698837,    1.0740069070883398};
};

// The normal distribution: probability of a value below x, and density at x. The lower tail keeps its relative
// accuracy.
template <class T>
struct Normal {
    Vector<T> below, density;

    LIQUID_INLINE explicit Normal(Vector<T> x) {
        const Vector<T> whole = magnitude<T>(x), size = smaller<T>(whole, Tail<T>::limit), z = size * T(0.70710678118654752440);
        const Vector<T> inverse = quotient<T>(broadcast(T(1)), z + T(3)), t = (z - T(3)) * inverse;
        Vector<T> p = broadcast(Tail<T>::terms[0]);
        for (unsigned i = 1; i < sizeof(Tail<T>::terms) / sizeof(T); ++i) p = fma(p, t, broadcast(Tail<T>::terms[i]));
        // The rounding of the square counts as many times as the exponent is large. Half the digits have an exact
        // square.
        using Integers = typename Simd<T>::Integers;
        constexpr int half = Simd<T>::mantissa_bits / 2 + 1;
        const Vector<T> high = (Vector<T>)((Integers)size >> half << half), square = size * size;
        const Vector<T> rest = fnma(square, broadcast(T(1)), high * high) + (size - high) * (size + high);
        const Vector<T> bell = exponential<T>(T(-0.5) * square) * fma(broadcast(T(-0.5)), rest, broadcast(T(1)));
        const Vector<T> tail = T(0.5) * bell * p * inverse;
        const auto gone = whole > Tail<T>::limit;
        below = x < T(0) ? (gone ? Vector<T>{} : tail) : T(1) - tail;
        density = gone ? Vector<T>{} : T(0.39894228040143267794) * bell;
    }
};

}  // namespace LIQUID_ISA
}  // namespace liquid
