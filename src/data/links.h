/* data-internal: links that lead out of the data folder. */
#ifndef ECHOQUANT_DATA_LINKS_H
#define ECHOQUANT_DATA_LINKS_H

#include "echoquant/base.h"

/* EQ_FORMAT, with the setting that allows it: path, when all links are followed, is not below real_dir (of realpath;
 * NULL: anything is allowed). folders: links on the way count, too; otherwise only the last part of path can be one. */
enum eq_status eq_links_check(const char *real_dir, const char *path, bool folders, struct eq_err *err);

#endif
