/* Shared by the fuzz targets. */
#ifndef ECHOQUANT_TESTS_FUZZ_H
#define ECHOQUANT_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Defaults of the sanitizers under a fuzzer: a stack for each allocation would take most of the time, and what was
 * freed is watched no longer than a processor's cache can hold it. To see where a block came from, run the input
 * once more with ASAN_OPTIONS=malloc_context_size=30:quarantine_size_mb=256. (With a size of 1, leaks are not told.) */
#define FUZZ_SANITIZER_OPTIONS                                                                                         \
    "malloc_context_size=2:quarantine_size_mb=2:thread_local_quarantine_size_kb=64:"                                   \
    "detect_stack_use_after_return=0:allocator_may_return_null=1"
const char *__asan_default_options(void);

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
