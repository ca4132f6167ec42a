/* SPDX-License-Identifier: Apache-2.0 */
/* The weights of an opening tile by tile, as products that are never multiplied out: see tiles.c. */
#ifndef VC_TILES_H
#define VC_TILES_H

#include <stddef.h>
#include <stdint.h>

#include "vcompute.h"

enum { VC_CELL = 16 /* elements: what is shorter is made whole cell by cell */ };

/* The sum of terms on elements at .. of a tile, row by row; a term's element is a factor of its row times one of its column.
 * Rows that are missing at the end are zero. */
typedef struct {
  size_t at, end, rows, columns, terms;
  size_t width;      /* words of an element in `inner`: 2, or 3 with their sum */
  uint64_t *factors; /* pairs, all rows of a term after another */
  uint64_t *inner;   /* in blocks of eight, all columns of a term after another */
} vc_patch;

typedef struct {
  const vc_weight_piece *pieces;
  const vc_weight_term *terms;
  size_t count;
} vc_pieces;

/* The first piece that ends after an element. */
size_t vc_patches_first(const vc_pieces *p, size_t element);

/* The patch of piece *next in the tile of `size` elements from `start` on (a multiple of its size, a power of two from VC_CELL
 * on), scaled: 0 where the tile has no further piece. patch->width is given; `words` has room for vc_patches_words; *next moves
 * on. */
int vc_patches_next(vc_patch *patch, const vc_pieces *p, size_t *next, size_t start, size_t size, const uint64_t scale[2],
                  uint64_t *words);
/* The words that a patch takes, and the most that those of a tile take. */
size_t vc_patch_words(const vc_patch *patch);
size_t vc_patches_words(const vc_pieces *p, size_t size, size_t width);
/* The most patches in a tile. */
static inline size_t vc_patches_most(const vc_pieces *p, size_t size) {
  return p->count < size / VC_CELL ? p->count : size / VC_CELL;
}

#endif
