/* SHA-256 of memory and files, by libavutil, and JSON files that carry their own. */
#include "data/dataset.h"

#include <cjson/cJSON.h>
#include <libavutil/sha.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct AVSHA *begin(void)
{
    struct AVSHA *sha = eq_list_grow(NULL, 0, (size_t)av_sha_size);
    av_sha_init(sha, 256);
    return sha;
}

static void finish(struct AVSHA *sha, char hex[EQ_SHA256_TEXT])
{
    uint8_t bytes[32];
    av_sha_final(sha, bytes);
    free(sha);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

void eq_sha256(const void *data, size_t len, char hex[EQ_SHA256_TEXT])
{
    struct AVSHA *sha = begin();
    const uint8_t *at = data;
    /* In pieces: FFmpeg 4 counts them in an unsigned int. */
    for (size_t n; len > 0; at += n, len -= n) {
        n = len < ((size_t)1 << 30) ? len : (size_t)1 << 30;
        av_sha_update(sha, at, (unsigned)n);
    }
    finish(sha, hex);
}

enum eq_status eq_sha256_file(const char *path, char hex[EQ_SHA256_TEXT], struct eq_err *err)
{
    enum { PIECE = 1 << 18, LISTEN_AFTER = 64 << 20 };
    enum eq_status st = EQ_OK;
    hex[0] = '\0';
    bool before = eq_interrupted(); /* what is noted while a command ends is read to its end */
    int fd;
    EQ_CHECK(eq_open_file(path, &fd, NULL, err));
    uint8_t *piece = eq_alloc(PIECE, 1);
    struct AVSHA *sha = begin();
    if (!piece)
        st = eq_fail(err, EQ_NOMEM, "out of memory for reading %s", path);
    uint64_t at = 0;
    for (size_t n = PIECE; st == EQ_OK && n == PIECE; at += n) {
        st = eq_read_at(fd, path, at, piece, PIECE, &n, err);
        if (st == EQ_OK && at > LISTEN_AFTER && !before && eq_interrupted())
            st = eq_fail(err, EQ_INTERRUPTED, "interrupted while reading %s", path);
        if (st == EQ_OK)
            av_sha_update(sha, piece, (unsigned)n);
    }
    finish(sha, hex);
    if (st != EQ_OK)
        hex[0] = '\0';
    eq_free(piece);
    close(fd);
    return st;
}

/* ---- sealed JSON ----------------------------------------------------------- */

#define SEAL "\"" EQ_SEAL_KEY "\": \""
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

/* The hexadecimal digits of the last seal in a text; NULL: there are none. */
static char *digits_of(char *text)
{
    char *last = NULL;
    for (char *at = text; (at = strstr(at, SEAL)) != NULL;)
        last = at += strlen(SEAL);
    return last && strspn(last, "0123456789abcdef") == strlen(ZEROS) ? last : NULL;
}

enum eq_status eq_sealed_write(const char *path, struct cJSON *json, struct eq_err *err)
{
    struct eq_str text = {0};
    char hex[EQ_SHA256_TEXT];
    cJSON_DeleteItemFromObjectCaseSensitive(json, EQ_SEAL_KEY);
    eq_json_add(json, EQ_SEAL_KEY, cJSON_CreateString(ZEROS));
    enum eq_status st = eq_json_print(&text, json, err);
    if (st != EQ_OK)
        return eq_err_context(err, "%s", path);
    char *digits = digits_of(text.s);
    if (digits) {
        eq_sha256(text.s, text.len, hex);
        memcpy(digits, hex, strlen(ZEROS));
    }
    st = eq_write_file(path, text.s, text.len, err);
    eq_str_clear(&text);
    return st;
}

enum eq_seal eq_seal_of(char *text, size_t len)
{
    char hex[EQ_SHA256_TEXT], now[EQ_SHA256_TEXT];
    char *digits = strlen(text) == len ? digits_of(text) : NULL;
    if (!digits)
        return EQ_SEAL_NONE;
    snprintf(hex, sizeof hex, "%.*s", (int)strlen(ZEROS), digits);
    memcpy(digits, ZEROS, strlen(ZEROS));
    eq_sha256(text, len, now);
    return strcmp(hex, now) == 0 ? EQ_SEAL_HOLDS : EQ_SEAL_BROKEN;
}

enum eq_status eq_seal_check(const char *path, enum eq_seal *seal, struct eq_err *err)
{
    void *text;
    size_t len;
    EQ_CHECK(eq_read_file(path, EQ_SEALED_MAX_BYTES, &text, &len, err));
    *seal = eq_seal_of(text, len);
    eq_free(text);
    return EQ_OK;
}
