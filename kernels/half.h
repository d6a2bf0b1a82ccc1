// float16 where the CPU or the compiler has no type for it.
#pragma once
#include <string.h>
#include "both.h"

// The value of a half: its bits moved into a float's place, times 2^112, which normalises subnormal ones too.
AISLE_BOTH float from_half(uint16_t half) {
    const uint32_t bits = (uint32_t)(half & 0x7FFF) << 13, sign = (uint32_t)(half & 0x8000) << 16;
    float value;
    memcpy(&value, &bits, 4);
    value *= 0x1p112f;
    uint32_t whole;
    memcpy(&whole, &value, 4);
    if ((half & 0x7C00) == 0x7C00) whole = 0x7F800000u | (uint32_t)(half & 0x3FF) << 13;
    whole |= sign;
    memcpy(&value, &whole, 4);
    return value;
}
