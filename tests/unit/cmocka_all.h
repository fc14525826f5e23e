/* cmocka, version 1 or 2, with the headers that it wants before it. */
#ifndef ECHOQUANT_TESTS_CMOCKA_ALL_H
#define ECHOQUANT_TESTS_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#ifndef assert_int_in_range /* cmocka 2 has it, and deprecates assert_in_range of version 1, which knows no sign */
#define assert_int_in_range(value, minimum, maximum) in_range(value, minimum, maximum, #value, __FILE__, __LINE__)

static inline void in_range(intmax_t value, intmax_t minimum, intmax_t maximum, const char *what, const char *file,
                            int line)
{
    if (value < minimum || value > maximum) {
        print_error("%s is %jd, not within %jd and %jd\n", what, value, minimum, maximum);
        _fail(file, line);
    }
}
#endif

#endif
