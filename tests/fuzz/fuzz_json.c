/* Whatever eq_json_parse accepts must come back the same after printing; whatever it refuses must be refused with a
 * place and leave nothing behind. */
#include "echoquant/base.h"
#include "fuzz.h"

#include <cjson/cJSON.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_err err = {0};
    cJSON *json, *again;
    if (eq_json_parse((const char *)data, size, "input", &json, &err) != EQ_OK) {
        if (json || err.status != EQ_FORMAT || strncmp(err.msg, "input:", 6) != 0)
            abort();
        return 0;
    }
    struct eq_str text = {0}, text_again = {0};
    eq_json_print(&text, json, NULL);
    if (eq_json_parse(text.s, text.len, "printed", &again, &err) != EQ_OK)
        abort();
    eq_json_print(&text_again, again, NULL);
    if (strcmp(text.s, text_again.s) != 0)
        abort();
    cJSON_Delete(json);
    cJSON_Delete(again);
    eq_str_clear(&text);
    eq_str_clear(&text_again);
    return 0;
}
