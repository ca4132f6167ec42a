# SPDX-License-Identifier: Apache-2.0
# The sources of the native core: portable files first, then one file for each instruction set. Each file
# that needs instruction-set flags gets them here and is entered only through the dispatch table.

add_library(vcompute_native STATIC
  native/src/version.c
  native/src/cpu.c
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
