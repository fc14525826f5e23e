/*
 * Any bytes as an entry of the cache of a device, with a hash that is right: what is accepted comes back the same when
 * it is printed. The same bytes as a whole file are refused unless their hash is right.
 */
#include "device/cache.h"
#include "fuzz.h"

#include <inttypes.h>

static const char key[] = "key\n";

static void check_entry(const void *data, size_t len)
{
    struct eq_device_entry e;
    size_t n;
    enum eq_device_entry_state state = eq_device_entry_parse(data, len, key, &e);
    if (state != EQ_ENTRY_GOOD) {
        require(!e.why && !e.program && !e.why_bytes && !e.program_bytes && e.check == EQ_DEVICE_UNCHECKED);
        return;
    }
    const char *first = data, *why = e.why, *program = e.program;
    require(why >= first && why + e.why_bytes == program && program + e.program_bytes + 17 == first + len);
    void *again = eq_device_entry_print(key, &e, &n);
    require(again && n == len && memcmp(again, data, len) == 0);
    eq_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_str text = {0};
    eq_str_add_bytes(&text, data, size);
    eq_str_add(&text, "%016" PRIx64 "\n", eq_hash64(size ? text.s : "", size));
    check_entry(text.s, text.len);
    check_entry(data, size);
    eq_str_clear(&text);
    return 0;
}
