/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of extension elements over those of a vector header and its products. */
#ifndef VC_EVEC_H
#define VC_EVEC_H

/* An extension element in each lane. */
typedef struct {
  vec c0, c1;
} evec;

static inline evec e_set1(const uint64_t r[2]) {
  evec a = {v_set1(r[0]), v_set1(r[1])};
  return a;
}
static inline evec e_add(evec a, evec b) {
  evec c = {v_add(a.c0, b.c0), v_add(a.c1, b.c1)};
  return c;
}
static inline evec e_sub(evec a, evec b) {
  evec c = {v_sub(a.c0, b.c0), v_sub(a.c1, b.c1)};
  return c;
}
static inline evec e_mul_base(evec a, vec b) {
  evec c = {v_mul(a.c0, b), v_mul(a.c1, b)};
  return c;
}

/* Sums of products of extension elements, reduced at the end. */
typedef struct {
  psum low, high, cross; /* of first words, of second words; of first words times second words, both ways */
} esum;
enum { ESUM_TERMS = PSUM_TERMS / 2 };

static inline esum e_zero(void) {
  esum sum = {p_zero(), p_zero(), p_zero()};
  return sum;
}
static inline uint64_t v_across(vec a) {
  uint64_t lanes[VEC_LANES], sum = 0;
  v_store(lanes, a);
  for (int i = 0; i < VEC_LANES; i++) sum = vc_gl_add(sum, lanes[i]);
  return sum;
}
static inline uint64_t p_total(psum sum) { return v_across(p_reduce(sum)); }

/* A constant to multiply by: its words, and its second word times 7. */
typedef struct {
  factor c0, c1, c7;
} econst;

static inline econst e_const(const uint64_t r[2]) {
  econst x = {p_factor(v_set1(r[0])), p_factor(v_set1(r[1])), p_factor(v_set1(vc_gl_mul7(r[1])))};
  return x;
}

#if defined(VC_PRODUCTS_FUSED)
static inline void e_mac(esum *sum, evec a, evec b) {
  const factor a0 = p_factor(a.c0), a1 = p_factor(a.c1), b0 = p_factor(b.c0), b1 = p_factor(b.c1);
  p_mac(&sum->low, a0, b0);
  p_mac(&sum->high, a1, b1);
  p_mac(&sum->cross, a0, b1);
  p_mac(&sum->cross, a1, b0);
}
/* An element that is yet to be reduced. */
typedef struct {
  psum c0, c1;
} epending;
static inline evec e_finish(epending a) {
  evec c = {p_reduce(a.c0), p_reduce(a.c1)};
  return c;
}
/* The element that few products add up to. */
static inline epending e_of(const esum *sum) {
  epending c = {p_add7(sum->low, sum->high), sum->cross};
  return c;
}
static inline epending e_mul_later(evec a, evec b) {
  esum sum = e_zero();
  e_mac(&sum, a, b);
  return e_of(&sum);
}
static inline evec e_mul(evec a, evec b) { return e_finish(e_mul_later(a, b)); }
static inline epending e_scale_from(epending sum, evec a, const econst *r) {
  const factor a0 = p_factor(a.c0), a1 = p_factor(a.c1);
  p_mac(&sum.c0, a0, r->c0);
  p_mac(&sum.c0, a1, r->c7);
  p_mac(&sum.c1, a0, r->c1);
  p_mac(&sum.c1, a1, r->c0);
  return sum;
}
static inline epending e_scale_later(evec a, const econst *r) {
  const epending zero = {p_zero(), p_zero()};
  return e_scale_from(zero, a, r);
}
/* a + b * r */
static inline epending e_add_scaled_later(evec a, evec b, const econst *r) {
  const epending start = {p_start(a.c0), p_start(a.c1)};
  return e_scale_from(start, b, r);
}
static inline evec e_scale(evec a, const econst *r) { return e_finish(e_scale_later(a, r)); }
/* a * b + c * d */
static inline epending e_mul2_later(evec a, evec b, evec c, evec d) {
  esum sum = e_zero();
  e_mac(&sum, a, b);
  e_mac(&sum, c, d);
  return e_of(&sum);
}
static inline evec e_mul2(evec a, evec b, evec c, evec d) { return e_finish(e_mul2_later(a, b, c, d)); }
/* sum += w * x, which is not made canonical for it */
static inline void e_mac_pending(esum *sum, evec w, epending x) {
  const factor w0 = p_factor(w.c0), w1 = p_factor(w.c1), x0 = p_loose(x.c0), x1 = p_loose(x.c1);
  p_mac(&sum->low, w0, x0);
  p_mac(&sum->high, w1, x1);
  p_mac(&sum->cross, w0, x1);
  p_mac(&sum->cross, w1, x0);
}
static inline void e_total(uint64_t *out, const esum *sum) {
  out[0] = vc_gl_add(p_total(sum->low), vc_gl_mul7(p_total(sum->high)));
  out[1] = p_total(sum->cross);
}
#else
/* Karatsuba's three products: `cross` holds (a0 + a1) (b0 + b1) here. */
static inline void e_mac(esum *sum, evec a, evec b) {
  p_mac(&sum->low, p_factor(a.c0), p_factor(b.c0));
  p_mac(&sum->high, p_factor(a.c1), p_factor(b.c1));
  p_mac(&sum->cross, p_factor(v_add(a.c0, a.c1)), p_factor(v_add(b.c0, b.c1)));
}
static inline evec e_mul(evec a, evec b) {
  evec c = {v_mul_add(a.c0, b.c0, a.c1, v_mul7(b.c1)), v_mul_add(a.c0, b.c1, a.c1, b.c0)};
  return c;
}
static inline evec e_scale(evec a, const econst *r) {
  evec c = {v_mul_add(a.c0, r->c0, a.c1, r->c7), v_mul_add(a.c0, r->c1, a.c1, r->c0)};
  return c;
}
typedef evec epending;
static inline evec e_finish(epending a) { return a; }
static inline epending e_mul_later(evec a, evec b) { return e_mul(a, b); }
static inline epending e_scale_later(evec a, const econst *r) { return e_scale(a, r); }
/* a + b * r */
static inline epending e_add_scaled_later(evec a, evec b, const econst *r) { return e_add(a, e_scale(b, r)); }
/* a * b + c * d */
static inline evec e_mul2(evec a, evec b, evec c, evec d) { return e_add(e_mul(a, b), e_mul(c, d)); }
static inline epending e_mul2_later(evec a, evec b, evec c, evec d) { return e_mul2(a, b, c, d); }
/* sum += w * x */
static inline void e_mac_pending(esum *sum, evec w, epending x) { e_mac(sum, w, x); }
static inline void e_total(uint64_t *out, const esum *sum) {
  const uint64_t low = p_total(sum->low), high = p_total(sum->high), cross = p_total(sum->cross);
  out[0] = vc_gl_add(low, vc_gl_mul7(high));
  out[1] = vc_gl_sub(cross, vc_gl_add(low, high));
}
#endif

#endif
