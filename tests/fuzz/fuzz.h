/* Shared by the fuzz targets. */
#ifndef ECHOQUANT_TESTS_FUZZ_H
#define ECHOQUANT_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise that any input must keep. */
#define require(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Takes the part of an input before the next line "====", or what is left; moves *data past it. */
static inline const uint8_t *fuzz_part(const uint8_t **data, size_t *size, size_t *n)
{
    static const char border[] = "\n====\n";
    const uint8_t *part = *data, *end = *size ? memmem(part, *size, border, sizeof border - 1) : NULL;
    *n = end ? (size_t)(end - part) : *size;
    size_t used = end ? *n + sizeof border - 1 : *n;
    *data += used;
    *size -= used;
    return part;
}

#endif
