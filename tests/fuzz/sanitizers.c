#include "fuzz.h"

/* A target may have options of its own. */
__attribute__((weak)) const char *__asan_default_options(void)
{
    return FUZZ_SANITIZER_OPTIONS;
}
