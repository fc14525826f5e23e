/* Whatever eq_st_parse accepts lies within the input and covers its data once; whatever it refuses leaves nothing
 * behind. */
#include "echoquant/model.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_st_file f;
    struct eq_err err = {0};
    if (eq_st_parse(data, size, "input", &f, &err) != EQ_OK) {
        if (f.tensors || f.n || f.n_meta || err.status != EQ_FORMAT || strncmp(err.msg, "input", 5) != 0)
            abort();
        return 0;
    }
    size_t total = 0;
    uint8_t sum = 0;
    for (size_t i = 0; i < f.n; i++) {
        const struct eq_tensor *t = &f.tensors[i].value;
        size_t n = eq_tensor_bytes(t);
        const uint8_t *bytes = t->data;
        if (bytes < data || n > size || bytes + n > data + size || eq_st_find(&f, f.tensors[i].name) != t)
            abort();
        for (size_t k = 0; k < n; k++)
            sum ^= bytes[k];
        total += n;
    }
    if (total > size)
        abort();
    for (size_t i = 0; i < f.n_meta; i++)
        if (eq_st_meta(&f, f.meta_keys[i]) != f.meta_values[i])
            abort();
    eq_st_clear(&f);
    return sum == 255 && total == 0; /* keeps the reads; never true */
}
