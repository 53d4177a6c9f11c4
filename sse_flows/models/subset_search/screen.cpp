// Single-precision screen of the subsets of a logistic regression: which of them may still have the
// best leave-one-out score. Method and proof of the bounds: docs/subset_search.md.
//
// The kernel (screen_kernel.inc) is compiled several times, for several instruction sets, with the
// widest vectors that each has; `subset_screen` calls what the processor can run. The library has a
// plain C interface and needs neither Python's nor NumPy's headers.

#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

constexpr int LANES = 4;       // columns 0..3 of a subset; the others are its core
constexpr int ROW_BLOCK = 12;  // rows are padded with zeros to a multiple of this

int pair_index(int a, int b) { return a >= b ? a * (a + 1) / 2 + b : b * (b + 1) / 2 + a; }

// The regression in standardised columns; column 0 is the intercept. At least LANES columns: what is
// missing is filled with zeros.
struct Problem {
  int rows, padded, columns, real_columns;
  float *x;         // (columns + 1, padded)
  float *products;  // (pairs of columns, padded): x_a x_b of every row
  float *sign;      // (padded)
  float *penalty;   // (columns + 1)
  float *largest;   // (columns + 1): largest |x| of each column
};

// What the caller wants of one run.
struct Request {
  const Problem *problem;
  const int64_t *path;  // columns of the first core, counted from LANES
  int depth;            // and their number
  int64_t cores;        // cores to work through
  int max_features;
  const double *rule;  // (3, max_features + 1): costs of a missed and a false positive, limit
  float floor;         // presumed least fraction of the approximate shift (0: proven bounds only)
  float saturation;    // and how fast it falls with the shift
  bool certify, log_loss;
  int64_t *masks;  // out: subsets that may reach the limit
  float *starts;   // out: their coefficients, intercept first, (cores * 16, max_features + 1)
};

// Next core in depth-first order; -1 at the end. The same walk as `next_core` in evaluate.py.
int next_core(int64_t *path, int depth, int n_core, int core_size) {
  const int64_t last = depth ? path[depth - 1] : -1;
  if (last < n_core - 1) {
    if (depth < core_size) {
      path[depth] = last + 1;
      return depth + 1;
    }
    if (depth == 0) return -1;
    path[depth - 1] += 1;
    return depth;
  }
  if (depth < 2) return -1;
  path[depth - 2] += 1;
  return depth - 1;
}

float *floats(size_t number) {
  void *memory = std::aligned_alloc(64, (number * sizeof(float) + 63) / 64 * 64);
  if (memory) std::memset(memory, 0, (number * sizeof(float) + 63) / 64 * 64);
  return static_cast<float *>(memory);
}

}  // namespace

// ---- the kernel, once for each instruction set -------------------------------------------------

#define KERNEL_NAMESPACE baseline
#define KERNEL_WIDTH 4
#define KERNEL_ROWS 4
#include "screen_kernel.inc"

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define KERNEL_NAMESPACE avx2
#define KERNEL_WIDTH 8
#define KERNEL_ROWS 4
#include "screen_kernel.inc"
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw"))), \
                             apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw")
#endif
#define KERNEL_NAMESPACE avx512
#define KERNEL_WIDTH 16
#define KERNEL_ROWS 6
#include "screen_kernel.inc"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__

// ---- C interface -------------------------------------------------------------------------------

extern "C" {

// Raised whenever a function below changes, so that compiled.py never calls an older library.
int subset_interface() { return 1; }

// Best instruction set of this processor: 0 baseline, 1 AVX2 with FMA, 2 AVX-512.
int subset_instruction_set() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
    return 2;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
  return 0;
}

void subset_problem_free(Problem *p) {
  if (!p) return;
  std::free(p->x);
  std::free(p->products);
  std::free(p->sign);
  std::free(p->penalty);
  std::free(p->largest);
  delete p;
}

// Copy a problem to single precision. `x` is (columns + 1, stride) with the intercept first. Null
// if there is no memory.
Problem *subset_problem_new(const double *x, const double *sign, const double *penalty, int rows,
                            int stride, int columns) {
  Problem *p = new (std::nothrow) Problem{};
  if (!p) return nullptr;
  p->rows = rows;
  p->padded = (rows + ROW_BLOCK - 1) / ROW_BLOCK * ROW_BLOCK;
  p->real_columns = columns;
  p->columns = columns < LANES ? LANES : columns;
  const int d = p->columns + 1;
  p->x = floats(size_t(d) * p->padded);
  p->products = floats(size_t(d) * (d + 1) / 2 * p->padded);
  p->sign = floats(p->padded);
  p->penalty = floats(d);
  p->largest = floats(d);
  if (!p->x || !p->products || !p->sign || !p->penalty || !p->largest) {
    subset_problem_free(p);
    return nullptr;
  }
  for (int i = 0; i < p->padded; i++) p->sign[i] = i < rows ? float(sign[i]) : 1.0f;
  for (int a = 0; a < d; a++) {
    const bool real = a <= columns;
    // beyond these the arithmetic would leave the range of single precision
    p->penalty[a] = real ? float(std::fmin(penalty[a], 1e15)) : 1.0f;
    for (int i = 0; i < rows && real; i++) {
      p->x[size_t(a) * p->padded + i] = float(x[size_t(a) * stride + i]);
      p->largest[a] = std::fmax(p->largest[a], std::fabs(p->x[size_t(a) * p->padded + i]));
      for (int b = 0; b <= a; b++)
        p->products[size_t(pair_index(a, b)) * p->padded + i] =
            float(x[size_t(a) * stride + i] * x[size_t(b) * stride + i]);
    }
  }
  return p;
}

// Screen the subsets of `cores` cores from the one in `path`. Returns the number of those that may
// reach the limit of their size, or -1 if there is no memory or no such instruction set.
int64_t subset_screen(const Problem *problem, int instruction_set, const int64_t *path, int depth,
                      int64_t cores, int max_features, const double *rule, double floor, double saturation,
                      int log_loss, int64_t *masks, float *starts) {
  if (instruction_set < 0 || instruction_set > subset_instruction_set()) return -1;
  const Request request{problem, path,        depth,         cores, max_features, rule,
                        float(floor), float(saturation), floor == 0, log_loss != 0, masks, starts};
  switch (instruction_set) {
#if defined(__x86_64__)
    case 2: return avx512::screen(request);
    case 1: return avx2::screen(request);
#endif
    default: return baseline::screen(request);
  }
}

}  // extern "C"
