/* SPDX-License-Identifier: Apache-2.0 */
/* The first layer of a transform, on its way from lanes to rows. Included by butterflies.h.
 *
 * Where the twiddle of a block is z, that of its neighbour is 2^48 z: both need z v alone, and the neighbour a shift. z is 1 in
 * a code of rate 1/2. L words of L lanes are transposed in registers, right before the sums.
 *
 * Lanes are a power of two apart, and so all lines at one place of them belong to a few places of the cache, which hold them
 * only for a moment. So pieces of lanes are copied before they are transposed, each in one go, and those of the next lanes are
 * asked for meanwhile.
 */

/* The first word of a word lane; a lane of pairs is two of them. */
static inline const uint64_t *word_lane(const uint64_t *lanes, const vc_first_layer *f, size_t j) {
  return f->words == 1 ? lanes + j * f->n : lanes + (j & ~(size_t)1) * f->n;
}

static inline void copy_pieces(uint64_t *to, const uint64_t *lanes, const vc_first_layer *f, size_t q, size_t some,
                               size_t rows) {
  for (size_t j = q; j < q + some; j++, to += VC_TILE) {
    const uint64_t *lane = word_lane(lanes, f, j);
    if (f->words == 1)
      EACH(rows, store_some(to + i, load_some(lane + i, k), k););
    else
      EACH(rows, {
        const evec pair = load_ordered(lane + 2 * i, k);
        store_some(to + i, j % 2 ? pair.c1 : pair.c0, k);
      });
  }
}

/* Interleaving the halves of an array of vectors log L times transposes it. */
static inline void v_transpose(vec x[L]) {
  for (int step = 1; step < L; step *= 2) {
    vec y[L];
    for (int i = 0; i < L / 2; i++) v_join(&y[2 * i], &y[2 * i + 1], x[i], x[i + L / 2]);
    for (int i = 0; i < L; i++) x[i] = y[i];
  }
}

/* 2^48 v, canonical. */
static inline vec v_times_i(vec v) {
  const vec low = v_and(v, v_set1(VC_EPSILON)), high = v_top(v);
  const digits x = {v_minus(v_set1(ZERO_LOW), v_left(high, 16)),
                    v_plus(v_set1(ZERO_HIGH), v_left(v_plus(low, high), 16))};
  return d_word(x, 1);
}

/* Any word plus a canonical one, as a word. */
static inline vec v_any_add(vec a, vec b) { return v_carried(v_plus(a, b), b); }

/* k rows from the i-th on of the word lanes from q on, of pieces of them. Asks for those of the lanes that follow. */
static inline void first_rows(const vc_first_layer *f, const uint64_t *low, const uint64_t *high, size_t q, size_t some,
                              size_t i, size_t k) {
  const size_t width = f->lanes * f->words, from = q + L < width ? q + L : 0;
  const uint64_t *next = from ? f->low : f->next;
  uint64_t *out = f->out + i * width + q;
  vec u[L], v[L];
  if (L > 1 && next != NULL)
    for (size_t j = from; j < from + L && j < width; j++) {
      const uint64_t *p = word_lane(next, f, j) + (f->words == 1 ? i : 2 * i + j % 2 * L);
      v_prefetch(p);
      if (f->high) v_prefetch(p + (f->high - f->low));
    }
  for (size_t j = 0; j < L; j++) u[j] = v_load(low + j * VC_TILE + i), v[j] = v_load(high + j * VC_TILE + i);
  v_transpose(u);
  if (f->high) v_transpose(v);
  for (size_t r = 0; r < L && r < k; r++, out += width) {
    const vec a = f->plain ? u[r] : v_any_add(u[r], v_set1(OFFSET));
    if (!f->high) {
      store_some(out, a, some);
      continue;
    }
    const vec b = f->z == 1 ? v[r] : v_mul(v[r], v_set1(f->z));
    store_some(out, v_any_add(a, b), some);
    store_some(out + f->to, v_sub(a, b), some);
    if (!f->both) continue;
    const vec c = v_times_i(b);
    store_some(out + 2 * f->to, v_any_add(a, c), some);
    store_some(out + 3 * f->to, v_sub(a, c), some);
  }
}

static void first_layer(const vc_first_layer *f, size_t rows) {
  uint64_t low[L * VC_TILE] = {0}, high[L * VC_TILE] = {0};
  EACH(f->lanes * f->words, {
    const size_t q = i, some = k;
    copy_pieces(low, f->low, f, q, some, rows);
    if (f->high) copy_pieces(high, f->high, f, q, some, rows);
    EACH(rows, first_rows(f, low, high, q, some, i, k););
  });
}
