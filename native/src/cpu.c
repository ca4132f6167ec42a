/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu.h"

#include <stdlib.h>
#include <string.h>

#include "vcompute.h"

#if defined(VC_X86_64)
#if defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#elif defined(VC_AARCH64) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(VC_AARCH64) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

/* The cache below is one machine word that every racing thread sets to the same value. */
#if !defined(__STDC_NO_ATOMICS__) && !defined(_MSC_VER)
#include <stdatomic.h>
typedef atomic_uint vc_cached;
static uint32_t cached_load(vc_cached *p) { return atomic_load_explicit(p, memory_order_relaxed); }
static void cached_store(vc_cached *p, uint32_t v) { atomic_store_explicit(p, v, memory_order_relaxed); }
#else
typedef volatile uint32_t vc_cached;
static uint32_t cached_load(vc_cached *p) { return *p; }
static void cached_store(vc_cached *p, uint32_t v) { *p = v; }
#endif

#define KNOWN 0x80000000u   /* the cache holds a value */
#define BAD_NAME 0x40000000u /* VCOMPUTE_ISA holds a name that is no feature's */

#if defined(VC_X86_64)

static void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4]) {
#if defined(_MSC_VER)
  int v[4];
  __cpuidex(v, (int)leaf, (int)sub);
  for (int i = 0; i < 4; i++) r[i] = (uint32_t)v[i];
#else
  __cpuid_count(leaf, sub, r[0], r[1], r[2], r[3]);
#endif
}

/* XCR0: which register state the operating system saves. */
static uint64_t xcr0(void) {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t lo, hi;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return ((uint64_t)hi << 32) | lo;
#endif
}

#define BIT(word, n) (((word) >> (n)) & 1u)

static uint32_t detect(void) {
  uint32_t f = 0, r[4], l7[4] = {0, 0, 0, 0}, l71[4] = {0, 0, 0, 0};
  cpuid(0, 0, r);
  uint32_t top = r[0];
  cpuid(1, 0, r);
  uint32_t ecx = r[2];
  if (top >= 7) {
    cpuid(7, 0, l7);
    if (l7[0] >= 1) cpuid(7, 1, l71);
  }
  if (BIT(ecx, 9) && BIT(ecx, 19)) f |= VC_CPU_SSE41;
  if (BIT(l7[1], 8)) f |= VC_CPU_BMI2;
  if (BIT(l7[1], 29) && (f & VC_CPU_SSE41)) f |= VC_CPU_SHANI;
  uint64_t state = BIT(ecx, 27) ? xcr0() : 0;
  if ((state & 0x06) != 0x06 || !BIT(ecx, 28)) return f; /* XMM and YMM */
  if (BIT(l7[1], 5)) f |= VC_CPU_AVX2;
  if (BIT(l7[1], 5) && BIT(l71[0], 4)) f |= VC_CPU_AVXVNNI;
  if ((state & 0xe6) != 0xe6) return f; /* and the opmasks, the upper halves, the upper sixteen */
  if (BIT(l7[1], 16) && BIT(l7[1], 17) && BIT(l7[1], 30) && BIT(l7[1], 31)) {
    f |= VC_CPU_AVX512;
    if (BIT(l7[2], 11)) f |= VC_CPU_AVX512VNNI;
    if (BIT(l7[2], 1)) f |= VC_CPU_AVX512VBMI;
    if (BIT(l7[1], 21)) f |= VC_CPU_AVX512IFMA;
  }
  return f;
}

#elif defined(VC_AARCH64)

#if defined(__linux__)
#define HWCAP_BIT_SHA2 (1ul << 6)
#define HWCAP_BIT_ASIMDDP (1ul << 20)
#define HWCAP2_BIT_I8MM (1ul << 13)
static uint32_t detect(void) {
  uint32_t f = VC_CPU_NEON;
  unsigned long caps = getauxval(AT_HWCAP), caps2 = getauxval(AT_HWCAP2);
  if (caps & HWCAP_BIT_SHA2) f |= VC_CPU_ARMSHA2;
  if (caps & HWCAP_BIT_ASIMDDP) f |= VC_CPU_DOTPROD;
  if (caps2 & HWCAP2_BIT_I8MM) f |= VC_CPU_I8MM;
  return f;
}
#elif defined(__APPLE__)
static uint32_t sysctl_flag(const char *name, uint32_t feature) {
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, NULL, 0) == 0 && value != 0 ? feature : 0;
}
static uint32_t detect(void) {
  return VC_CPU_NEON | sysctl_flag("hw.optional.arm.FEAT_SHA256", VC_CPU_ARMSHA2) |
         sysctl_flag("hw.optional.arm.FEAT_DotProd", VC_CPU_DOTPROD) |
         sysctl_flag("hw.optional.arm.FEAT_I8MM", VC_CPU_I8MM);
}
#else
static uint32_t detect(void) { return VC_CPU_NEON; }
#endif

#elif defined(VC_WASM) && defined(__wasm_simd128__)
static uint32_t detect(void) { return VC_CPU_SIMD128; } /* a module with SIMD only loads where there is SIMD */
#else
static uint32_t detect(void) { return 0; }
#endif

static const struct {
  uint32_t bit;
  const char *name;
} FEATURES[] = {
#define VC_CPU_ROW(bit, name, text) {1u << (bit), text},
    VC_CPU_FEATURES(VC_CPU_ROW)
#undef VC_CPU_ROW
};
#define N_FEATURES (sizeof FEATURES / sizeof FEATURES[0])

/* The set named by a comma-separated list; names of no feature set BAD_NAME. */
static uint32_t parse(const char *list) {
  uint32_t set = 0;
  while (*list) {
    size_t n = strcspn(list, ",");
    uint32_t found = n == 0 || (n == 8 && memcmp(list, "portable", 8) == 0) ? KNOWN : 0;
    for (size_t i = 0; i < N_FEATURES; i++)
      if (strlen(FEATURES[i].name) == n && memcmp(FEATURES[i].name, list, n) == 0) found = FEATURES[i].bit;
    set |= found ? found & ~KNOWN : BAD_NAME;
    list += n + (list[n] == ',');
  }
  return set;
}

static uint32_t features_and_flags(void) {
  static vc_cached cache;
  uint32_t value = cached_load(&cache);
  if (value & KNOWN) return value;
  const char *list = getenv("VCOMPUTE_ISA");
  uint32_t allowed = list == NULL || *list == 0 ? ~(KNOWN | BAD_NAME) : parse(list);
  value = KNOWN | (allowed & BAD_NAME) | (allowed & detect());
  cached_store(&cache, value);
  return value;
}

uint32_t vc_cpu_features(void) { return features_and_flags() & ~(KNOWN | BAD_NAME); }

int32_t vc_cpu_override_ok(void) { return (features_and_flags() & BAD_NAME) == 0; }

const char *vc_cpu_feature_name(int32_t index) {
  return index >= 0 && (size_t)index < N_FEATURES ? FEATURES[index].name : NULL;
}

int32_t vc_cpu_feature_state(int32_t index) {
  if (index < 0 || (size_t)index >= N_FEATURES) return 0;
  uint32_t bit = FEATURES[index].bit;
  return ((detect() & bit) != 0) + ((vc_cpu_features() & bit) != 0);
}
