/* Any bytes as a packet of Motion JPEG: what the look at its markers takes for a whole picture lies within the packet,
 * and its entropy-coded data are gone through, twice with the same answer. */
#include "clip/clip.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct eq_mjpeg_walker *walker;
    struct eq_mjpeg_info info = {0};
    if (!walker)
        require((walker = eq_mjpeg_walker_new()) != NULL);
    if (!eq_mjpeg_scan(data, size, &info))
        return 0;
    require(info.width > 0 && info.height > 0 && (info.components == 1 || info.components == 3));
    require(info.scan >= data && info.scan_len <= size && info.scan + info.scan_len <= data + size);
    for (int c = 0; c < info.components; c++)
        for (int k = 0; k < 2; k++)
            require(!info.huffman[c][k] || (info.huffman[c][k] > data && info.huffman[c][k] + 16 < data + size));
    if ((int64_t)info.width * info.height <= 1 << 16)
        require(eq_mjpeg_is_intact(walker, &info) == eq_mjpeg_is_intact(walker, &info));
    return 0;
}
