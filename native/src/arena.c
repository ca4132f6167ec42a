/* SPDX-License-Identifier: Apache-2.0 */
/* An arena: blocks of any size cut from a few large stretches of the system's memory. What is given back joins its free
 * neighbours and is used again at once, the smallest space that fits first, so that a computation touches hardly more
 * memory than it holds at its peak. A stretch is asked for untouched: what is never used costs address space alone.
 *
 * The layout of vc_memory_handler and the four functions behind it are numpy's (NEP 49).
 */
#if defined(__linux__)
#define _DEFAULT_SOURCE /* madvise */
#endif
#if defined(__linux__) || defined(__APPLE__)
#include <sys/mman.h>
#endif
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <stdatomic.h>
#endif

#include <stdlib.h>
#include <string.h>

#include "vcompute.h"

#define GRAIN ((size_t)4096)           /* sizes and places of blocks are multiples */
#define HUGE_PAGE ((size_t)2 << 20)    /* a stretch begins at a multiple */
#define LEAST_BLOCK ((size_t)64 << 10) /* what is smaller goes to malloc */

/* A stretch begins at bytes[0]; block i ends where block i + 1 begins, the last one at `size`. */
typedef struct {
  size_t start;
  int used;
} block;

typedef struct stretch {
  struct stretch *next;
  void *memory; /* to be freed */
  unsigned char *bytes;
  size_t size, touched; /* nothing past `touched` was ever given out: it is zero */
  block *blocks;
  size_t count, room, used;
} stretch;

typedef struct {
  void *context;
  void *(*malloc)(void *context, size_t size);
  void *(*calloc)(void *context, size_t count, size_t size);
  void *(*realloc)(void *context, void *pointer, size_t size);
  void (*free)(void *context, void *pointer, size_t size);
} allocator;

/* PyDataMem_Handler of numpy, version 1. */
typedef struct {
  char name[127];
  uint8_t version;
  allocator functions;
} handler;

enum { VC_ARENA_RELEASED, VC_ARENA_LENT };

struct vc_arena {
  handler numpy;
  stretch *stretches;
  size_t least_stretch;
  int32_t state;
#if defined(_MSC_VER)
  volatile long locked;
#else
  atomic_flag locked;
#endif
};

#if defined(_MSC_VER)
static void lock(vc_arena *a) {
  while (_InterlockedExchange(&a->locked, 1)) continue;
}
static void unlock(vc_arena *a) { _InterlockedExchange(&a->locked, 0); }
static void unlocked(vc_arena *a) { a->locked = 0; }
#else
static void lock(vc_arena *a) {
  while (atomic_flag_test_and_set_explicit(&a->locked, memory_order_acquire)) continue;
}
static void unlock(vc_arena *a) { atomic_flag_clear_explicit(&a->locked, memory_order_release); }
static void unlocked(vc_arena *a) { atomic_flag_clear(&a->locked); }
#endif

static size_t block_end(const stretch *s, size_t i) { return i + 1 < s->count ? s->blocks[i + 1].start : s->size; }

static void drop(stretch *s) {
  free(s->memory);
  free(s->blocks);
  free(s);
}

/* Give the system every stretch that holds no block. */
static void release(vc_arena *a) {
  for (stretch **at = &a->stretches; *at;) {
    stretch *s = *at;
    if (s->used) {
      at = &s->next;
    } else {
      *at = s->next;
      drop(s);
    }
  }
}

#if defined(MADV_FREE)
/* Let the system take a free block's pages when it is short of memory; until then they are here to be used again. */
static void lend(const stretch *s, size_t i) {
  const size_t end = block_end(s, i) < s->touched ? block_end(s, i) : s->touched;
  const size_t from = (s->blocks[i].start + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE, to = end / HUGE_PAGE * HUGE_PAGE;
  if (from < to) (void)madvise(s->bytes + from, to - from, MADV_FREE);
}

static void lend_all(vc_arena *a) {
  for (stretch *s = a->stretches; s; s = s->next)
    for (size_t i = 0; i < s->count; i++)
      if (!s->blocks[i].used) lend(s, i);
}
#else
static void lend(const stretch *s, size_t i) { (void)s, (void)i; }
static void lend_all(vc_arena *a) { release(a); }
#endif

static stretch *add_stretch(vc_arena *a, size_t size) {
  const size_t least = a->least_stretch;
  stretch *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->room = 256;
  s->blocks = malloc(s->room * sizeof *s->blocks);
  s->size = size > least ? size : least;
  s->memory = s->blocks ? calloc(1, s->size + HUGE_PAGE) : NULL;
  if (!s->memory && s->blocks && size < least) { /* little is left: just what is needed */
    s->size = size;
    s->memory = calloc(1, s->size + HUGE_PAGE);
  }
  if (!s->memory) {
    drop(s);
    return NULL;
  }
  s->bytes = (unsigned char *)s->memory + (HUGE_PAGE - (uintptr_t)s->memory % HUGE_PAGE) % HUGE_PAGE;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  (void)madvise(s->bytes, s->size, MADV_HUGEPAGE); /* a wish: without it pages are small, no more */
#endif
  s->blocks[0] = (block){0, 0};
  s->count = 1;
  stretch **last = &a->stretches; /* in order of age, so that every computation finds the same places */
  while (*last) last = &(*last)->next;
  *last = s;
  return s;
}

/* The smallest free block of at least `size` bytes, the first one among equals; s->count where there is none. */
static size_t best(const stretch *s, size_t size) {
  size_t found = s->count, least = SIZE_MAX;
  for (size_t i = 0; i < s->count; i++) {
    const size_t have = block_end(s, i) - s->blocks[i].start;
    if (!s->blocks[i].used && have >= size && have < least) found = i, least = have;
  }
  return found;
}

/* Use the first `size` bytes of a free block; the rest stays free. NULL where the list of blocks cannot grow. */
static unsigned char *cut(stretch *s, size_t i, size_t size) {
  const size_t start = s->blocks[i].start;
  if (block_end(s, i) - start > size) {
    if (s->count == s->room) {
      block *more = realloc(s->blocks, 2 * s->room * sizeof *more);
      if (!more) return NULL;
      s->blocks = more;
      s->room *= 2;
    }
    memmove(s->blocks + i + 2, s->blocks + i + 1, (s->count - i - 1) * sizeof *s->blocks);
    s->blocks[i + 1] = (block){start + size, 0};
    s->count++;
  }
  s->blocks[i].used = 1;
  s->used++;
  return s->bytes + start;
}

/* A block; *dirty is how many of its first bytes may be other than zero. */
static void *take(vc_arena *a, size_t size, size_t *dirty) {
  void *result = NULL;
  if (size > SIZE_MAX - HUGE_PAGE) return NULL;
  size = (size + GRAIN - 1) / GRAIN * GRAIN;
  lock(a);
  stretch *s = a->stretches;
  size_t at = 0;
  while (s && (at = best(s, size)) == s->count) s = s->next;
  if (!s) at = 0, s = add_stretch(a, size);
  unsigned char *bytes = s ? cut(s, at, size) : NULL;
  if (bytes) {
    const size_t start = (size_t)(bytes - s->bytes), touched = s->touched;
    *dirty = touched > start ? (touched - start < size ? touched - start : size) : 0;
    if (touched < start + size) s->touched = start + size;
    result = bytes;
  }
  unlock(a);
  return result;
}

/* The place of the block at `offset`. */
static size_t find(const stretch *s, size_t offset) {
  size_t low = 0, high = s->count;
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    if (s->blocks[middle].start <= offset)
      low = middle;
    else
      high = middle;
  }
  return low;
}

static void remove_block(stretch *s, size_t i) {
  memmove(s->blocks + i, s->blocks + i + 1, (s->count - i - 1) * sizeof *s->blocks);
  s->count--;
}

static stretch *owner(const vc_arena *a, const void *pointer) {
  const uintptr_t p = (uintptr_t)pointer;
  stretch *s = a->stretches;
  while (s && !((uintptr_t)s->bytes <= p && p < (uintptr_t)s->bytes + s->size)) s = s->next;
  return s;
}

/* The size of an arena's block; 0 where it is malloc's. */
static size_t size_of(vc_arena *a, const void *pointer) {
  size_t size = 0;
  lock(a);
  const stretch *s = owner(a, pointer);
  if (s) {
    const size_t i = find(s, (size_t)((const unsigned char *)pointer - s->bytes));
    size = block_end(s, i) - s->blocks[i].start;
  }
  unlock(a);
  return size;
}

static void *arena_malloc(void *context, size_t size) {
  size_t dirty;
  return size < LEAST_BLOCK ? malloc(size) : take(context, size, &dirty);
}

static void *arena_calloc(void *context, size_t count, size_t size) {
  size_t dirty = 0;
  if (size && count > SIZE_MAX / size) return NULL;
  if (count * size < LEAST_BLOCK) return calloc(count, size);
  void *result = take(context, count * size, &dirty);
  if (result) memset(result, 0, dirty);
  return result;
}

static void arena_free(void *context, void *pointer, size_t size) {
  vc_arena *a = context;
  (void)size; /* the block knows */
  if (!pointer) return;
  lock(a);
  stretch *s = owner(a, pointer);
  if (s) {
    size_t i = find(s, (size_t)((unsigned char *)pointer - s->bytes));
    s->blocks[i].used = 0;
    s->used--;
    if (i + 1 < s->count && !s->blocks[i + 1].used) remove_block(s, i + 1);
    if (i && !s->blocks[i - 1].used) remove_block(s, i--);
    if (a->state == VC_ARENA_LENT) lend(s, i);
    if (a->state == VC_ARENA_RELEASED) release(a);
  }
  unlock(a);
  if (!s) free(pointer);
}

static void *arena_realloc(void *context, void *pointer, size_t size) {
  const size_t old = pointer ? size_of(context, pointer) : 0;
  if (!old && size < LEAST_BLOCK) return realloc(pointer, size);
  if (!old && pointer) return realloc(pointer, size); /* it stays malloc's, whatever its size */
  void *result = arena_malloc(context, size);
  if (result && pointer) {
    memcpy(result, pointer, old < size ? old : size);
    arena_free(context, pointer, old);
  }
  return result;
}

vc_arena *vc_arena_new(size_t least_stretch) {
  vc_arena *a = calloc(1, sizeof *a);
  if (!a) return NULL;
  const allocator functions = {a, arena_malloc, arena_calloc, arena_realloc, arena_free};
  strcpy(a->numpy.name, "vcompute arena");
  a->numpy.version = 1;
  a->numpy.functions = functions;
  a->least_stretch = (least_stretch + GRAIN - 1) / GRAIN * GRAIN;
  unlocked(a);
  return a;
}

void *vc_arena_handler(vc_arena *a) { return &a->numpy; }

void vc_arena_set(vc_arena *a, int32_t state) {
  lock(a);
  a->state = state;
  if (state == VC_ARENA_LENT) lend_all(a);
  if (state == VC_ARENA_RELEASED) release(a);
  unlock(a);
}

void vc_arena_figures(vc_arena *a, size_t *figures) {
  figures[0] = figures[1] = 0;
  lock(a);
  for (const stretch *s = a->stretches; s; s = s->next) {
    figures[0] += s->touched;
    figures[1] += s->used;
  }
  unlock(a);
}
