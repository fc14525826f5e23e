/* Weights of 2 to 8 bits survive their packed form, and it is as small as promised. */
#include "unit/cmocka_all.h"
#include "echoquant/base.h"
#include "quant/qmodel.h"

#include <string.h>

static void every_width_round_trips(void **state)
{
    (void)state;
    struct eq_rng rng;
    eq_rng_init(&rng, 1, EQ_RNG_TEST, 0, 0);
    int8_t w[70], back[70];
    uint8_t packed[72];
    for (int bits = 2; bits <= 8; bits++)
        for (size_t n = 0; n <= 70; n++) {
            int qmax = (1 << (bits - 1)) - 1;
            size_t bytes = eq_packed_weight_bytes(n, bits);
            assert_int_equal(bytes, (n * (size_t)bits + 7) / 8);
            for (size_t i = 0; i < n; i++)
                w[i] = (int8_t)((int)eq_rng_below(&rng, 2 * (uint32_t)qmax + 1) - qmax);
            memset(packed, 0xa5, sizeof packed);
            memset(back, 0x5a, sizeof back);
            eq_pack_weights(w, n, bits, packed);
            for (size_t i = bytes; i < sizeof packed; i++)
                assert_int_equal(packed[i], 0xa5);
            eq_unpack_weights(packed, n, bits, back);
            assert_memory_equal(w, back, n);
            for (size_t i = n; i < sizeof back; i++)
                assert_int_equal(back[i], 0x5a);
        }
}

static void four_bits_are_two_a_byte(void **state)
{
    (void)state;
    const int8_t w[] = {-7, 7, 1, -1};
    uint8_t packed[2];
    eq_pack_weights(w, 4, 4, packed);
    assert_int_equal(packed[0], 0x79);
    assert_int_equal(packed[1], 0xf1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_width_round_trips),
                                       cmocka_unit_test(four_bits_are_two_a_byte)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
