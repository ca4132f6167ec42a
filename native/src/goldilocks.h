/* SPDX-License-Identifier: Apache-2.0 */
/* One element of F_p, p = 2^64 - 2^32 + 1, and one of F_p[x]/(x^2 - 7): canonical words in, canonical words out.
 *
 * All reductions rest on 2^64 = 2^32 - 1 (mod p) and 2^96 = -1 (mod p).
 */
#ifndef VC_GOLDILOCKS_H
#define VC_GOLDILOCKS_H

#include <stddef.h>
#include <stdint.h>

#if defined(_MSC_VER) && defined(_M_X64)
#include <intrin.h>
#endif

#define VC_P UINT64_C(0xffffffff00000001)
#define VC_EPSILON UINT64_C(0xffffffff)

/* Keeps a compiler from turning a mask into a branch: carries are random, so a branch costs more than the mask. */
#if defined(__GNUC__) || defined(__clang__)
#define VC_OPAQUE(x) __asm__("" : "+r"(x))
#else
#define VC_OPAQUE(x) ((void)0)
#endif

/* condition ? value : 0, without a branch. */
static inline uint64_t vc_gl_if(int condition, uint64_t value) {
  uint64_t mask = (uint64_t)0 - (uint64_t)condition;
  VC_OPAQUE(mask);
  return mask & value;
}

static inline uint64_t vc_gl_sub(uint64_t a, uint64_t b) { return a - b + vc_gl_if(a < b, VC_P); }

static inline uint64_t vc_gl_add(uint64_t a, uint64_t b) { return vc_gl_sub(a, VC_P - b); /* p - 0 = p is fine */ }

static inline void vc_mul_wide(uint64_t *low, uint64_t *high, uint64_t a, uint64_t b) {
#if defined(__SIZEOF_INT128__)
  __extension__ typedef unsigned __int128 wide;
  wide product = (wide)a * b;
  *low = (uint64_t)product;
  *high = (uint64_t)(product >> 64);
#elif defined(_MSC_VER) && defined(_M_X64)
  *low = _umul128(a, b, high);
#else
  uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
  uint64_t p00 = a0 * b0, middle = a1 * b0 + (p00 >> 32), cross = a0 * b1 + (uint32_t)middle;
  *low = (cross << 32) | (uint32_t)p00;
  *high = a1 * b1 + (middle >> 32) + (cross >> 32);
#endif
}

/* low + 2^64 * high, for any words. */
static inline uint64_t vc_gl_reduce(uint64_t low, uint64_t high) {
  uint64_t h1 = high >> 32, product = (high & VC_EPSILON) * VC_EPSILON;
  uint64_t t = low - h1 - vc_gl_if(low < h1, VC_EPSILON);
  uint64_t sum = t + product;
  sum += vc_gl_if(sum < t, VC_EPSILON);
  return sum - vc_gl_if(sum >= VC_P, VC_P);
}

/* low + 2^64 * high + 2^128 * top, for any words: 2^128 = -2^32. */
static inline uint64_t vc_gl_reduce3(uint64_t low, uint64_t high, uint64_t top) {
  return vc_gl_sub(vc_gl_reduce(low, high), vc_gl_reduce(top << 32, top >> 32));
}

/* a * b for any words. */
static inline uint64_t vc_gl_mul(uint64_t a, uint64_t b) {
  uint64_t low, high;
  vc_mul_wide(&low, &high, a, b);
  return vc_gl_reduce(low, high);
}

static inline uint64_t vc_gl_pow(uint64_t a, uint64_t exponent) {
  uint64_t result = 1;
  for (; exponent; exponent >>= 1, a = vc_gl_mul(a, a))
    if (exponent & 1) result = vc_gl_mul(result, a);
  return result;
}

/* 7 * a. */
static inline uint64_t vc_gl_mul7(uint64_t a) { return vc_gl_mul(a, 7); }

/* out = a * b in the extension; out may be a or b. */
static inline void vc_ext_mul(uint64_t out[2], const uint64_t a[2], const uint64_t b[2]) {
  uint64_t low = vc_gl_mul(a[0], b[0]), high = vc_gl_mul(a[1], b[1]);
  uint64_t cross = vc_gl_mul(vc_gl_add(a[0], a[1]), vc_gl_add(b[0], b[1]));
  out[0] = vc_gl_add(low, vc_gl_mul7(high));
  out[1] = vc_gl_sub(cross, vc_gl_add(low, high));
}

/* The fixed primitive root of order 2^log: 7^((p - 1) / 2^log). */
static inline uint64_t vc_gl_root(unsigned log) { return vc_gl_pow(7, (VC_P - 1) >> log); }

#endif
