/* Small DICOM files for tests: explicit VR, little endian, with made-up tags about a patient. */
#ifndef ECHOQUANT_TESTS_DICOM_FILE_H
#define ECHOQUANT_TESTS_DICOM_FILE_H

#include "echoquant/base.h"

#include <stdlib.h>
#include <string.h>

struct test_dicom {
    int width, height, frames;
    const char *modality;                                            /* NULL: "US" */
    const char *photometric;                                         /* NULL: "RGB" */
    int bits;                                                        /* 0: 8 */
    const char *frame_time, *frame_times, *cine_rate, *display_rate; /* NULL: not there */
    int region[4];                                                   /* x0, y0, x1, y1; all 0: no sequence */
    const uint8_t *pixels;                                           /* [frames][height][width][samples]; NULL: none */
    size_t bytes;
};

static inline void test_dicom_raw(struct eq_str *s, const void *bytes, size_t n)
{
    if (n)
        eq_str_add_bytes(s, bytes, n);
}

static inline void test_dicom_element(struct eq_str *s, unsigned group, unsigned element, const char *vr,
                                      const void *value, size_t n)
{
    bool long_form = strcmp(vr, "OB") == 0 || strcmp(vr, "OW") == 0 || strcmp(vr, "SQ") == 0;
    size_t padded = n + n % 2;
    uint8_t head[12] = {(uint8_t)group,          (uint8_t)(group >> 8), (uint8_t)element,
                        (uint8_t)(element >> 8), (uint8_t)vr[0],        (uint8_t)vr[1]};
    for (int i = 0; i < 4; i++)
        if (long_form || i < 2)
            head[(long_form ? 8 : 6) + i] = (uint8_t)(padded >> (8 * i));
    test_dicom_raw(s, head, long_form ? 12 : 8);
    test_dicom_raw(s, value, n);
    if (n % 2)
        test_dicom_raw(s, strcmp(vr, "UI") == 0 || long_form ? "\0" : " ", 1);
}

static inline void test_dicom_text(struct eq_str *s, unsigned group, unsigned element, const char *vr, const char *text)
{
    if (text)
        test_dicom_element(s, group, element, vr, text, strlen(text));
}

static inline void test_dicom_word(struct eq_str *s, unsigned group, unsigned element, int value)
{
    uint8_t two[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    test_dicom_element(s, group, element, "US", two, 2);
}

static inline void test_dicom_region(struct eq_str *s, const int *region)
{
    struct eq_str item = {0}, sequence = {0};
    test_dicom_word(&item, 0x18, 0x6012, 1);
    test_dicom_word(&item, 0x18, 0x6014, 1);
    for (unsigned i = 0; i < 4; i++) {
        uint8_t four[4] = {(uint8_t)region[i], (uint8_t)(region[i] >> 8), 0, 0};
        test_dicom_element(&item, 0x18, 0x6018 + 2 * i, "UL", four, 4);
    }
    uint8_t head[8] = {0xfe, 0xff, 0x00, 0xe0, (uint8_t)item.len, (uint8_t)(item.len >> 8), 0, 0};
    test_dicom_raw(&sequence, head, 8);
    test_dicom_raw(&sequence, item.s, item.len);
    test_dicom_element(s, 0x18, 0x6011, "SQ", sequence.s, sequence.len);
    eq_str_clear(&item);
    eq_str_clear(&sequence);
}

static inline void test_dicom_write(const char *path, const struct test_dicom *d)
{
    static const uint8_t preamble[128];
    struct eq_str s = {0}, meta = {0};
    char frames[16];
    bool color = !d->photometric || strncmp(d->photometric, "MONO", 4) != 0;
    test_dicom_text(&meta, 2, 0x02, "UI", "1.2.840.10008.5.1.4.1.1.3.1");
    test_dicom_text(&meta, 2, 0x03, "UI", "1.2.826.0.1.3680043.8.498.1");
    test_dicom_text(&meta, 2, 0x10, "UI", "1.2.840.10008.1.2.1");
    uint8_t len[4] = {(uint8_t)meta.len, (uint8_t)(meta.len >> 8), 0, 0};
    test_dicom_raw(&s, preamble, sizeof preamble);
    test_dicom_raw(&s, "DICM", 4);
    test_dicom_element(&s, 2, 0, "UL", len, 4);
    test_dicom_raw(&s, meta.s, meta.len);
    test_dicom_text(&s, 8, 0x16, "UI", d->modality ? "1.2.840.10008.5.1.4.1.1.7.4" : "1.2.840.10008.5.1.4.1.1.3.1");
    test_dicom_text(&s, 8, 0x20, "DA", "20230405");
    test_dicom_text(&s, 8, 0x60, "CS", d->modality ? d->modality : "US");
    test_dicom_text(&s, 8, 0x1030, "LO", "SECRET description");
    test_dicom_text(&s, 8, 0x2144, "IS", d->display_rate);
    test_dicom_text(&s, 0x10, 0x10, "PN", "SECRET^NAME");
    test_dicom_text(&s, 0x10, 0x20, "LO", "SECRET-ID-4711");
    test_dicom_text(&s, 0x10, 0x30, "DA", "19610203");
    test_dicom_text(&s, 0x18, 0x40, "IS", d->cine_rate);
    test_dicom_text(&s, 0x18, 0x1063, "DS", d->frame_time);
    test_dicom_text(&s, 0x18, 0x1065, "DS", d->frame_times);
    if (d->region[2])
        test_dicom_region(&s, d->region);
    test_dicom_word(&s, 0x28, 0x02, color ? 3 : 1);
    test_dicom_text(&s, 0x28, 0x04, "CS", d->photometric ? d->photometric : "RGB");
    if (color)
        test_dicom_word(&s, 0x28, 0x06, 0);
    snprintf(frames, sizeof frames, "%d", d->frames);
    test_dicom_text(&s, 0x28, 0x08, "IS", frames);
    test_dicom_word(&s, 0x28, 0x10, d->height);
    test_dicom_word(&s, 0x28, 0x11, d->width);
    test_dicom_word(&s, 0x28, 0x100, d->bits ? d->bits : 8);
    test_dicom_word(&s, 0x28, 0x101, d->bits ? d->bits : 8);
    test_dicom_word(&s, 0x28, 0x102, (d->bits ? d->bits : 8) - 1);
    test_dicom_word(&s, 0x28, 0x103, 0);
    if (d->pixels)
        test_dicom_element(&s, 0x7fe0, 0x10, "OB", d->pixels, d->bytes);
    struct eq_err err;
    if (eq_write_file(path, s.s, s.len, &err) != EQ_OK)
        abort();
    eq_str_clear(&s);
    eq_str_clear(&meta);
}

#endif
