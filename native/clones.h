#pragma once

/**
 * Before a function whose plain loops are worth compiling twice: for AVX2 and for any processor, chosen as the addon
 * loads. Whole numbers come out the same either way. What the function calls must be inlined to share in it.
 */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__)
#include <features.h>
#endif
#if defined(__GLIBC__) && !defined(__clang__) && defined(__x86_64__)
#define CAM_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CAM_CLONES
#endif

/** No other pointer of the function leads to the same memory. */
#if defined(_MSC_VER)
#define CAM_RESTRICT __restrict
#else
#define CAM_RESTRICT __restrict__
#endif
