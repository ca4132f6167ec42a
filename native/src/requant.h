/* SPDX-License-Identifier: Apache-2.0 */
/* Requantisation: the one rule, and the normal form in which vectors compute it.
 *
 * The rule. A real factor m * 2^(s - 31) scales an int32 accumulator x; `shift` s is in [-31, 30], m in [0, 2^31).
 *   single:  (x * m + 2^(30 - s)) >> (31 - s)
 *   double:  h = ((x << max(s, 0)) * m + 2^30) >> 31, then h / 2^e with e = max(-s, 0), ties away from zero
 * All shifts are arithmetic; the caller knows that x << max(s, 0) fits in int32.
 *
 * The normal form. With e >= 1 the two roundings of `double` are one floor: since
 *   h / 2^e rounded = (h + 2^(e-1) - [h < 0]) >> e   and   floor(floor(a / b) / c) = floor(a / (b * c)),
 *   double = (x * m + 2^30 + 2^(30+e) - [x < 0] * 2^31) >> (31 + e).
 * ([x < 0] may stand for [h < 0]: where they differ h is 0 and both give 0.) The low half of the product never matters
 * after the additions, so with an inner shift that takes the high half of a 64-bit lane
 *   floor form:   y = ((x * m + add) >> 32) >> (e - 1)
 *   signed form:  y = (((2x * m + add) >> 32) - [x < 0]) >> e,  |x| < 2^30
 * The floor form serves single rounding, and double rounding wherever negative results are clamped to the zero point or
 * above (RELU): its result for x < 0 is at most 0, as the true one is. The signed form also serves e = 0, without its
 * last term. Where no form holds for every channel, accumulators are requantised one by one by the rule.
 */
#ifndef VC_REQUANT_H
#define VC_REQUANT_H

#include <stddef.h>
#include <stdint.h>

enum { VC_ROUND_DOUBLE = 1, VC_ROUND_SINGLE = 2 };

/* How a group of channels is requantised. */
typedef enum { VC_FORM_RAW = 0, VC_FORM_FLOOR = 1, VC_FORM_SIGNED = 2, VC_FORM_RULE = 3 } vc_form;

/* An arithmetic right shift in terms that ISO C defines; compilers make it one instruction. */
static inline int64_t vc_sra64(int64_t v, int n) { return v < 0 ? ~(~v >> n) : v >> n; }
static inline int32_t vc_sra32(int32_t v, int n) { return v < 0 ? ~(~v >> n) : v >> n; }

/* The rule. */
static inline int32_t vc_requantize(int32_t x, int32_t multiplier, int32_t shift, int32_t rounding) {
  if (rounding == VC_ROUND_SINGLE) {
    int64_t t = (int64_t)x * multiplier + ((int64_t)1 << (30 - shift)); /* at most 2^62 + 2^61 */
    return (int32_t)vc_sra64(t, 31 - shift);
  }
  int left = shift > 0 ? shift : 0, e = shift > 0 ? 0 : -shift;
  /* unsigned, so that a shift the caller should not have asked for is still defined */
  int64_t t = (int64_t)(((uint64_t)(int64_t)x << left) * (uint64_t)multiplier + ((uint64_t)1 << 30));
  int32_t h = (int32_t)vc_sra64(t, 31);
  int32_t mask = (int32_t)(((int64_t)1 << e) - 1);
  return vc_sra32(h, e) + ((h & mask) > (mask >> 1) + (h < 0));
}

static inline int32_t vc_clamp(int32_t v, int32_t low, int32_t high) { return v < low ? low : v > high ? high : v; }

/* The constants of one channel in normal form. */
typedef struct {
  int64_t add;
  int32_t shift;
  int32_t negative; /* signed form: -1 where the term [x < 0] stands, 0 where no second rounding does */
} vc_normal;

static inline vc_normal vc_normal_form(vc_form form, int32_t shift, int32_t rounding) {
  int e = -shift, doubled = form == VC_FORM_SIGNED, twice = rounding == VC_ROUND_DOUBLE && e > 0;
  int64_t add = ((int64_t)1 << (30 + e)) + (twice ? (int64_t)1 << 30 : 0);
  vc_normal normal = {doubled ? add * 2 : add, doubled ? e : e - 1, twice ? -1 : 0};
  return normal;
}

/* The normal form by itself: the portable twin of every vector requantisation. */
static inline int32_t vc_requantize_normal(int32_t x, int32_t multiplier, vc_normal c, vc_form form) {
  if (form == VC_FORM_FLOOR) return vc_sra32((int32_t)vc_sra64((int64_t)x * multiplier + c.add, 32), c.shift);
  int64_t t = (int64_t)x * 2 * multiplier + c.add;
  return vc_sra32((int32_t)vc_sra64(t, 32) + (vc_sra32(x, 31) & c.negative), c.shift);
}

#endif
