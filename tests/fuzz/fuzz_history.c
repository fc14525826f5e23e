/* Any bytes as history/<name>.csv: what is accepted is a whole table whose last epoch is one of its epochs, what is
 * refused names the line and leaves nothing behind. Its rows are counted. */
#include "fuzz.h"
#include "report/plots.h"

static void parse(const char *text, size_t size)
{
    struct eq_history h;
    struct eq_err err = {0};
    if (eq_history_parse("input", text, size, &h, &err) != EQ_OK) {
        require(err.status == EQ_FORMAT && strncmp(err.msg, "input:", 6) == 0 && !h.names && !h.values);
        return;
    }
    require(h.columns > 0 && strcmp(h.names[0], "epoch") == 0);
    double last = eq_history_last_epoch(&h);
    require(last >= 0 && last <= EQ_HISTORY_MAX_EPOCH);
    for (size_t i = 0; i < h.rows; i++)
        require(h.values[i * h.columns] >= 0);
    eq_history_clear(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    bool start;
    require(text != NULL);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    parse(text, size);
    size_t len = strlen(text);
    int rows = eq_history_rows(text, &start);
    require(rows >= 0 && (size_t)rows + start <= len);
    require(!start || strstr(text, "\n0,"));
    free(text);
    return 0;
}
