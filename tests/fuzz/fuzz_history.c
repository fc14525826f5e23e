/* Any bytes as history/<name>.csv: its rows are counted. */
#include "fuzz.h"
#include "report/plots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    bool start;
    require(text != NULL);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    size_t len = strlen(text);
    int rows = eq_history_rows(text, &start);
    require(rows >= 0 && (size_t)rows + start <= len);
    require(!start || strstr(text, "\n0,"));
    free(text);
    return 0;
}
