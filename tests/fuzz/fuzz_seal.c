/* Any bytes as a sealed JSON file: a seal holds only with the digest of the text, and the one that is computed here
 * does. */
#include "data/dataset.h"
#include "fuzz.h"

static const char key[] = "\"" EQ_SEAL_KEY "\": \"";

static enum eq_seal seal_of(const char *text, size_t size)
{
    char *copy = malloc(size + 1);
    require(copy != NULL);
    if (size)
        memcpy(copy, text, size);
    copy[size] = '\0';
    enum eq_seal seal = eq_seal_of(copy, size);
    free(copy);
    return seal;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_str text = {0};
    char hex[EQ_SHA256_TEXT];
    (void)seal_of((const char *)data, size);
    if (size > 4096 || (size && (memchr(data, 0, size) || memmem(data, size, "\"seal", 5))))
        return 0;
    eq_str_add_bytes(&text, data, size);
    eq_str_add(&text, "%s%064d\"\n}\n", key, 0);
    eq_sha256(text.s, text.len, hex);
    memcpy(strstr(text.s + size, key) + strlen(key), hex, 64);
    require(seal_of(text.s, text.len) == EQ_SEAL_HOLDS);
    if (size) {
        text.s[size / 2] ^= 1;
        if (text.s[size / 2])
            require(seal_of(text.s, text.len) != EQ_SEAL_HOLDS);
    }
    eq_str_clear(&text);
    return 0;
}
