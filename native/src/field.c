/* SPDX-License-Identifier: Apache-2.0 */
#include "field.h"

#include "cpu.h"
#include "goldilocks.h"
#include "vcompute.h"

const vc_field_kernels *vc_field(void) {
#if defined(VC_HAVE_AVX512IFMA)
  if (vc_cpu_has(VC_CPU_AVX512 | VC_CPU_AVX512IFMA)) return &vc_field_avx512ifma;
#endif
#if defined(VC_HAVE_AVX512)
  if (vc_cpu_has(VC_CPU_AVX512)) return &vc_field_avx512;
#endif
#if defined(VC_HAVE_AVX2)
  if (vc_cpu_has(VC_CPU_AVX2)) return &vc_field_avx2;
#endif
  return &vc_field_portable;
}

void vc_gl_add_n(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n) { vc_field()->add(out, a, b, n); }
void vc_gl_sub_n(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n) { vc_field()->sub(out, a, b, n); }
void vc_gl_mul_n(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n) { vc_field()->mul(out, a, b, n); }
void vc_ext_mul_n(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n) { vc_field()->ext_mul(out, a, b, n); }
void vc_ext_mul_base_n(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n) {
  vc_field()->ext_mul_base(out, a, b, n);
}
void vc_ext_scale_n(uint64_t *out, const uint64_t *a, const uint64_t *r, size_t n) {
  vc_field()->ext_scale(out, a, r, n);
}
void vc_base_scale_n(uint64_t *out, const uint64_t *a, const uint64_t *r, size_t n) {
  vc_field()->base_scale(out, a, r, n);
}
void vc_ext_dot_base(uint64_t *sum, const uint64_t *a, const uint64_t *b, size_t n) {
  vc_field()->dot_base(sum, a, b, n);
}
void vc_ext_dot(uint64_t *sum, const uint64_t *a, const uint64_t *b, size_t n) { vc_field()->dot_ext(sum, a, b, n); }

void vc_fold_base(uint64_t *out, const uint64_t *low, const uint64_t *high, const uint64_t *r, size_t n) {
  vc_field()->fold_base(out, low, high, r, n);
}
void vc_fold_ext(uint64_t *out, const uint64_t *low, const uint64_t *high, const uint64_t *r, size_t n) {
  vc_field()->fold_ext(out, low, high, r, n);
}
void vc_round_base(uint64_t *sums, const uint64_t *f0, const uint64_t *f1, const uint64_t *w0, const uint64_t *w1,
                   size_t n) {
  vc_field()->round_base(sums, f0, f1, w0, w1, n);
}
void vc_round_ext(uint64_t *sums, const uint64_t *f0, const uint64_t *f1, const uint64_t *w0, const uint64_t *w1,
                  size_t n) {
  vc_field()->round_ext(sums, f0, f1, w0, w1, n);
}

void vc_fractions(uint64_t *n, uint64_t *d, const uint64_t *n0, const uint64_t *d0, const uint64_t *n1,
                  const uint64_t *d1, size_t count) {
  vc_field()->fractions(n, d, n0, d0, n1, d1, count);
}
void vc_fraction_round(uint64_t *sums, const uint64_t *const *low, const uint64_t *const *high, const uint64_t *weights,
                       size_t n) {
  vc_field()->fraction_round(sums, low, high, weights, n);
}

void vc_eq_tensor(uint64_t *out, const uint64_t *point, size_t variables, const uint64_t *scale) {
  const vc_field_kernels *k = vc_field();
  out[0] = scale[0];
  out[1] = scale[1];
  for (size_t i = 0; i < variables; i++) /* the last coordinate first: it is the least significant bit */
    k->expand(out, point + 2 * (variables - 1 - i), (size_t)1 << i);
}

void vc_ext_add_outer(uint64_t *table, const uint64_t *outer, size_t m, const uint64_t *inner, size_t n) {
  const vc_field_kernels *k = vc_field();
  for (size_t i = 0; i < m; i++) k->ext_scale_add(table + 2 * n * i, inner, outer + 2 * i, n);
}

/* Montgomery's trick: one inversion for all. Zeros stay zero and are left out of the running product. */
void vc_gl_inverse_n(uint64_t *out, const uint64_t *a, size_t n) {
  uint64_t product = 1;
  for (size_t i = 0; i < n; i++) {
    out[i] = product;
    if (a[i]) product = vc_gl_mul(product, a[i]);
  }
  uint64_t inverse = vc_gl_pow(product, VC_P - 2);
  for (size_t i = n; i-- > 0;) {
    uint64_t value = a[i];
    out[i] = value ? vc_gl_mul(out[i], inverse) : 0;
    if (value) inverse = vc_gl_mul(inverse, value);
  }
}

void vc_ext_inverse_n(uint64_t *out, const uint64_t *a, size_t n, uint64_t *scratch) {
  for (size_t i = 0; i < n; i++) {
    uint64_t c0 = a[2 * i], c1 = a[2 * i + 1];
    scratch[i] = vc_gl_sub(vc_gl_mul(c0, c0), vc_gl_mul7(vc_gl_mul(c1, c1)));
  }
  vc_gl_inverse_n(scratch + n, scratch, n);
  for (size_t i = 0; i < n; i++) {
    uint64_t norm = scratch[n + i], c1 = a[2 * i + 1];
    out[2 * i] = vc_gl_mul(a[2 * i], norm);
    out[2 * i + 1] = vc_gl_mul(vc_gl_sub(0, c1), norm);
  }
}
