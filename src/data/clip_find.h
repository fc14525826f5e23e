/* data-internal: the file that a name in FileList.csv stands for. */
#ifndef ECHOQUANT_DATA_CLIP_FIND_H
#define ECHOQUANT_DATA_CLIP_FIND_H

#include "echoquant/data.h"

#include <sys/stat.h>

/* Looks names up in a data folder and its Videos folder. Every folder is listed once. */
struct eq_clip_finder;
/* dir is borrowed. NULL: out of memory. */
struct eq_clip_finder *eq_clip_finder_new(const char *dir, enum eq_links links);
void eq_clip_finder_free(struct eq_clip_finder *f);
/* Sets *path (free() it) and *info to the file that name stands for. The file of exactly that name comes first, then
 * name.avi, then the name with another extension of the list, then other letter cases, accent forms and encodings of
 * the same. EQ_IO: there is none, or the system refuses it. EQ_FORMAT: several files fit equally well; the message
 * names two; or the file is a link out of the folder, or lies in one, and links are EQ_LINKS_INSIDE. */
enum eq_status eq_clip_find(struct eq_clip_finder *f, const char *name, char **path, struct stat *info,
                            struct eq_err *err);

#endif
