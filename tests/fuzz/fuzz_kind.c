/* Any bytes as the head of a file that is no clip or no model: it is named, or not, by its bytes alone. */
#include "clip/clip.h"
#include "fuzz.h"
#include "model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_err err = {0};
    const char *foreign = eq_foreign_file(data, size);
    require(!foreign || foreign[0]);
    if (size > EQ_CLIP_HEAD)
        size = EQ_CLIP_HEAD;
    (void)eq_clip_fault_in(data, size);
    require(eq_clip_fail_kind("input", data, size, &err) == EQ_FORMAT && strncmp(err.msg, "input", 5) == 0);
    return 0;
}
