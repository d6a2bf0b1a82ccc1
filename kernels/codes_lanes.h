// Sixteen lanes as four registers of the compiler's own vectors. Included by codes.h in a namespace.
typedef int32_t Four __attribute__((vector_size(16)));
struct Lanes { Four v[4]; };
static inline Lanes none() { return {}; }
static inline Lanes load(const void* p) { Lanes a; memcpy(&a, p, 64); return a; }
static inline void store(void* p, Lanes a) { memcpy(p, &a, 64); }
static inline Lanes every(uint32_t x) { const Four v = (int32_t)x - Four{}; return {{v, v, v, v}}; }
static inline Lanes least(Lanes a, Lanes b) { for (int i = 0; i < 4; i++) a.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i]; return a; }
static inline Lanes most(Lanes a, Lanes b) { for (int i = 0; i < 4; i++) a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i]; return a; }
static inline Lanes plus(Lanes a, Lanes b) { for (int i = 0; i < 4; i++) a.v[i] += b.v[i]; return a; }
static inline Lanes without_twice(Lanes term, Lanes sum) { for (int i = 0; i < 4; i++) term.v[i] -= sum.v[i] + sum.v[i]; return term; }
static inline bool any_above(Lanes a, int32_t bound) {
    const Lanes limit = every((uint32_t)bound);
    Four above = a.v[0] > limit.v[0];
    for (int i = 1; i < 4; i++) above |= a.v[i] > limit.v[i];
    return (above[0] | above[1] | above[2] | above[3]) != 0;
}
