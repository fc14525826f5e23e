/*
 * Any bytes as the clips of a cache of the check, between a first line and a hash that are right: what is accepted is
 * sorted and comes back the same when it is printed and read again. The same bytes as a whole file are refused unless
 * their hash is right.
 */
#include "data/check.h"
#include "fuzz.h"

#include <inttypes.h>

static void check_round_trip(struct eq_cached_clip *clips, size_t n)
{
    struct eq_str text = {0};
    struct eq_cached_clip *again;
    size_t n_again;
    for (size_t i = 0; i < n; i++) {
        require(clips[i].name[0] && clips[i].width > 0 && clips[i].height > 0 && clips[i].frames > 0);
        require(i == 0 || strcmp(clips[i - 1].name, clips[i].name) < 0);
        require(eq_check_cache_find(clips, n, clips[i].name) == &clips[i]);
    }
    eq_check_cache_print(clips, n, &text);
    require(eq_check_cache_parse(text.s, text.len, &again, &n_again) && n_again == n);
    for (size_t i = 0; i < n; i++)
        require(strcmp(again[i].name, clips[i].name) == 0 && eq_cached_clip_same_file(&again[i], &clips[i]) &&
                again[i].width == clips[i].width && again[i].height == clips[i].height &&
                again[i].frames == clips[i].frames && again[i].fps == clips[i].fps);
    free(again);
    eq_str_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_str empty = {0}, text = {0};
    struct eq_cached_clip *clips;
    size_t n;
    eq_check_cache_print(NULL, 0, &empty);
    eq_str_add_bytes(&text, empty.s, (size_t)(strchr(empty.s, '\n') + 1 - empty.s));
    eq_str_add_bytes(&text, data, size);
    eq_str_add(&text, "%016" PRIx64 "\n", eq_hash64(text.s, text.len));
    if (eq_check_cache_parse(text.s, text.len, &clips, &n))
        check_round_trip(clips, n);
    else
        require(!clips && n == 0);
    free(clips);
    if (eq_check_cache_parse((const char *)data, size, &clips, &n))
        check_round_trip(clips, n);
    free(clips);
    eq_str_clear(&empty);
    eq_str_clear(&text);
    return 0;
}
