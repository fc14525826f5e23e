/* Names a file of another program that was given where a safetensors file is wanted. */
#include "model/safetensors.h"

#include <string.h>

/* The signature at an offset. */
struct mark {
    size_t at, len;
    const char *bytes, *what;
};

#define CONVERT "; convert it with scripts/torchvision_to_safetensors.py"
static const struct mark marks[] = {
    {0, 2, "\x80\x02", "a PyTorch checkpoint or other Python pickle" CONVERT},
    {0, 2, "\x80\x03", "a Python pickle, perhaps a PyTorch checkpoint" CONVERT},
    {0, 2, "\x80\x04", "a Python pickle, perhaps a PyTorch checkpoint" CONVERT},
    {0, 2, "\x80\x05", "a Python pickle, perhaps a PyTorch checkpoint" CONVERT},
    {0, 4, "\x89HDF", "an HDF5 file, as Keras writes it; load it there and save its weights as safetensors"},
    {4, 4, "TFL3", "a TensorFlow Lite model; this program has no reader for it"},
    {0, 4, "GGUF", "a GGUF file; this program has no reader for it"},
    {0, 6, "\x93NUMPY", "a NumPy array; save the weights as safetensors"},
    {0, 2, "\x1f\x8b", "a gzip archive; unpack it first"},
    {0, 6,
     "\xfd"
     "7zXZ",
     "an xz archive; unpack it first"},
    {0, 4, "RIFF", "an AVI or another RIFF file"},
    {0, 15, "version https:/", "a Git LFS pointer instead of the file; fetch it with `git lfs pull`"},
    {0, 5, "<?xml", "an XML file; OpenVINO's models consist of such a file and a .bin"},
    {0, 9, "<!DOCTYPE", "a web page; the download failed or needed a login"},
    {0, 9, "<!doctype", "a web page; the download failed or needed a login"},
    {0, 5, "<html", "a web page; the download failed or needed a login"},
    {0, 1, "{", "JSON text"},
};

static bool contains(const uint8_t *bytes, size_t len, const char *text)
{
    return memmem(bytes, len < 4096 ? len : 4096, text, strlen(text)) != NULL;
}

const char *eq_foreign_file(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    if (len >= 4 && memcmp(bytes, "PK\3\4", 4) == 0) {
        if (contains(bytes, len, "data.pkl"))
            return "a PyTorch checkpoint" CONVERT;
        if (contains(bytes, len, ".npy"))
            return "a NumPy archive; save the weights as safetensors";
        return "a zip archive; a PyTorch checkpoint in it is converted by scripts/torchvision_to_safetensors.py";
    }
    /* protobuf: field 1 (ir_version), a small number, then field 2 (producer_name) or field 7 (graph) */
    if (len >= 3 && bytes[0] == 0x08 && bytes[1] < 0x20 && (bytes[2] == 0x12 || bytes[2] == 0x3a))
        return "an ONNX model; the program writes ONNX and does not read it: give the checkpoint that it was made from";
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (len >= marks[i].at + marks[i].len && memcmp(bytes + marks[i].at, marks[i].bytes, marks[i].len) == 0)
            return marks[i].what;
    return NULL;
}
