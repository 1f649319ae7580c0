// The portable kernels where there is no Python: functions against the mathematical library, an LTC against a plain
// loop, its gradients against differences. tests/kernels/portable.sh compiles and runs it for another processor.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "kernels.hpp"

using namespace liquid;
using Values = std::vector<double>;

int failures = 0;

void expect(const char* what, double found, double bound) {
    const bool right = found < bound;
    std::printf("%-44s %10.3g < %-8.3g %s\n", what, found, bound, right ? "" : "NO");
    failures += !right;
}

template <class T>
double units_off(T found, long double right) {
    const int digits = sizeof(T) == 4 ? 23 : 52;
    return static_cast<double>(std::fabs(found - right) / std::ldexp(1.0L, std::ilogb(right) - digits));
}

template <class T>
void check_functions(const Table<T>& table, double low) {
    struct {
        const char* name;
        long double (*exact)(long double);
        double low, high, bound;
    } const functions[] = {
        {"exp", [](long double x) { return std::exp(x); }, low, -low, 1},
        {"sigmoid", [](long double x) { return 1 / (1 + std::exp(-x)); }, low, 30, 2.5},
        {"tanh", [](long double x) { return std::tanh(x); }, -12, 12, 2.5},
        {"normal", [](long double x) { return std::erfc(-x / std::sqrt(2.0L)) / 2; }, -12, 8, 6.5},
        {"opened", [](long double t) { return 1 / (1 + std::exp2(t)); }, low, -low, 3.5},
    };
    for (const auto& function : functions) {
        const int count = 100001;
        std::vector<T> x(count), found(count);
        for (int i = 0; i < count; ++i) {
            x[i] = static_cast<T>(function.low + (function.high - function.low) * i / (count - 1));
        }
        if (!table.elementary(function.name, x.data(), found.data(), count)) {
            table.opened(x.data(), found.data(), count);
        }
        double worst = 0;
        for (int i = 0; i < count; ++i) {
            if (x[i] != 0) worst = std::max(worst, units_off(found[i], function.exact(x[i])));
        }
        char name[64];
        std::snprintf(name, sizeof name, "%s, %zu bytes, last places", function.name, sizeof(T));
        expect(name, worst, function.bound);
    }
}

double random_number() { return std::rand() / (RAND_MAX + 1.0); }

// A dense LTC; all its numbers in one array, so that one can be moved.
struct Network {
    static constexpr std::int64_t batch = 5, time = 3, inputs = 3, units = 6, unfolds = 2;
    static constexpr std::int64_t sizes[] = {batch * time * inputs, batch * units, batch * time, units, units, units,
                                             units * units, units * units, units * units, units * units,
                                             inputs * units, inputs * units, inputs * units, inputs * units};
    Values numbers;
    std::vector<std::int64_t> pre, post, sensory_pre, sensory_post;

    Network() {
        for (std::int64_t size : sizes) {
            for (std::int64_t i = 0; i < size; ++i) numbers.push_back(0.2 + random_number());
        }
        for (std::int64_t s = 0; s < units * units; ++s) {
            pre.push_back(s / units);
            post.push_back(s % units);
        }
        sensory_pre.assign(pre.begin(), pre.begin() + inputs * units);
        sensory_post.assign(post.begin(), post.begin() + inputs * units);
    }

    // Where each array begins in one like `numbers`.
    template <class P>
    static std::vector<P> parts(P from) {
        std::vector<P> found;
        for (std::int64_t size : sizes) found.push_back(from), from += size;
        return found;
    }

    LtcProblem<double> problem(Layout layout, std::int64_t kept_time) const {
        const auto a = parts(numbers.data());
        return {{batch, time, inputs, units, unfolds, a[0], a[1], a[2], nullptr, 2, layout},
                kept_time, a[3], a[4], a[5],
                {units, units, units * units, pre.data(), post.data(), a[6], a[7], a[8], a[9]},
                {inputs, units, inputs * units, sensory_pre.data(), sensory_post.data(), a[10], a[11], a[12], a[13]}};
    }

    Values states() const {
        const auto a = parts(numbers.data());
        Values found(batch * time * units), v(units), next(units);
        for (std::int64_t row = 0; row < batch; ++row) {
            std::copy_n(a[1] + row * units, units, v.begin());
            for (std::int64_t t = row * time; t < (row + 1) * time; ++t) {
                for (int step = 0; step < unfolds; ++step) {
                    for (std::int64_t i = 0; i < units; ++i) {
                        double drive = a[4][i], total = a[5][i];
                        const auto add = [&](double y, std::int64_t s, int from) {
                            const double opened = 1 / (1 + std::exp(-a[from][s] * (y - a[from + 1][s])));
                            total += a[from + 2][s] * opened;
                            drive += a[from + 3][s] * opened;
                        };
                        for (std::int64_t j = 0; j < units; ++j) add(v[j], j * units + i, 6);
                        for (std::int64_t j = 0; j < inputs; ++j) add(a[0][t * inputs + j], j * units + i, 10);
                        const double delta = a[2][t] / unfolds;
                        next[i] = (a[3][i] * v[i] + delta * drive) / (a[3][i] + delta * total);
                    }
                    v = next;
                }
                std::copy_n(v.begin(), units, found.begin() + t * units);
            }
        }
        return found;
    }
};

void check_ltc(Layout layout) {
    Network network;
    const Table<double>& table = portable_kernels.wide;
    const std::int64_t kept_time = 2;
    Values states(network.batch * network.time * network.units);
    Values kept(network.batch * kept_time * 2 * network.unfolds * network.units);
    const LtcProblem<double> problem = network.problem(layout, kept_time);
    table.ltc_forward(problem, states.data(), kept.data());
    double worst = 0;
    const Values right = network.states();
    for (std::size_t i = 0; i < right.size(); ++i) worst = std::max(worst, std::fabs(states[i] - right[i]));
    expect("LTC, states", worst, 1e-13);

    Values upstream(states.size()), gradients(network.numbers.size());
    for (double& value : upstream) value = random_number();
    const auto g = Network::parts(gradients.data());
    table.ltc_backward(problem, states.data(), kept.data(), upstream.data(),
                       {g[0], g[1], g[2], g[3], g[4], g[5], {g[6], g[7], g[8], g[9]}, {g[10], g[11], g[12], g[13]}});
    worst = 0;
    for (std::size_t n = 0; n < gradients.size(); ++n) {
        double ends[2];
        for (int side = 0; side < 2; ++side) {
            const double before = network.numbers[n];
            network.numbers[n] += side ? 1e-5 : -1e-5;
            const Values moved = network.states();
            ends[side] = 0;
            for (std::size_t i = 0; i < moved.size(); ++i) ends[side] += upstream[i] * moved[i];
            network.numbers[n] = before;
        }
        worst = std::max(worst, std::fabs(gradients[n] - (ends[1] - ends[0]) / 2e-5));
    }
    expect("LTC, gradients", worst, 1e-8);
}

int main() {
    check_functions(portable_kernels.single, -87);
    check_functions(portable_kernels.wide, -700);
    check_ltc(Layout::batch_lanes);
    check_ltc(Layout::unit_lanes);
    return failures != 0;
}
