/* SPDX-License-Identifier: Apache-2.0 */
/* What an opening does first: the rounds that bind the variables of a committed table's lanes. The readable twin is
 * vcompute/commitment/lanes.py.
 *
 * Such a round combines whole lanes, position by position. Two rounds' messages are sums over the products of four groups of
 * lanes, f_i * w_j, which no challenge touches: so a pass binds two variables and sums up the products for the next two.
 *
 * The first pass binds nothing. It never makes the weights: with w the product of a row's factor and a column's (tiles.c), the
 * sum over rows of factor * f comes first, and as values of f are small integers, all but a few, that takes four
 * multiplications of 32 bits a value. The second pass makes the weights with two variables bound, a quarter as long.
 */
#include <string.h>

#include "field.h"
#include "goldilocks.h"
#include "tiles.h"
#include "sums.h"
#include "vcompute.h"

enum {
  CHUNK = 128,          /* elements at a time: a group of lanes stays in the fastest cache */
  FIRST_TILE = 1 << 14, /* positions of a tile: four lanes' integers stay in the second cache */
  BIND_TILE = 1 << 12,  /* four bound lanes and their weights stay there */
  MOST_BOUND = 2,
  MOST_GROUPS = 1 << MOST_BOUND
};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Groups of lanes: number g of the first is lane first + g * apart. */
typedef struct {
  size_t lanes, apart, groups;
} grouping;

static grouping group(size_t lanes, size_t variables, size_t bound) {
  const grouping g = {lanes, (size_t)1 << (variables - bound), (size_t)1 << bound};
  return g;
}
/* The groups that have a lane there. */
static size_t present(const grouping *g, size_t first) {
  return first < g->lanes ? least((g->lanes - first - 1) / g->apart + 1, g->groups) : 0;
}

/* ---- the first pass ---- */

typedef struct {
  const vc_sum_kernels *k;
  size_t count, size;                 /* lanes, and elements of each in the tile */
  const uint64_t *words[MOST_GROUPS]; /* of the table, from the tile on */
  uint64_t *packed[MOST_GROUPS];
  int small[MOST_GROUPS];
  uint64_t *sums[MOST_GROUPS]; /* blocks, CHUNK elements */
  uint64_t *state, *digits;
  const uint64_t **rows;
  const uint64_t *next; /* the first lane's next tile, or NULL */
  size_t apart;         /* words between lanes */
} first_tile;

static void add_columns(const first_tile *t, size_t group, const vc_patch *g, size_t term, size_t column, size_t n) {
  const size_t rows = g->rows, at = g->at + column;
  for (size_t p = 0; p < t->count; p++) {
    if (t->small[p]) {
      /* of one lane's next tile as much as this reads of each lane, in halves */
      const size_t read = g->at + column * rows + p * (rows * n / 2);
      const uint64_t *soon = p < 2 && t->next ? t->next + group * t->apart + read : NULL;
      t->k->combine_small(t->sums[p], t->packed[p] + at / 2, g->columns / 2, t->digits, rows, n, soon);
    } else {
      for (size_t r = 0; r < rows; r++) t->rows[r] = t->words[p] + at + r * g->columns;
      t->k->combine_base(t->sums[p], t->rows, g->factors + 2 * rows * term, rows, n);
    }
  }
  const uint64_t *f[MOST_GROUPS], *w[MOST_GROUPS];
  for (size_t p = 0; p < t->count; p++) {
    f[p] = t->sums[p];
    w[p] = g->inner + 2 * (term * g->columns + column);
  }
  t->k->products(t->state, group * MOST_GROUPS, f, w, t->count, n);
}

static void add_patch(const first_tile *t, size_t group, const vc_patch *g) {
  for (size_t term = 0; term < g->terms; term++) {
    vc_digits(t->digits, g->factors + 2 * g->rows * term, 2 * g->rows);
    for (size_t column = 0; column < g->columns; column += CHUNK)
      add_columns(t, group, g, term, column, least(CHUNK, g->columns - column));
  }
}

static size_t tile_of(const vc_lanes *t, size_t most) { return least((size_t)t->length, most); }

size_t vc_lanes_products_parts(const vc_lanes *t, size_t ahead) {
  const size_t apart = (size_t)1 << (t->variables - ahead);
  return least(apart, (size_t)t->lanes) * ((size_t)t->length / tile_of(t, FIRST_TILE));
}

static vc_pieces pieces_of(const vc_lanes *t) {
  const vc_pieces p = {t->pieces, t->terms, (size_t)t->count};
  return p;
}

size_t vc_lanes_products_scratch(const vc_lanes *t) {
  const size_t size = tile_of(t, FIRST_TILE), rows = size / VC_CELL;
  const vc_pieces p = pieces_of(t);
  return vc_sums()->products_words + MOST_GROUPS * (size / 2 + 2 * CHUNK) + 5 * rows + vc_patches_words(&p, size, 2);
}

static uint64_t *take(uint64_t **scratch, size_t words) {
  uint64_t *at = *scratch;
  *scratch += words;
  return at;
}

static void add_tile(first_tile *t, const vc_lanes *table, const grouping *lanes, size_t first, size_t start, uint64_t *words) {
  const uint64_t one[2] = {1, 0};
  const vc_pieces pieces = pieces_of(table);
  t->count = present(lanes, first);
  t->apart = (size_t)table->length * lanes->apart;
  t->next = start + t->size < table->length ? table->f + first * table->length + start + t->size : NULL;
  for (size_t p = 0; p < t->count; p++) {
    t->words[p] = table->f + (first + p * lanes->apart) * table->length + start;
    t->small[p] = t->k->pack(t->packed[p], t->words[p], t->size);
  }
  for (size_t q = 0; q < t->count; q++) {
    const size_t from = (first + q * lanes->apart) * (size_t)table->length + start;
    size_t next = vc_patches_first(&pieces, from);
    vc_patch patch = {.width = 2};
    while (vc_patches_next(&patch, &pieces, &next, from, t->size, one, words)) add_patch(t, q, &patch);
  }
}

void vc_lanes_products(uint64_t *sums, const vc_lanes *table, size_t ahead, size_t first, size_t parts, uint64_t *scratch) {
  first_tile t = {.k = vc_sums(), .size = tile_of(table, FIRST_TILE)};
  const size_t tiles = (size_t)table->length / t.size, rows = t.size / VC_CELL;
  const grouping lanes = group((size_t)table->lanes, (size_t)table->variables, ahead);
  t.state = take(&scratch, t.k->products_words);
  memset(t.state, 0, t.k->products_words * sizeof *scratch);
  for (size_t p = 0; p < MOST_GROUPS; p++) {
    t.packed[p] = take(&scratch, t.size / 2);
    t.sums[p] = take(&scratch, 2 * CHUNK);
  }
  t.digits = take(&scratch, 4 * rows);
  t.rows = (const uint64_t **)(void *)take(&scratch, rows);
  for (size_t i = first; i < first + parts; i++) add_tile(&t, table, &lanes, i / tiles, i % tiles * t.size, scratch);
  t.k->products_end(sums, t.state, MOST_GROUPS * MOST_GROUPS);
}

/* ---- the passes that bind ---- */

typedef struct {
  const vc_sum_kernels *k;
  const vc_lanes *t;
  size_t size;
  grouping lanes;
  vc_soon soon;
  uint64_t digits[4 * MOST_GROUPS];
  uint64_t *packed;
  /* of the lanes of a group their patches, and the terms at a place */
  vc_patch *patches;
  const uint64_t **rows;
  uint64_t *factors, *words;
} binding;

/* out (blocks) = the tile of lane `lane` of what is left of the table. */
static void bind_table(const binding *b, uint64_t *out, size_t lane, size_t start) {
  const vc_lanes *t = b->t;
  const size_t count = present(&b->lanes, lane), n = b->size;
  const uint64_t *from[MOST_GROUPS];
  int small = (int)t->base;
  for (size_t g = 0; g < count; g++) {
    from[g] = t->f + (t->base ? 1 : 2) * ((lane + g * b->lanes.apart) * (size_t)t->length + start);
    small = small && b->k->pack(b->packed + g * (n / 2), from[g], n);
  }
  if (small)
    b->k->combine_small(out, b->packed, n / 2, b->digits, count, n, NULL);
  else
    (t->base ? b->k->combine_base : b->k->interpolate)(out, from, t->factors, count, n);
}

/* out = the sum of the terms of patches at position `at`; how many elements it is the same terms for. */
static size_t put_terms(const binding *b, uint64_t *out, vc_patch **next, size_t lanes, size_t at) {
  size_t n = b->size - at, terms = 0;
  for (size_t i = 0; i < lanes; i++) {
    while (next[i]->end <= at) next[i]++; /* the last one ends with the tile */
    const vc_patch *g = next[i];
    if (at < g->at || g->terms == 0) {
      n = least(n, (at < g->at ? g->at : g->end) - at);
      continue;
    }
    const size_t row = (at - g->at) / g->columns, column = (at - g->at) % g->columns;
    n = least(n, g->columns - column);
    for (size_t t = 0; t < g->terms && row < g->rows; t++, terms++) {
      const uint64_t *factor = g->factors + 2 * (t * g->rows + row);
      uint64_t *to = b->factors + 3 * terms;
      b->rows[terms] = g->inner + 3 * (t * g->columns + column);
      to[0] = factor[0], to[1] = factor[1], to[2] = vc_gl_add(factor[0], factor[1]);
    }
  }
  const vc_soon soon = {b->soon.words + at, b->soon.apart, b->soon.count};
  if (terms)
    b->k->combine_triples(out + 2 * at, b->rows, b->factors, terms, n, &soon);
  else
    memset(out + 2 * at, 0, 2 * n * sizeof *out);
  return n;
}

/* As bind_table, of weights that are pieces. */
static void bind_pieces(const binding *b, uint64_t *out, size_t lane, size_t start) {
  const vc_pieces pieces = pieces_of(b->t);
  const size_t count = present(&b->lanes, lane);
  vc_patch *patches = b->patches, *next[MOST_GROUPS];
  uint64_t *words = b->words;
  for (size_t g = 0; g < count; g++) {
    const size_t from = (lane + g * b->lanes.apart) * (size_t)b->t->length + start;
    next[g] = patches;
    size_t piece = vc_patches_first(&pieces, from);
    patches->width = 3;
    while (vc_patches_next(patches, &pieces, &piece, from, b->size, b->t->factors + 2 * g, words)) {
      words += vc_patch_words(patches);
      (++patches)->width = 3;
    }
    const vc_patch last = {.at = b->size, .end = b->size + 1};
    *patches++ = last;
  }
  for (size_t at = 0; at < b->size;) at += put_terms(b, out, next, count, at);
}

static void bind_weights(const binding *b, uint64_t *out, size_t lane, size_t start) {
  const vc_lanes *t = b->t;
  if (!t->w) {
    bind_pieces(b, out, lane, start);
    return;
  }
  const size_t count = present(&b->lanes, lane);
  const uint64_t *from[MOST_GROUPS];
  for (size_t g = 0; g < count; g++) from[g] = t->w + 2 * ((lane + g * b->lanes.apart) * (size_t)t->length + start);
  b->k->interpolate(out, from, t->factors, count, b->size);
}

/* The groups of lanes that are left. */
static grouping left_of(const vc_lanes *t, size_t ahead) {
  const size_t variables = (size_t)(t->variables - t->bound);
  return group(least((size_t)t->lanes, (size_t)1 << variables), variables, ahead);
}

size_t vc_lanes_bind_parts(const vc_lanes *t, size_t ahead) {
  const grouping left = left_of(t, ahead);
  return least(left.apart, left.lanes) * ((size_t)t->length / tile_of(t, BIND_TILE));
}

static size_t most_terms(const vc_lanes *t) {
  size_t most = 1;
  for (size_t i = 0; i < t->count; i++)
    if (t->pieces[i].terms > most) most = (size_t)t->pieces[i].terms;
  return most;
}

static size_t patch_size(void) { return (sizeof(vc_patch) + sizeof(uint64_t) - 1) / sizeof(uint64_t); }

size_t vc_lanes_bind_scratch(const vc_lanes *t) {
  const size_t size = tile_of(t, BIND_TILE);
  const vc_pieces p = pieces_of(t);
  size_t words = vc_sums()->products_words + (t->base ? size / 2 << t->bound : 0);
  if (!t->w)
    words += MOST_GROUPS * (4 * most_terms(t) + (vc_patches_most(&p, size) + 1) * patch_size() + vc_patches_words(&p, size, 3));
  return words;
}

static binding begin(const vc_lanes *t, uint64_t **scratch) {
  binding b = {.k = vc_sums(), .t = t, .size = tile_of(t, BIND_TILE)};
  const vc_pieces p = pieces_of(t);
  b.lanes = group((size_t)t->lanes, (size_t)t->variables, (size_t)t->bound);
  if (t->base) {
    vc_digits(b.digits, t->factors, 2 * b.lanes.groups);
    b.packed = take(scratch, b.size / 2 << t->bound);
  }
  if (!t->w) {
    const size_t terms = MOST_GROUPS * most_terms(t);
    b.patches = (vc_patch *)(void *)take(scratch, MOST_GROUPS * (vc_patches_most(&p, b.size) + 1) * patch_size());
    b.rows = (const uint64_t **)(void *)take(scratch, terms);
    b.factors = take(scratch, 3 * terms);
    b.words = take(scratch, MOST_GROUPS * vc_patches_words(&p, b.size, 3));
  }
  return b;
}

/* The table's tiles that a lane is made of: of base words, or none. */
static vc_soon soon_of(const vc_lanes *t, const grouping *f, size_t lane, size_t start) {
  const vc_soon soon = {t->f + (lane < f->lanes ? lane * (size_t)t->length + start : 0), f->apart * (size_t)t->length,
                        t->base ? present(f, lane) : 0};
  return soon;
}

void vc_lanes_bind(uint64_t *sums, const vc_lanes *t, size_t ahead, size_t first, size_t parts, uint64_t *scratch) {
  uint64_t *state = take(&scratch, vc_sums()->products_words);
  binding b = begin(t, &scratch);
  const size_t tiles = (size_t)t->length / b.size;
  const grouping left = left_of(t, ahead);
  memset(state, 0, b.k->products_words * sizeof *state);
  for (size_t i = first; i < first + parts; i++) {
    const uint64_t *f[MOST_GROUPS], *w[MOST_GROUPS];
    const size_t lane = i / tiles, start = i % tiles * b.size;
    for (size_t g = 0; g < left.groups; g++) {
      const size_t at = (lane + g * left.apart) * (size_t)t->length + start;
      b.soon = g + 1 < left.groups ? soon_of(t, &b.lanes, lane + (g + 1) * left.apart, start)
                                   : soon_of(t, &b.lanes, (i + 1) / tiles, (i + 1) % tiles * b.size);
      bind_table(&b, t->f_out + 2 * at, lane + g * left.apart, start);
      bind_weights(&b, t->w_out + 2 * at, lane + g * left.apart, start);
      f[g] = t->f_out + 2 * at, w[g] = t->w_out + 2 * at;
    }
    for (size_t at = 0, n; ahead && at < b.size; at += n) {
      n = least(CHUNK, b.size - at);
      b.k->messages(state, f, w, left.groups, n);
      for (size_t g = 0; g < left.groups; g++) f[g] += 2 * n, w[g] += 2 * n;
    }
  }
  if (ahead) b.k->products_end(sums, state, VC_MOST_SUMS);
}

void vc_blocks_to_pairs(uint64_t *pairs, const uint64_t *blocks, size_t n) {
  for (size_t i = 0; i < n; i++) pairs[2 * i] = blocks[i / 8 * 16 + i % 8], pairs[2 * i + 1] = blocks[i / 8 * 16 + 8 + i % 8];
}
