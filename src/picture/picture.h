#ifndef PICTURE_PICTURE_H
#define PICTURE_PICTURE_H

#include "echoquant/picture.h"

/* Runs `gnuplot script...` in dir. EQ_UNSUPPORTED: gnuplot is not installed; EQ_IO: it fails, with its first
 * message. */
enum eq_status eq_gnuplot(const char *dir, const char *const *scripts, size_t n, struct eq_err *err);

#endif
