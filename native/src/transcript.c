/* SPDX-License-Identifier: Apache-2.0 */
#include "transcript.h"

#include <string.h>

#include "cpu.h"
#include "goldilocks.h"
#include "sha256.h"

enum { SQUEEZE = 0, BYTES = 1, BASE = 3, EXT = 4, DIGESTS = 5, NONCE = 6, DIGEST = 27 };

static const char RATCHET[] = "vcompute ratchet v1"; /* with its zero byte */

/* The fastest kernel for one message. */
static const vc_sha256_kernel *single(void) {
#if defined(VC_HAVE_SHANI)
  if (vc_cpu_has(VC_CPU_SHANI | VC_CPU_SSE41)) return &vc_sha256_shani;
#endif
#if defined(VC_HAVE_ARMSHA2)
  if (vc_cpu_has(VC_CPU_ARMSHA2)) return &vc_sha256_armv8;
#endif
  return &vc_sha256_portable;
}

static void compress(vc_hash *h, const uint8_t *data, size_t blocks) {
  const vc_sha256_kernel *k = single();
  uint32_t state[8 * VC_SHA256_MAX_LANES];
  const uint8_t *pointers[VC_SHA256_MAX_LANES];
  for (size_t i = 0; i < 8 * k->lanes; i++) state[i] = h->state[i / k->lanes];
  for (size_t l = 0; l < k->lanes; l++) pointers[l] = data; /* spare lanes repeat the message */
  k->compress(state, pointers, blocks);
  for (size_t i = 0; i < 8; i++) h->state[i] = state[i * k->lanes];
}

void vc_hash_begin(vc_hash *h) {
  memcpy(h->state, vc_sha256_initial, sizeof h->state);
  h->length = 0;
}

void vc_hash_update(vc_hash *h, const void *data, size_t length) {
  const uint8_t *p = data;
  size_t used = h->length % 64;
  h->length += length;
  if (used) {
    size_t take = length < 64 - used ? length : 64 - used;
    memcpy(h->block + used, p, take);
    if (used + take < 64) return;
    compress(h, h->block, 1);
    p += take;
    length -= take;
  }
  compress(h, p, length / 64);
  if (length % 64) memcpy(h->block, p + length / 64 * 64, length % 64);
}

void vc_store_le64(uint8_t out[8], uint64_t x) {
  for (unsigned i = 0; i < 8; i++) out[i] = (uint8_t)(x >> (8 * i));
}

static uint64_t load_le64(const uint8_t *p) {
  uint64_t x = 0;
  for (unsigned i = 8; i-- > 0;) x = x << 8 | p[i];
  return x;
}

void vc_hash_finish(vc_hash *h, uint8_t digest[32]) {
  const uint64_t bits = h->length * 8;
  uint8_t padding[72] = {0x80};
  size_t zeros = (119 - h->length % 64) % 64; /* the length's eight bytes end a block */
  for (unsigned i = 0; i < 8; i++) padding[1 + zeros + i] = (uint8_t)(bits >> (56 - 8 * i));
  vc_hash_update(h, padding, 9 + zeros);
  for (size_t i = 0; i < 32; i++) digest[i] = (uint8_t)(h->state[i / 4] >> (24 - i % 4 * 8));
}

static void absorb(vc_transcript *t, uint8_t kind, const char *label, const void *data, size_t length) {
  const size_t name = strlen(label);
  const uint8_t head[2] = {kind, (uint8_t)name};
  uint8_t size[8];
  vc_store_le64(size, length);
  vc_hash_update(&t->state, head, 2);
  vc_hash_update(&t->state, label, name);
  vc_hash_update(&t->state, size, 8);
  if (length) vc_hash_update(&t->state, data, length);
}

static void ratchet(vc_transcript *t) {
  vc_hash_begin(&t->state);
  vc_hash_update(&t->state, RATCHET, sizeof RATCHET);
  vc_hash_update(&t->state, t->seed, 32);
}

void vc_transcript_begin(vc_transcript *t, const uint8_t seed[32], const uint8_t *proof, size_t length) {
  memcpy(t->seed, seed, 32);
  t->proof = proof;
  t->length = length;
  t->position = 0;
  ratchet(t);
}

void vc_transcript_open(vc_transcript *t, const uint8_t *proof, size_t length) {
  memset(t->seed, 0, sizeof t->seed);
  t->proof = proof;
  t->length = length;
  t->position = 0;
  vc_hash_begin(&t->state);
}

void vc_transcript_feed(vc_transcript *t, const void *data, size_t length) {
  if (length) vc_hash_update(&t->state, data, length);
}

void vc_transcript_absorb_bytes(vc_transcript *t, const char *label, const void *data, size_t length) {
  absorb(t, BYTES, label, data, length);
}

void vc_transcript_absorb_ext(vc_transcript *t, const char *label, const uint8_t *data, size_t count) {
  absorb(t, EXT, label, data, 16 * count);
}

void vc_transcript_squeeze(vc_transcript *t, const char *label) {
  absorb(t, SQUEEZE, label, NULL, 0);
  vc_hash_finish(&t->state, t->seed);
  ratchet(t);
}

/* The words of the stream that the last squeeze gives. */
typedef struct {
  const uint8_t *seed;
  uint64_t counter;
  unsigned left;
  uint8_t block[32];
} stream;

static uint64_t next(stream *s) {
  if (s->left == 0) {
    uint8_t counter[8];
    vc_hash h;
    vc_store_le64(counter, s->counter++);
    vc_hash_begin(&h);
    vc_hash_update(&h, s->seed, 32);
    vc_hash_update(&h, counter, 8);
    vc_hash_finish(&h, s->block);
    s->left = 4;
  }
  return load_le64(s->block + 8 * (4 - s->left--));
}

void vc_transcript_challenges(vc_transcript *t, const char *label, uint64_t *out, size_t count) {
  vc_transcript_squeeze(t, label);
  stream s = {.seed = t->seed};
  for (size_t i = 0; i < 2 * count; i++) do
      out[i] = next(&s);
    while (out[i] >= VC_P);
}

void vc_transcript_challenge(vc_transcript *t, const char *label, uint64_t out[2]) {
  vc_transcript_challenges(t, label, out, 1);
}

void vc_transcript_positions(vc_transcript *t, const char *label, uint64_t *out, size_t count, uint32_t log_size) {
  vc_transcript_squeeze(t, label);
  stream s = {.seed = t->seed};
  for (size_t i = 0; i < count; i++) out[i] = next(&s) & ((UINT64_C(1) << log_size) - 1);
}

static int32_t receive(vc_transcript *t, uint8_t kind, const char *label, const uint8_t **data, size_t length) {
  if (length > t->length - t->position) return VC_TRUNCATED;
  *data = t->proof + t->position;
  t->position += length;
  absorb(t, kind, label, *data, length);
  return 0;
}

static int32_t words(vc_transcript *t, uint8_t kind, const char *label, uint64_t *out, size_t count) {
  const uint8_t *data;
  int32_t status = receive(t, kind, label, &data, 8 * count);
  if (status) return status;
  for (size_t i = 0; i < count; i++) {
    out[i] = load_le64(data + 8 * i);
    if (out[i] >= VC_P) return VC_NONCANONICAL;
  }
  return 0;
}

int32_t vc_transcript_bytes(vc_transcript *t, const char *label, size_t length) {
  const uint8_t *data;
  return receive(t, BYTES, label, &data, length);
}

int32_t vc_transcript_base(vc_transcript *t, const char *label, uint64_t *out, size_t count) {
  return words(t, BASE, label, out, count);
}

int32_t vc_transcript_ext(vc_transcript *t, const char *label, uint64_t *out, size_t count) {
  return words(t, EXT, label, out, 2 * count);
}

int32_t vc_transcript_digests(vc_transcript *t, const char *label, uint8_t *out, size_t count) {
  const uint8_t *data;
  int32_t status = receive(t, DIGESTS, label, &data, DIGEST * count);
  if (!status && count) memcpy(out, data, DIGEST * count);
  return status;
}

int32_t vc_transcript_grind(vc_transcript *t, const char *label, uint32_t bits) {
  const uint8_t *nonce;
  uint8_t digest[32];
  vc_hash h;
  if (bits == 0) return 0;
  vc_transcript_squeeze(t, label);
  int32_t status = receive(t, NONCE, label, &nonce, 8);
  if (status) return status;
  vc_hash_begin(&h);
  vc_hash_update(&h, t->seed, 32);
  vc_hash_update(&h, nonce, 8);
  vc_hash_finish(&h, digest);
  for (uint32_t i = 0; i < bits; i++)
    if (digest[i / 8] >> (7 - i % 8) & 1) return VC_GRINDING;
  return 0;
}
