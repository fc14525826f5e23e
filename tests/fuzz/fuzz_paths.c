/* Any bytes as a list of paths: the lines come back as they are, without what ends them, or the list is refused by its
 * name. The first byte chooses what ends a line. */
#include "echoquant/infer.h"
#include "fuzz.h"

static enum eq_status read_bytes(struct eq_paths *list, const void *data, size_t size, char separator,
                                 struct eq_err *err)
{
    return eq_paths_read(list, data, size, "input", separator, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_paths list = {0}, again = {0};
    struct eq_err err = {0};
    struct eq_str text = {0};
    if (size < 2)
        return 0;
    char separator = data[0] % 2 ? '\n' : '\0';
    enum eq_status st = read_bytes(&list, data + 1, size - 1, separator, &err);
    if (st == EQ_OK) {
        require(list.n > 0);
        eq_str_add_bytes(&text, &separator, 1); /* a byte order mark is one at the start only */
        for (size_t i = 0; i < list.n; i++) {
            require(list.paths[i].path[0] && !list.paths[i].error);
            require(!separator || !strchr(list.paths[i].path, separator));
            eq_str_add_bytes(&text, list.paths[i].path, strlen(list.paths[i].path));
            eq_str_add_bytes(&text, separator ? "\r\n" : "", separator ? 2 : 1);
        }
        require(read_bytes(&again, text.s, text.len, separator, &err) == EQ_OK && again.n == list.n);
        for (size_t i = 0; i < list.n; i++)
            require(strcmp(again.paths[i].path, list.paths[i].path) == 0);
    } else {
        require(st == EQ_FORMAT && strncmp(err.msg, "input:", 6) == 0);
    }
    eq_paths_clear(&list);
    eq_paths_clear(&again);
    eq_str_clear(&text);
    return 0;
}
