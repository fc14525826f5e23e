/* Any bytes as the note in a folder of synthetic or imported clips (synth.json): only one that says the same as what is
 * wanted is taken for it. */
#include "fuzz.h"
#include "make/folder.h"

#include <cjson/cJSON.h>

static const char wanted_text[] =
    "{\"format\":\"echoquant-synth-1\",\"seed\":7,\"size\":112,\"clips\":{\"TRAIN\":6,\"VAL\":2,\"TEST\":3},"
    "\"list\":[1,\"a\",null,true,1.5]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cJSON *wanted;
    struct eq_err err = {0};
    struct cJSON *found;
    bool same, back;
    if (!wanted)
        require(eq_json_parse(wanted_text, sizeof wanted_text - 1, "wanted", &wanted, &err) == EQ_OK);
    enum eq_status st = eq_folder_compare((const char *)data, size, "input", wanted, &same, &err);
    require(st == EQ_OK || (st == EQ_FORMAT && !same && strncmp(err.msg, "input:", 6) == 0));
    if (!same)
        return 0;
    require(eq_json_parse((const char *)data, size, "input", &found, &err) == EQ_OK);
    struct eq_str text = {0};
    require(eq_json_print(&text, found, &err) == EQ_OK);
    require(eq_folder_compare(text.s, text.len, "printed", wanted, &back, &err) == EQ_OK && back);
    eq_str_clear(&text);
    cJSON_Delete(found);
    return 0;
}
