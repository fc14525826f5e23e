/* A DICOM file where a clip is wanted: its sampled frames, decoded by their number. */
#include "clip/dicom.h"

#include <string.h>

enum eq_status eq_dicom_check_clip(const char *name, const struct eq_dicom_info *info, struct eq_err *err)
{
    if (!info->ultrasound)
        return eq_fail(err, EQ_FORMAT, "%s: a DICOM file, but not of ultrasound", name);
    if (info->frames == 0)
        return eq_fail(err, EQ_FORMAT, "%s: a DICOM file without pictures", name);
    if (info->frames == 1)
        return eq_fail(err, EQ_FORMAT, "%s: a DICOM file of one frame; an EF needs a clip", name);
    return EQ_OK;
}

static void describe(const struct eq_dicom_info *d, struct eq_clip_info *info)
{
    static const char *const codings[] = {"dicom", "dicom, rle", "dicom, jpeg", "dicom, jpegls", "dicom, jpeg2000"};
    *info = (struct eq_clip_info){.width = d->width,
                                  .height = d->height,
                                  .decoded_frames = d->frames,
                                  .header_frames = d->frames,
                                  .timed_frames = d->frames,
                                  .container = "DICOM",
                                  .fps = d->fps,
                                  .gray = true};
    snprintf(info->codec, sizeof info->codec, "%s", codings[d->coding]);
}

/* All slots, in the order of the frames; a slot that holds the frame before it is a copy. */
static enum eq_status fill_slots(struct eq_dicom_reader *r, struct eq_dicom_view *v, const struct eq_sampling *sampling,
                                 uint8_t *rgb, uint8_t *gray, uint8_t *dst, struct eq_err *err)
{
    size_t pixels = (size_t)sampling->size * (size_t)sampling->size;
    for (int slot = 0, before = -1; slot < eq_sampling_slots(sampling); slot++) {
        int frame = eq_dicom_frame_at(r->info, eq_sampling_index(sampling, slot, r->info->frames));
        if (frame != before) {
            EQ_CHECK(eq_dicom_reader_rgb(r, frame, rgb, err));
            EQ_CHECK(eq_dicom_view_apply(v, r->info, rgb, gray, err));
        }
        before = frame;
        uint8_t *out = dst + (size_t)eq_sampling_place(sampling, slot) * pixels * 3;
        for (size_t i = 0; i < pixels; i++, out += 3)
            out[0] = out[1] = out[2] = gray[i];
    }
    return EQ_OK;
}

enum eq_status eq_dicom_clip_read(const struct eq_clip_file *file, const struct eq_sampling *sampling, uint8_t *dst,
                                  struct eq_clip_info *info, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct eq_dicom_reader r = {0};
    struct eq_dicom_view v = {0};
    uint8_t *rgb = NULL, *gray = NULL;
    struct eq_dicom_limits limits = {file->max_pixels ? file->max_pixels : EQ_CLIP_MAX_PIXELS,
                                     file->max_frames ? file->max_frames : EQ_CLIP_MAX_FRAMES};
    if (sampling)
        EQ_TRY(eq_sampling_check(sampling, err));
    EQ_TRY(eq_dicom_reader_open(&r, file->name, &limits, err));
    EQ_TRY(eq_dicom_check_clip(file->name, r.info, err));
    rgb = eq_alloc((size_t)r.info->width * (size_t)r.info->height, 3);
    gray = eq_alloc(sampling ? (size_t)sampling->size : 1, sampling ? (size_t)sampling->size : 1);
    if (!rgb || !gray)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: out of memory", file->name));
    if (sampling) {
        EQ_TRY(eq_dicom_view_open(&v, &r, EQ_CROP_CONE, true, sampling->size, err));
        EQ_TRY(fill_slots(&r, &v, sampling, rgb, gray, dst, err));
    } else {
        for (int i = 0; i < r.info->frames; i++)
            EQ_TRY(eq_dicom_reader_rgb(&r, i, rgb, err));
    }
    if (info)
        describe(r.info, info);
out:
    eq_dicom_view_clear(&v);
    eq_dicom_reader_close(&r);
    eq_free(rgb);
    eq_free(gray);
    return st;
}
