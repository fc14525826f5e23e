/*
 * Reads a Motion JPEG packet's markers (ITU-T T.81, annex B), to know without decoding whether it is a whole picture
 * that needs no other packet. The answer to anything unusual is no: the caller then decodes.
 */
#include "clip/clip.h"

#include <string.h>

enum { SOF0 = 0xC0, DHT = 0xC4, SOI = 0xD8, EOI = 0xD9, SOS = 0xDA, DQT = 0xDB, DRI = 0xDD, APP0 = 0xE0, COM = 0xFE };

/* The tables defined so far (bit i: table i) and the ones that the frame header uses. */
struct tables {
    unsigned quant, huff_dc, huff_ac;
    uint8_t first_quant[4]; /* of DC */
    const uint8_t *huff[2][2];
    int components;
    uint8_t id[3], quant_used[3];
    bool has_frame;
};

/* Each reads a segment's payload, which follows its length. */
static bool read_dqt(const uint8_t *p, size_t len, struct tables *t)
{
    while (len) {
        unsigned precision = p[0] >> 4, index = p[0] & 15;
        size_t bytes = 1 + 64;
        if (precision != 0 || index > 3 || len < bytes)
            return false;
        for (size_t i = 1; i < bytes; i++)
            if (p[i] == 0)
                return false;
        t->quant |= 1u << index;
        t->first_quant[index] = p[1];
        p += bytes;
        len -= bytes;
    }
    return true;
}

static bool read_dht(const uint8_t *p, size_t len, struct tables *t)
{
    while (len) {
        if (len < 17)
            return false;
        unsigned class = p[0] >> 4, index = p[0] & 15;
        size_t symbols = 0;
        unsigned codes = 0; /* used so far, in units of the current length */
        for (int bits = 1; bits <= 16; bits++) {
            codes = 2 * codes + p[bits];
            symbols += p[bits];
            if (codes > (1u << bits) - 1) /* the code of ones only is reserved */
                return false;
        }
        if (class > 1 || index > 3 || symbols == 0 || symbols > 256 || len < 17 + symbols)
            return false;
        for (size_t i = 0; class == 0 && i < symbols; i++)
            if (p[17 + i] > 15)
                return false;
        *(class ? &t->huff_ac : &t->huff_dc) |= 1u << index;
        if (index < 2)
            t->huff[class][index] = p + 1;
        p += 17 + symbols;
        len -= 17 + symbols;
    }
    return true;
}

static bool read_dri(const uint8_t *p, size_t len, struct eq_mjpeg_info *info)
{
    if (len != 2)
        return false;
    info->restart = p[0] << 8 | p[1];
    return true;
}

static bool read_sof(const uint8_t *p, size_t len, struct tables *t, struct eq_mjpeg_info *info)
{
    if (t->has_frame || len < 6 || p[0] != 8)
        return false;
    info->height = p[1] << 8 | p[2];
    info->width = p[3] << 8 | p[4];
    t->components = p[5];
    if (info->height == 0 || info->width == 0 || (t->components != 1 && t->components != 3) ||
        len != 6 + 3 * (size_t)t->components)
        return false;
    for (int c = 0; c < t->components; c++) {
        const uint8_t *component = p + 6 + 3 * c;
        unsigned h = component[1] >> 4, v = component[1] & 15;
        bool luma = t->components == 3 && c == 0;
        /* 4:4:4, 4:2:2 and 4:2:0, or one plane: the others are rare and FFmpeg knows only some of them. */
        if (h < 1 || h > (luma ? 2u : 1u) || v < 1 || v > (luma ? 2u : 1u) || (h == 1 && v == 2) || component[2] > 3)
            return false;
        t->id[c] = component[0];
        t->quant_used[c] = component[2];
        info->across[c] = (uint8_t)(t->components == 1 ? 1 : h); /* one plane has no interleaving */
        info->down[c] = (uint8_t)(t->components == 1 ? 1 : v);
        for (int other = 0; other < c; other++)
            if (t->id[other] == t->id[c])
                return false;
    }
    info->components = t->components;
    t->has_frame = true;
    return true;
}

static bool read_sos(const uint8_t *p, size_t len, const struct tables *t, struct eq_mjpeg_info *info)
{
    bool has_huffman = info->has_huffman;
    if (!t->has_frame || len != 4 + 2 * (size_t)t->components || p[0] != t->components)
        return false;
    for (int c = 0; c < t->components; c++) {
        unsigned dc = p[2 + 2 * c] >> 4, ac = p[2 + 2 * c] & 15;
        if (p[1 + 2 * c] != t->id[c] || dc > 1 || ac > 1 || !(t->quant >> t->quant_used[c] & 1))
            return false;
        if (has_huffman && (!(t->huff_dc >> dc & 1) || !(t->huff_ac >> ac & 1)))
            return false;
        info->dc_step[c] = t->first_quant[t->quant_used[c]];
        info->huffman[c][0] = has_huffman ? t->huff[0][dc] : NULL;
        info->huffman[c][1] = has_huffman ? t->huff[1][ac] : NULL;
        info->table[c][0] = (uint8_t)dc;
        info->table[c][1] = (uint8_t)ac;
    }
    const uint8_t *spectral = p + 1 + 2 * t->components;
    return spectral[0] == 0 && spectral[1] == 63 && spectral[2] == 0;
}

/* The entropy-coded data hold at least a byte, no markers but restarts, and end with EOI, followed by nothing but
 * padding zeros. */
static bool ends_with_eoi(const uint8_t *p, size_t len)
{
    while (len && p[len - 1] == 0)
        len--;
    if (len < 3 || p[len - 1] != EOI || p[len - 2] != 0xFF)
        return false;
    const uint8_t *end = p + len - 2;
    while ((p = memchr(p, 0xFF, (size_t)(end - p))) != NULL) {
        if (p[1] != 0x00 && (p[1] & 0xF8) != 0xD0)
            return false;
        p += 2;
        if (p >= end)
            break;
    }
    return true;
}

static void note_words(struct eq_mjpeg_info *info, const uint8_t *segment, size_t bytes)
{
    if (segment == info->words + info->words_len)
        info->words_len += bytes;
    else
        info->late_words = true;
}

bool eq_mjpeg_scan(const uint8_t *data, size_t len, struct eq_mjpeg_info *info)
{
    struct tables t = {0};
    *info = (struct eq_mjpeg_info){0};
    if (len < 4 || data[0] != 0xFF || data[1] != SOI)
        return false;
    size_t at = 2;
    info->words = data + at;
    while (len - at >= 4 && data[at] == 0xFF) {
        unsigned marker = data[at + 1];
        size_t bytes = (size_t)(data[at + 2] << 8 | data[at + 3]);
        if (bytes < 2 || bytes > len - at - 2)
            return false;
        const uint8_t *payload = data + at + 4;
        if (marker == APP0 || marker == COM)
            note_words(info, data + at, 2 + bytes);
        at += 2 + bytes;
        bytes -= 2;
        if (marker == SOS) {
            info->scan = data + at;
            info->scan_len = len - at;
            return read_sos(payload, bytes, &t, info) && ends_with_eoi(data + at, len - at);
        }
        bool ok = marker == DQT    ? read_dqt(payload, bytes, &t)
                  : marker == DHT  ? read_dht(payload, bytes, &t)
                  : marker == SOF0 ? read_sof(payload, bytes, &t, info)
                  : marker == DRI  ? read_dri(payload, bytes, info)
                                   : marker == APP0 || marker == COM;
        if (!ok)
            return false;
        info->has_huffman |= marker == DHT;
    }
    return false;
}
