/* Any bytes as data.csv: what is accepted comes back the same when it is written out and read again, with the same
 * digest, and does not differ from itself; what is refused leaves nothing behind. */
#include "echoquant/data.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_dataset ds, again;
    struct eq_err err;
    struct eq_str text = {0}, changes = {0};
    char a[EQ_SHA256_TEXT], b[EQ_SHA256_TEXT];
    if (eq_manifest_parse("data.csv", data, size, &ds, &err) != EQ_OK) {
        require(err.status == EQ_FORMAT && strstr(err.msg, "data.csv") && ds.n == 0 && !ds.samples);
        return 0;
    }
    eq_dataset_manifest(&ds, &text);
    require(eq_manifest_parse("again", text.s, text.len, &again, &err) == EQ_OK && again.n == ds.n);
    eq_dataset_digest(&ds, a);
    eq_dataset_digest(&again, b);
    require(strcmp(a, b) == 0);
    eq_dataset_changes(&ds, &again, &changes);
    require(changes.len == 0);
    eq_str_clear(&changes);
    eq_str_clear(&text);
    eq_dataset_clear(&again);
    eq_dataset_clear(&ds);
    return 0;
}
