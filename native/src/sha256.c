/* SPDX-License-Identifier: Apache-2.0 */
#include "sha256.h"

#include <string.h>

#include "cpu.h"
#include "vcompute.h"

const uint32_t vc_sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

const uint32_t vc_sha256_initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

const vc_sha256_kernel *vc_sha256(void) {
#if defined(VC_HAVE_SHANI)
  if (vc_cpu_has(VC_CPU_SHANI | VC_CPU_SSE41)) return &vc_sha256_shani;
#endif
#if defined(VC_HAVE_AVX512)
  if (vc_cpu_has(VC_CPU_AVX512)) return &vc_sha256_avx512;
#endif
#if defined(VC_HAVE_AVX2)
  if (vc_cpu_has(VC_CPU_AVX2)) return &vc_sha256_avx2;
#endif
#if defined(VC_HAVE_ARMSHA2)
  if (vc_cpu_has(VC_CPU_ARMSHA2)) return &vc_sha256_armv8;
#endif
  return &vc_sha256_portable;
}

/* Null: by vc_sha256's. */
static const vc_sha256_whole *whole_kernel(void) {
#if defined(VC_HAVE_SHANI512)
  if (vc_cpu_has(VC_CPU_SHANI | VC_CPU_SSE41 | VC_CPU_AVX512)) return &vc_sha256_shani512;
#endif
  return NULL;
}

#define DIGEST 27 /* bytes kept of a digest */
#define BLOCK 64
#define MANY 5 /* messages from which on eight at a time are faster than two */
#define GROUP VC_SHA256_MAX_LANES /* messages laid out at a time: a multiple of every kernel's lanes */

/* vc_sha256_kernel.digests of any kernel. */
static void digests_of(const vc_sha256_kernel *k, uint8_t *out, const uint8_t *const *whole, size_t count,
                       const uint8_t *const *tails, size_t tail) {
  const size_t lanes = k->lanes;
  uint32_t state[8 * VC_SHA256_MAX_LANES];
  for (size_t i = 0; i < 8; i++)
    for (size_t l = 0; l < lanes; l++) state[i * lanes + l] = vc_sha256_initial[i];
  if (count) k->compress(state, whole, count);
  k->compress(state, tails, tail);
  for (size_t i = 0; i < 8 * lanes; i++) { /* big-endian bytes on any machine */
    const uint32_t word = state[i];
    const uint8_t bytes[4] = {(uint8_t)(word >> 24), (uint8_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word};
    memcpy(state + i, bytes, sizeof bytes);
  }
  for (size_t l = 0; l < lanes; l++)
    for (size_t i = 0; i < 8; i++) memcpy(out + 32 * l + 4 * i, state + i * lanes + l, 4);
}

/* Hash `used` > 0 messages of a group, of which lanes first .. first + lanes are this call's; spare lanes repeat the last. */
static void hash_lanes(const vc_sha256_kernel *k, uint8_t *out, const uint8_t *messages, size_t length, size_t whole,
                       const uint8_t (*tails)[2 * BLOCK], size_t tail, size_t first, size_t used) {
  uint8_t digests[32 * VC_SHA256_MAX_LANES];
  const uint8_t *starts[VC_SHA256_MAX_LANES], *ends[VC_SHA256_MAX_LANES];
  for (size_t l = 0; l < k->lanes; l++) {
    const size_t i = first + l < used ? first + l : used - 1;
    starts[l] = messages + i * length;
    ends[l] = tails[i];
  }
  if (k->digests)
    k->digests(digests, starts, whole, ends, tail);
  else
    digests_of(k, digests, starts, whole, ends, tail);
  for (size_t l = 0; l < k->lanes && first + l < used; l++) memcpy(out + (first + l) * DIGEST, digests + 32 * l, DIGEST);
}

/* out (DIGEST bytes each) = the truncated digests of `count` messages of one length, one after another in memory, each after
 * an optional prefix byte (only with messages shorter than a block). Whole blocks are read in place; the rest of a message
 * goes into last blocks of its own, whose prefix and padding are written once. The last blocks of a group are written before
 * any of them is read, so that loads do not wait for stores. Inlined, so that sizes known to the caller are constants. */
static inline void hash_many(uint8_t *out, const uint8_t *messages, size_t length, int prefix, size_t count) {
  if (count >= MANY && whole_kernel()) {
    whole_kernel()->many(out, DIGEST, messages, length, prefix, count);
    return;
  }
  const vc_sha256_kernel *k = vc_sha256();
  const size_t offset = prefix >= 0, whole = length / BLOCK, rest = length % BLOCK;
  const size_t tail = offset + rest + 9 <= BLOCK ? 1 : 2; /* last blocks */
  const uint64_t bits = (uint64_t)(length + offset) * 8;
  uint8_t tails[GROUP][2 * BLOCK];
  for (size_t l = 0; l < GROUP; l++) {
    memset(tails[l], 0, sizeof tails[l]);
    if (prefix >= 0) tails[l][0] = (uint8_t)prefix;
    tails[l][offset + rest] = 0x80;
    for (unsigned i = 0; i < 8; i++) tails[l][tail * BLOCK - 1 - i] = (uint8_t)(bits >> (8 * i));
  }
  for (size_t first = 0; first < count; first += GROUP) {
    const size_t used = count - first < GROUP ? count - first : GROUP;
    const uint8_t *start = messages + first * length;
    for (size_t i = 0; i < used; i++) {
      if (rest % 8)
        memcpy(tails[i] + offset, start + i * length + whole * BLOCK, rest);
      else /* words: faster than a call */
        for (size_t at = 0; at < rest; at += 8) memcpy(tails[i] + offset + at, start + i * length + whole * BLOCK + at, 8);
    }
    for (size_t i = 0; i < used; i += k->lanes)
      hash_lanes(k, out + first * DIGEST, start, length, whole, tails, tail, i, used);
  }
}

void vc_hash_rows(uint8_t *out, const uint64_t *rows, size_t count, size_t width) {
  hash_many(out, (const uint8_t *)rows, width * sizeof *rows, -1, count);
}

void vc_hash_pairs(uint8_t *out, const uint8_t *nodes, size_t pairs) { hash_many(out, nodes, 2 * DIGEST, 1, pairs); }

void vc_hash_levels(uint8_t *nodes, size_t count) {
  for (; count > 1; nodes += DIGEST * count, count /= 2) vc_hash_pairs(nodes + DIGEST * count, nodes, count / 2);
}

uint64_t vc_grind(const uint8_t *seed, uint32_t bits) {
  if (whole_kernel()) return whole_kernel()->grind(seed, bits);
  const vc_sha256_kernel *k = vc_sha256();
  uint8_t blocks[VC_SHA256_MAX_LANES][BLOCK];
  const uint8_t *pointers[VC_SHA256_MAX_LANES];
  uint32_t state[8 * VC_SHA256_MAX_LANES], initial[8 * VC_SHA256_MAX_LANES];
  memset(blocks, 0, sizeof blocks);
  for (size_t i = 0; i < 8 * k->lanes; i++) initial[i] = vc_sha256_initial[i / k->lanes];
  for (size_t l = 0; l < k->lanes; l++) { /* 40 bytes: the seed and the nonce */
    memcpy(blocks[l], seed, 32);
    blocks[l][40] = 0x80;
    blocks[l][62] = 320 >> 8;
    blocks[l][63] = 320 & 255;
    pointers[l] = blocks[l];
  }
  for (uint64_t first = 0;; first += k->lanes) {
    for (size_t l = 0; l < k->lanes; l++)
      for (unsigned i = 0; i < 8; i++) blocks[l][32 + i] = (uint8_t)((first + l) >> (8 * i));
    memcpy(state, initial, sizeof state);
    k->compress(state, pointers, 1);
    for (size_t l = 0; l < k->lanes; l++) {
      uint64_t head = (uint64_t)state[l] << 32 | state[k->lanes + l];
      if (bits == 0 || head >> (64 - bits) == 0) return first + l;
    }
  }
}
