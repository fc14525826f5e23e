/*
 * Goes through the entropy-coded data of a Motion JPEG picture (ITU-T T.81, annex F.2) without making pixels of it. A
 * decoder takes what it gets: after a wrong bit it still finds codes, only others, and shows a picture. But then the
 * data rarely end where the last block does, or a code is met that no table has, or a block has more than 64
 * coefficients, or a mean that no pixels have. These are looked for here.
 */
#include "clip/clip.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_BITS = 10, LOOK_SIZE = 1 << LOOK_BITS, TABLE_BYTES = 16 + 256, MAX_MEAN = 1024 };
/* A block that starts inside the data can't read further past their end than this. */
enum { PADDING = 64 * (16 + 16) / 8 + 16 };
/* What a symbol does to the number of the next coefficient: the end of the block is beyond all numbers. */
enum { END_OF_BLOCK = 0x80, BAD_SYMBOL = 0xC0 };

/* A Huffman table, decoded by the next LOOK_BITS bits; longer codes by their value. */
struct eq_mjpeg_table {
    uint8_t source[TABLE_BYTES]; /* what it was made of: 16 numbers of codes by length, then symbols */
    bool made;
    struct entry {
        uint8_t bits; /* of the code and the value after it; 0: a longer code, or none */
        uint8_t code; /* bits of the code alone */
        uint8_t size; /* bits of the value */
        uint8_t step; /* AC: coefficients to go on by */
    } look[LOOK_SIZE];
    int32_t last[18]; /* by length: the largest code, left-aligned to 16 bits, + 1 */
    int first[17];    /* by length: index of its first symbol, minus its first code */
};
struct eq_mjpeg_walker {
    struct eq_mjpeg_table tables[2][2]; /* DC and AC, 0 and 1 */
    uint8_t *bytes;                     /* the data without stuffing */
    size_t cap;
};

/* The tables of annex K.3, which pictures without any use. */
static const uint8_t standard[2][2][TABLE_BYTES] = {
    {{0x00, 0x01, 0x05, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B},
     {0x00, 0x03, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B}},
    {{0x00, 0x02, 0x01, 0x03, 0x03, 0x02, 0x04, 0x03, 0x05, 0x05, 0x04, 0x04, 0x00, 0x00, 0x01, 0x7D, 0x01, 0x02,
      0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14, 0x32,
      0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09,
      0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39,
      0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63,
      0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83, 0x84, 0x85,
      0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5,
      0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3, 0xC4, 0xC5,
      0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2, 0xE3, 0xE4,
      0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA},
     {0x00, 0x02, 0x01, 0x02, 0x04, 0x04, 0x03, 0x04, 0x07, 0x05, 0x04, 0x04, 0x00, 0x01, 0x02, 0x77, 0x00, 0x01,
      0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32, 0x81,
      0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0, 0x15, 0x62, 0x72, 0xD1, 0x0A, 0x16,
      0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x35, 0x36, 0x37, 0x38,
      0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A,
      0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x82, 0x83,
      0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3,
      0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3,
      0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE2, 0xE3,
      0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA}}};

static struct entry entry_of(int symbol, int code_bits, bool ac)
{
    int size = ac ? symbol & 15 : symbol, run = ac ? symbol >> 4 : 0;
    struct entry e = {(uint8_t)(code_bits + size), (uint8_t)code_bits, (uint8_t)size, (uint8_t)(run + 1)};
    if (ac && size == 0 && run < 15)
        e.step = run == 0 ? END_OF_BLOCK : BAD_SYMBOL; /* the runs of progressive pictures */
    else if (size > (ac ? 10 : 11))
        e.step = BAD_SYMBOL;
    return e;
}

static void make_table(struct eq_mjpeg_table *t, const uint8_t *source, bool ac)
{
    size_t n = 0;
    for (int i = 0; i < 16; i++)
        n += source[i];
    if (t->made && memcmp(t->source, source, 16 + n) == 0)
        return;
    memset(t, 0, sizeof *t);
    memcpy(t->source, source, 16 + n);
    t->made = true;
    int code = 0, index = 0;
    for (int bits = 1; bits <= 16; bits++) {
        t->first[bits] = index - code;
        for (int i = 0; i < source[bits - 1]; i++, code++, index++) {
            if (bits > LOOK_BITS)
                continue;
            struct entry e = entry_of(source[16 + index], bits, ac);
            for (int k = code << (LOOK_BITS - bits); k < (code + 1) << (LOOK_BITS - bits); k++)
                t->look[k] = e;
        }
        t->last[bits] = code << (16 - bits);
        code <<= 1;
    }
}

/* Bits of unstuffed bytes, the next ones at the top of `next`. Past the end come zeros. */
struct bits {
    const uint8_t *from; /* the first byte that is not wholly in `next` */
    uint64_t next;
    int have; /* valid bits of `next` */
    const uint8_t *bytes, *end;
};

/* At least 56 bits. */
static inline void fill(struct bits *b)
{
    uint64_t value;
    memcpy(&value, b->from, sizeof value);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    b->next |= value >> b->have;
    b->from += (63 - b->have) >> 3;
    b->have |= 56;
}

static inline void drop(struct bits *b, int n)
{
    b->next <<= n;
    b->have -= n;
}

static size_t place_of(const struct bits *b)
{
    return 8 * (size_t)(b->from - b->bytes) - (size_t)b->have;
}

/* Codes longer than LOOK_BITS. */
static struct entry long_code(const struct eq_mjpeg_table *t, uint64_t next, bool ac)
{
    int32_t code = (int32_t)(next >> 48);
    for (int length = LOOK_BITS + 1; length <= 16; length++)
        if (code < t->last[length])
            return entry_of(t->source[16 + t->first[length] + (code >> (16 - length))], length, ac);
    return (struct entry){0, 0, 0, BAD_SYMBOL};
}

static inline struct entry entry_at(const struct eq_mjpeg_table *t, uint64_t next, bool ac)
{
    struct entry e = t->look[next >> (64 - LOOK_BITS)];
    return e.bits ? e : long_code(t, next, ac);
}

/* One block of 64 coefficients. */
static bool walk_block(const struct eq_mjpeg_walker *w, struct bits *at, const uint8_t table[2], int step, int *mean)
{
    struct bits b = *at;
    fill(&b);
    struct entry dc = entry_at(&w->tables[0][table[0]], b.next, false);
    if (dc.step == BAD_SYMBOL)
        return false;
    if (dc.size) {
        int value = (int)(b.next << dc.code >> (64 - dc.size));
        *mean += value >> (dc.size - 1) ? value : value - (1 << dc.size) + 1;
        if (abs(*mean) * step > MAX_MEAN + step) /* the mean of 8 x 8 pixels, times 8 */
            return false;
    }
    drop(&b, dc.bits);
    const struct eq_mjpeg_table *ac = &w->tables[1][table[1]];
    unsigned k = 1;
    while (k < 64) { /* two symbols have at most 52 bits */
        fill(&b);
        struct entry e = entry_at(ac, b.next, true);
        drop(&b, e.bits);
        k += e.step;
        if (k >= 64)
            break;
        e = entry_at(ac, b.next, true);
        drop(&b, e.bits);
        k += e.step;
    }
    *at = b;
    return (k == 64 || (k >= END_OF_BLOCK && k < BAD_SYMBOL)) && place_of(&b) <= 8 * (size_t)(b.end - b.bytes);
}

/* What follows the last block up to the marker: the rest of a byte, all ones or all zeros; then perhaps padding. */
static bool is_padding(const struct bits *b)
{
    size_t at = place_of(b);
    unsigned rest = (8 - (at & 7)) & 7;
    if (rest) {
        unsigned bits = b->bytes[at >> 3] & ((1u << rest) - 1);
        if (bits != 0 && bits != (1u << rest) - 1)
            return false;
        at += rest;
    }
    for (const uint8_t *p = b->bytes + (at >> 3); p < b->end; p++)
        if (*p != 0 && *p != 0xFF)
            return false;
    return true;
}

/* Copies the data up to the next marker without stuffing; *end is where the marker is, or len. */
static size_t unstuff(const uint8_t *p, size_t len, uint8_t *to, size_t *end)
{
    size_t n = 0, at = 0;
    for (;;) {
        const uint8_t *ff = memchr(p + at, 0xFF, len - at);
        size_t plain = ff ? (size_t)(ff - (p + at)) : len - at;
        memcpy(to + n, p + at, plain);
        n += plain;
        at += plain;
        if (!ff || at + 1 >= len || p[at + 1] != 0) {
            *end = at;
            memset(to + n, 0, PADDING);
            return n;
        }
        to[n++] = 0xFF;
        at += 2;
    }
}

static bool reserve(struct eq_mjpeg_walker *w, size_t bytes)
{
    if (bytes <= w->cap)
        return true;
    uint8_t *grown = realloc(w->bytes, bytes + bytes / 4);
    if (!grown) {
        eq_memory_refused(SIZE_MAX);
        return false;
    }
    w->bytes = grown;
    w->cap = bytes + bytes / 4;
    return true;
}

/* The blocks of one interval between restart markers. */
static bool walk_interval(const struct eq_mjpeg_walker *w, const struct eq_mjpeg_info *info, struct bits *b, long units)
{
    int mean[3] = {0};
    for (long unit = 0; unit < units; unit++)
        for (int c = 0; c < info->components; c++)
            for (int k = info->across[c] * info->down[c]; k > 0; k--)
                if (!walk_block(w, b, info->table[c], info->dc_step[c], &mean[c]))
                    return false;
    return is_padding(b);
}

struct eq_mjpeg_walker *eq_mjpeg_walker_new(void)
{
    struct eq_mjpeg_walker *w = eq_small(NULL, sizeof *w);
    memset(w, 0, sizeof *w);
    return w;
}

void eq_mjpeg_walker_free(struct eq_mjpeg_walker *w)
{
    if (w)
        free(w->bytes);
    free(w);
}

bool eq_mjpeg_is_intact(struct eq_mjpeg_walker *w, const struct eq_mjpeg_info *info)
{
    int across = 8 * info->across[0], down = 8 * info->down[0];
    long units = (long)((info->width + across - 1) / across) * ((info->height + down - 1) / down);
    const uint8_t *p = info->scan;
    size_t left = info->scan_len;
    if (!reserve(w, left + PADDING))
        return true; /* not judged: eq_clip_settle ends the read */
    for (int c = 0; c < info->components; c++)
        for (int class = 0; class < 2; class ++) {
            int index = info->table[c][class];
            const uint8_t *source = info->huffman[c][class];
            make_table(&w->tables[class][index], source ? source : standard[class][index], class == 1);
        }
    for (int restart = 0; units > 0; restart++) {
        long now = info->restart && info->restart < units ? info->restart : units;
        size_t end = 0, n = unstuff(p, left, w->bytes, &end);
        struct bits b = {.from = w->bytes, .bytes = w->bytes, .end = w->bytes + n};
        if (!walk_interval(w, info, &b, now))
            return false;
        units -= now;
        p += end;
        left -= end;
        if (units > 0) {
            if (left < 2 || p[1] != 0xD0 + restart % 8)
                return false;
            p += 2;
            left -= 2;
        }
    }
    while (left > 2 && p[0] == 0xFF && p[1] == 0xFF) /* fill bytes */
        p++, left--;
    return left >= 2 && p[1] == 0xD9;
}
