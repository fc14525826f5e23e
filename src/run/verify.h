/* run-internal: adding to a verification. */
#ifndef RUN_VERIFY_H
#define RUN_VERIFY_H

#include "echoquant/run.h"

void eq_verification_add(struct eq_verification *v, enum eq_verdict verdict, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
