/*
 * Any bytes as an entry of the store of sampled clips: what is accepted is, to the byte, what would be written for that
 * clip. The same bytes with a head that is right but for one bit are refused.
 */
#include "data/clip_store.h"
#include "fuzz.h"

enum { PIXELS = 4 * 4 };

static struct eq_clip_place place(void)
{
    struct eq_clip_place p = {.bytes = 1000, .inode = 77, .modified = 1700000000123456789, .changed = -1};
    memset(p.key, 'a', EQ_SHA256_TEXT - 1);
    return p;
}

/* The first bytes are planes of a clip, gray or with color: their entry is accepted, and no other one of them. */
static void check_own(const struct eq_clip_place *p, const uint8_t *data, size_t size)
{
    uint8_t head[EQ_ENTRY_HEAD], planes[3 * PIXELS] = {0};
    bool gray = size % 2 == 0, read;
    size_t len = gray ? PIXELS : 3 * PIXELS;
    memcpy(planes, data, size < len ? size : len);
    require(eq_entry_head(p, planes, PIXELS, gray, head));
    require(eq_entry_holds(p, head, planes, len, PIXELS, &read) && read == gray);
    require(!eq_entry_holds(p, head, planes, len - 1, PIXELS, &read));
    size_t at = size ? data[size - 1] % (EQ_ENTRY_HEAD + len) : 0;
    uint8_t *byte = at < EQ_ENTRY_HEAD ? &head[at] : &planes[at - EQ_ENTRY_HEAD];
    *byte ^= (uint8_t)(1 << size % 8);
    require(!eq_entry_holds(p, head, planes, len, PIXELS, &read));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct eq_clip_place p = place();
    bool gray;
    if (size > EQ_ENTRY_HEAD && eq_entry_holds(&p, data, data + EQ_ENTRY_HEAD, size - EQ_ENTRY_HEAD, PIXELS, &gray)) {
        uint8_t head[EQ_ENTRY_HEAD];
        require(size - EQ_ENTRY_HEAD == (gray ? PIXELS : 3 * PIXELS));
        require(eq_entry_head(&p, data + EQ_ENTRY_HEAD, PIXELS, gray, head));
        require(memcmp(head, data, EQ_ENTRY_HEAD) == 0);
    }
    check_own(&p, data, size);
    return 0;
}
