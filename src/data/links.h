/* data-internal: links that lead out of the data folder. */
#ifndef ECHOQUANT_DATA_LINKS_H
#define ECHOQUANT_DATA_LINKS_H

#include "echoquant/data.h"

/* *real: for eq_links_check, dir without links; NULL if links may lead anywhere, or dir does not exist. free() it.
 * EQ_IO: it cannot be told. */
enum eq_status eq_links_root(const char *dir, enum eq_links links, char **real, struct eq_err *err);
/* EQ_FORMAT, with the setting that allows it: path, when all links are followed, is not below real_dir (of realpath;
 * NULL: anything is allowed). folders: links on the way count, too; otherwise only the last part of path can be one. */
enum eq_status eq_links_check(const char *real_dir, const char *path, bool folders, struct eq_err *err);

#endif
