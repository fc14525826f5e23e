#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include "echoquant/base.h"

/* Appends what comes before and after the content of the page. */
void eq_page_begin(struct eq_str *out);
void eq_page_end(struct eq_str *out);
/* Appends bytes as base64, as data: URLs have them. */
void eq_page_base64(struct eq_str *out, const unsigned char *bytes, size_t n);

#endif
