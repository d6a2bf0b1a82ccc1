// What one pixel of diff is, and which of two shifts is the better one; CPU and CUDA share it.
#pragma once
#include "both.h"

// `golden_low` .. `test_high` are the least and the greatest value of either picture in the square around the pixel.
AISLE_BOTH uint8_t diff_judge(uint8_t golden, uint8_t test, uint8_t golden_low, uint8_t golden_high, uint8_t test_low,
                              uint8_t test_high, uint8_t band) {
    // Differences that saturate at 0, in bytes: written so that the compiler finds the instruction.
    const uint8_t below = (uint8_t)((golden_low > test ? golden_low : test) - test);
    const uint8_t missing = (uint8_t)((golden > test_high ? golden : test_high) - test_high);
    const uint8_t above = (uint8_t)((test > golden_high ? test : golden_high) - golden_high);
    const uint8_t filled = (uint8_t)((test_low > golden ? test_low : golden) - golden);
    const uint8_t darker = below > missing ? below : missing, lighter = above > filled ? above : filled;
    return (uint8_t)((darker > band ? 1 : 0) | (lighter > band ? 2 : 0));
}

// Whether the shift (down, right) with that sum goes before the best one so far.
AISLE_BOTH int diff_better(uint64_t sum, int32_t down, int32_t right, uint64_t best, int32_t best_down, int32_t best_right) {
    if (sum != best) return sum < best;
    const int32_t far = (down < 0 ? -down : down) + (right < 0 ? -right : right);
    const int32_t best_far = (best_down < 0 ? -best_down : best_down) + (best_right < 0 ? -best_right : best_right);
    if (far != best_far) return far < best_far;
    return down != best_down ? down < best_down : right < best_right;
}
