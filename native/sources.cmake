# SPDX-License-Identifier: Apache-2.0
# The sources of the native core: portable files first, then one file for each instruction set. Each file
# that needs instruction-set flags gets them here and is entered only through the dispatch table.

add_library(vcompute_native STATIC
  native/src/version.c
  native/src/cpu.c
  native/src/arena.c
  native/src/freivalds.c
  native/src/requantize_rows.c
  native/src/witness.c
  native/src/integers_portable.c
  native/src/integers_avx2.c
  native/src/integers_avx512.c
  native/src/floor_search.c
  native/src/freivalds_portable.c
  native/src/freivalds_avx2.c
  native/src/freivalds_avx512vnni.c
  native/src/field.c
  native/src/field_portable.c
  native/src/field_avx2.c
  native/src/field_avx512.c
  native/src/field_avx512ifma.c
  native/src/sums.c
  native/src/sums_portable.c
  native/src/sums_avx2.c
  native/src/sums_avx512.c
  native/src/sums_avx512ifma.c
  native/src/tiles.c
  native/src/lanes.c
  native/src/gkr_levels.c
  native/src/gkr_tables.c
  native/src/gkr_grid.c
  native/src/gkr_layers.c
  native/src/gkr_moments.c
  native/src/gkr_nodes.c
  native/src/gkr_rounds.c
  native/src/moments.c
  native/src/moments_portable.c
  native/src/moments_avx2.c
  native/src/moments_avx512.c
  native/src/moments_avx512ifma.c
  native/src/contract.c
  native/src/blocks.c
  native/src/ntt.c
  native/src/sha256.c
  native/src/sha256_portable.c
  native/src/sha256_avx2.c
  native/src/sha256_avx512.c
  native/src/sha256_shani.c
  native/src/sha256_shani512.c
  native/src/sha256_armv8.c
  native/src/transcript.c
  native/src/opening.c
  native/src/program.c
  native/src/program_check.c
  native/src/dispatch.c
  native/src/pack.c
  native/src/linear.c
  native/src/depthwise.c
  native/src/elementwise.c
  native/src/pooling.c
  native/src/layout.c
  native/src/exponential.c
  native/src/plan.c
  native/src/matmul.c
  native/src/int8_portable.c
  native/src/int8_sse41.c
  native/src/int8_avx2.c
  native/src/int8_avxvnni.c
  native/src/int8_avx512vnni.c
  native/src/int8_neon.c
  native/src/int8_dotprod.c
  native/src/int8_i8mm.c
  native/src/int8_simd128.c
)
target_include_directories(vcompute_native PUBLIC native/include PRIVATE native/src)
set_target_properties(vcompute_native PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
if(MSVC)
  target_compile_options(vcompute_native PRIVATE /W3)
else()
  target_compile_options(vcompute_native PRIVATE -O3 -Wall -Wextra -fno-math-errno)
  if(VCOMPUTE_WERROR)
    target_compile_options(vcompute_native PRIVATE -Werror)
  endif()
endif()

# vc_isa(VC_HAVE_X "flags of GCC and Clang" "flags of MSVC" sources...): compile the sources with the flags and define
# VC_HAVE_X for the whole core, where the processor family has them and the compiler knows them.
include(CheckCCompilerFlag)
function(vc_isa define flags msvc_flags)
  if(MSVC)
    set(flags "${msvc_flags}")
  endif()
  string(REPLACE " " ";" list "${flags}")
  set(CMAKE_REQUIRED_FLAGS "${flags}")
  check_c_compiler_flag("" ${define})
  if(${define})
    target_compile_definitions(vcompute_native PRIVATE ${define})
    set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS ${list})
  elseif(VCOMPUTE_EVERY_ISA)
    message(FATAL_ERROR "vcompute: the compiler does not know ${flags}, for ${define}")
  endif()
endfunction()

string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" VC_PROCESSOR)
if(VC_PROCESSOR MATCHES "x86_64|amd64" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  vc_isa(VC_HAVE_SSE41 "-msse4.1" "" native/src/int8_sse41.c)
  vc_isa(VC_HAVE_AVXVNNI "-mavx2 -mavxvnni" "/arch:AVX2" native/src/int8_avxvnni.c)
  vc_isa(VC_HAVE_AVX2 "-mavx2" "/arch:AVX2" native/src/freivalds_avx2.c
         native/src/field_avx2.c native/src/sums_avx2.c native/src/moments_avx2.c native/src/integers_avx2.c native/src/sha256_avx2.c
         native/src/int8_avx2.c)
  vc_isa(VC_HAVE_AVX512 "-mavx512f -mavx512bw -mavx512dq -mavx512vl" "/arch:AVX512" native/src/field_avx512.c
         native/src/sums_avx512.c native/src/moments_avx512.c native/src/integers_avx512.c native/src/sha256_avx512.c)
  vc_isa(VC_HAVE_AVX512IFMA "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512ifma" "/arch:AVX512"
         native/src/field_avx512ifma.c native/src/sums_avx512ifma.c native/src/moments_avx512ifma.c)
  vc_isa(VC_HAVE_SHANI "-msse4.1 -msha" "" native/src/sha256_shani.c)
  vc_isa(VC_HAVE_SHANI512 "-mavx512f -mavx512bw -mavx512dq -mavx512vl -msha" "/arch:AVX512" native/src/sha256_shani512.c)
  vc_isa(VC_HAVE_AVX512VNNI "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni" "/arch:AVX512"
         native/src/freivalds_avx512vnni.c native/src/int8_avx512vnni.c)
elseif(VC_PROCESSOR MATCHES "aarch64|arm64" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  vc_isa(VC_HAVE_ARMSHA2 "-march=armv8-a+crypto" "" native/src/sha256_armv8.c)
  vc_isa(VC_HAVE_NEON "" "" native/src/int8_neon.c)
  vc_isa(VC_HAVE_DOTPROD "-march=armv8.2-a+dotprod" "" native/src/int8_dotprod.c)
  vc_isa(VC_HAVE_I8MM "-march=armv8.2-a+i8mm" "" native/src/int8_i8mm.c)
elseif(VC_PROCESSOR MATCHES "wasm")
  vc_isa(VC_HAVE_SIMD128 "-msimd128" "" native/src/int8_simd128.c)
endif()
