// The portable kernels where there is no Python: functions against the mathematical library; an LTC, a GRU and an LSTM
// against plain loops, their gradients against differences. tests/kernels/portable.sh compiles and runs it for another
// processor.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "buffer.hpp"
#include "kernels.hpp"

using namespace liquid;
using Values = std::vector<double>;

int failures = 0;

void expect(const char* what, double found, double bound) {
    const bool right = found < bound;
    std::printf("%-44s %10.3g < %-8.3g %s\n", what, found, bound, right ? "" : "NO");
    failures += !right;
}

// The larger of two errors; NaN, once there, stays.
double larger(double worst, double error) { return error <= worst || std::isnan(worst) ? worst : error; }

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
            if (x[i] != 0) worst = larger(worst, units_off(found[i], function.exact(x[i])));
        }
        char name[64];
        std::snprintf(name, sizeof name, "%s, %zu bytes, last places", function.name, sizeof(T));
        expect(name, worst, function.bound);
    }
}

double random_number() { return std::rand() / (RAND_MAX + 1.0); }

// Networks have all their numbers, data and parameters, in one array, so that any of them can be moved. Sizes leave
// vectors and chunks of sequences that are not full.
constexpr std::int64_t batch = 11, time_steps = 3, inputs = 3, units = 7;

struct Part {
    std::int64_t size;
    double low;  // numbers are between low and low + 1
};

// Where each part begins in an array like `numbers`.
template <class P, class Parts>
std::vector<P> split(P from, const Parts& parts) {
    std::vector<P> found;
    for (const Part& part : parts) found.push_back(from), from += part.size;
    return found;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct DenseLtc {
    static constexpr std::int64_t unfolds = 2, width = units;
    // Input, initial, timespans; cm, leak_drive, leak; sigma, mu, w and w_erev of internal and of sensory synapses.
    static constexpr Part parts[] = {
        {batch * time_steps * inputs, .2}, {batch * units, .2}, {batch * time_steps, .2},
        {units, .2}, {units, .2}, {units, .2},
        {units * units, .2}, {units * units, .2}, {units * units, .2}, {units * units, .2},
        {inputs * units, .2}, {inputs * units, .2}, {inputs * units, .2}, {inputs * units, .2}};
    Layout layout;
    std::vector<std::int64_t> pre, post;  // of internal synapses; the first of them are those of sensory ones, too

    explicit DenseLtc(Layout layout_) : layout(layout_) {
        for (std::int64_t s = 0; s < units * units; ++s) {
            pre.push_back(s / units);
            post.push_back(s % units);
        }
    }

    template <class T>
    void pass(const Table<T>& table, const T* numbers, T* states, const T* upstream, T* gradients) const {
        const auto a = split(numbers, parts);
        const auto g = split(gradients, parts);
        const std::int64_t kept_time = 2;
        const LtcProblem<T> problem{
            {batch, time_steps, inputs, units, unfolds, a[0], a[1], a[2], nullptr, nullptr, 2, layout},
            kept_time, a[3], a[4], a[5],
            {units, units, units * units, pre.data(), post.data(), a[6], a[7], a[8], a[9]},
            {inputs, units, inputs * units, pre.data(), post.data(), a[10], a[11], a[12], a[13]}};
        portable::Buffer<T> kept(2 * batch * kept_time * unfolds * units);
        table.ltc_forward(problem, states, kept.get());
        const LtcGradients<T> of_problem{
            g[0], g[1], g[2], g[3], g[4], g[5], {g[6], g[7], g[8], g[9]}, {g[10], g[11], g[12], g[13]}};
        table.ltc_backward(problem, states, kept.get(), upstream, of_problem);
    }

    // A sample in a plain loop.
    static void step(const std::vector<const double*>& a, std::int64_t sample, Values& v) {
        const double delta = a[2][sample] / unfolds;
        for (int unfold = 0; unfold < unfolds; ++unfold) {
            Values next(units);
            for (std::int64_t i = 0; i < units; ++i) {
                double drive = a[4][i], total = a[5][i];
                const auto add = [&](double y, std::int64_t s, int from) {
                    const double opened = sigmoid(a[from][s] * (y - a[from + 1][s]));
                    total += a[from + 2][s] * opened;
                    drive += a[from + 3][s] * opened;
                };
                for (std::int64_t j = 0; j < units; ++j) add(v[j], j * units + i, 6);
                for (std::int64_t j = 0; j < inputs; ++j) add(a[0][sample * inputs + j], j * units + i, 10);
                next[i] = (a[3][i] * v[i] + delta * drive) / (a[3][i] + delta * total);
            }
            v = next;
        }
    }
};

// torch's GRU or LSTM, with a state that decays between samples.
template <CellKind kind>
struct GatedCell {
    static constexpr bool lstm = kind == CellKind::lstm;
    static constexpr std::int64_t gates = lstm ? 4 : 3, width = lstm ? 2 * units : units;
    // Input, initial, timespans; weight_ih, weight_hh, bias_ih, bias_hh, rate.
    static constexpr Part parts[] = {{batch * time_steps * inputs, -.5}, {batch * width, -.5}, {batch * time_steps, .2},
                                     {gates * units * inputs, -.5},      {gates * units * units, -.5},
                                     {gates * units, -.5},               {gates * units, -.5},
                                     {units, .2}};

    template <class P>
    static CellParameters<P> parameters(const std::vector<P>& a) {
        CellParameters<P> found{};
        found.weight_ih = a[3], found.weight_hh = a[4], found.bias_ih = a[5], found.bias_hh = a[6], found.rate = a[7];
        return found;
    }

    template <class T>
    void pass(const Table<T>& table, const T* numbers, T* states, const T* upstream, T* gradients) const {
        const auto a = split(numbers, parts);
        const auto g = split(gradients, parts);
        GatedProblem<T> problem{};
        problem.batch = batch, problem.time = time_steps, problem.inputs = inputs, problem.width = width;
        problem.units = problem.outputs = units;
        problem.kind = kind, problem.unfolds = 1, problem.threads = 2;
        problem.input = a[0], problem.initial = a[1], problem.timespans = a[2];
        problem.parameters = parameters(a);
        problem.kept = table.gated_kept(problem);
        portable::Buffer<T> kept(batch * time_steps * problem.kept);
        table.gated_forward(problem, states, kept.get());
        table.gated_backward(problem, states, kept.get(), upstream, {g[0], g[1], g[2], parameters(g)});
    }

    // A sample in a plain loop.
    static void step(const std::vector<const double*>& a, std::int64_t sample, Values& state) {
        for (std::int64_t i = 0; i < units; ++i) state[i] *= std::exp(-a[7][i] * a[2][sample]);
        const Values before = state;
        for (std::int64_t i = 0; i < units; ++i) {
            double of_input[gates], of_state[gates], sum[gates];
            for (std::int64_t k = 0; k < gates; ++k) {
                const std::int64_t row = k * units + i;
                of_input[k] = a[5][row], of_state[k] = a[6][row];
                const double* x = a[0] + sample * inputs;
                for (std::int64_t j = 0; j < inputs; ++j) of_input[k] += a[3][row * inputs + j] * x[j];
                for (std::int64_t j = 0; j < units; ++j) of_state[k] += a[4][row * units + j] * before[j];
                sum[k] = of_input[k] + of_state[k];
            }
            if constexpr (lstm) {
                double& c = state[units + i];
                c = sigmoid(sum[1]) * c + sigmoid(sum[0]) * std::tanh(sum[2]);
                state[i] = sigmoid(sum[3]) * std::tanh(c);
            } else {
                const double z = sigmoid(sum[1]), candidate = std::tanh(of_input[2] + sigmoid(sum[0]) * of_state[2]);
                state[i] = (1 - z) * candidate + z * before[i];
            }
        }
    }
};

// A network's states, sample by sample.
template <class Network>
Values in_a_loop(const Network&, const Values& numbers) {
    const auto a = split(numbers.data(), Network::parts);
    Values found;
    for (std::int64_t row = 0; row < batch; ++row) {
        const double* initial = a[1] + row * Network::width;
        Values state(initial, initial + Network::width);
        for (std::int64_t sample = row * time_steps; sample < (row + 1) * time_steps; ++sample) {
            Network::step(a, sample, state);
            found.insert(found.end(), state.begin(), state.end());
        }
    }
    return found;
}

template <class T, class Network>
void check_pass(const char* name, const Table<T>& table, const Network& network, double of_states,
                double of_gradients) {
    // Numbers that both precisions have, so that only the kernel rounds.
    const auto random_numbers = [](std::int64_t size, double low, Values& to) {
        for (std::int64_t i = 0; i < size; ++i) to.push_back(static_cast<float>(low + random_number()));
    };
    Values numbers, upstream;
    for (const Part& part : Network::parts) random_numbers(part.size, part.low, numbers);
    random_numbers(batch * time_steps * Network::width, 0, upstream);
    const std::vector<T> numbers_of_kernel(numbers.begin(), numbers.end());
    const std::vector<T> upstream_of_kernel(upstream.begin(), upstream.end());
    std::vector<T> states(upstream.size()), gradients(numbers.size());
    network.pass(table, numbers_of_kernel.data(), states.data(), upstream_of_kernel.data(), gradients.data());

    char what[64];
    double worst = 0;
    const Values right = in_a_loop(network, numbers);
    for (std::size_t i = 0; i < right.size(); ++i) worst = larger(worst, std::fabs(states[i] - right[i]));
    std::snprintf(what, sizeof what, "%s, %zu bytes, states", name, sizeof(T));
    expect(what, worst, of_states);

    worst = 0;
    for (std::size_t n = 0; n < numbers.size(); ++n) {
        Values ends[2];
        const double before = numbers[n];
        for (int side = 0; side < 2; ++side) {
            numbers[n] = before + (side ? 1e-5 : -1e-5);
            ends[side] = in_a_loop(network, numbers);
        }
        numbers[n] = before;
        double difference = 0;
        for (std::size_t i = 0; i < right.size(); ++i) difference += upstream[i] * (ends[1][i] - ends[0][i]);
        worst = larger(worst, std::fabs(gradients[n] - difference / 2e-5));
    }
    std::snprintf(what, sizeof what, "%s, %zu bytes, gradients", name, sizeof(T));
    expect(what, worst, of_gradients);
}

template <class Network>
void check(const char* name, const Network& network) {
    check_pass(name, portable_kernels.wide, network, 1e-13, 1e-8);
    check_pass(name, portable_kernels.single, network, 1e-6, 1e-5);
}

int main() {
    check_functions(portable_kernels.single, -87);
    check_functions(portable_kernels.wide, -700);
    check("LTC, sequences in lanes", DenseLtc(Layout::batch_lanes));
    check("LTC, units in lanes", DenseLtc(Layout::unit_lanes));
    check("GRU", GatedCell<CellKind::gru>());
    check("LSTM", GatedCell<CellKind::lstm>());
    return failures != 0;
}
