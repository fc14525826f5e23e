/* The files below a folder, to the bottom. */
#include "echoquant/base.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static enum eq_status tell(const FTSENT *e, eq_file_fn take, void *ctx, struct eq_err *err)
{
    errno = e->fts_errno;
    if (eq_fail_errno(err, "%s: cannot be read", e->fts_path) == EQ_NOMEM) /* no fault of the folder */
        return EQ_NOMEM;
    char *problem = eq_format("%s: cannot be read: %s", e->fts_path, strerror(e->fts_errno));
    enum eq_status st = take(ctx, e->fts_path, problem, err);
    free(problem);
    return st;
}

static enum eq_status walk(FTS *tree, const char *folder, eq_file_fn take, void *ctx, struct eq_err *err)
{
    FTSENT *e;
    while (errno = 0, e = fts_read(tree)) {
        if (eq_interrupted())
            return eq_fail(err, EQ_INTERRUPTED, "interrupted while looking through %s", folder);
        bool fails = e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS;
        if (fails && e->fts_level == 0)
            return errno = e->fts_errno, eq_fail_errno(err, "%s: cannot be read", folder);
        if (fails)
            EQ_CHECK(tell(e, take, ctx, err));
        else if (e->fts_level > 0 && e->fts_name[0] == '.')
            fts_set(tree, e, FTS_SKIP);
        else if (e->fts_info == FTS_F || e->fts_info == FTS_SLNONE || e->fts_info == FTS_DEFAULT)
            EQ_CHECK(take(ctx, e->fts_path, NULL, err));
    }
    return errno ? eq_fail_errno(err, "%s: cannot be read", folder) : EQ_OK;
}

enum eq_status eq_files_below(const char *folder, eq_file_fn take, void *ctx, struct eq_err *err)
{
    size_t len = strlen(folder);
    while (len > 1 && folder[len - 1] == '/')
        len--;
    char *root = eq_format("%.*s", (int)len, folder);
    FTS *tree;
    while (!(tree = fts_open((char *[]){root, NULL}, FTS_LOGICAL | FTS_NOCHDIR, by_name)) && eq_memory_again(BUFSIZ))
        ;
    enum eq_status st = tree ? walk(tree, root, take, ctx, err) : eq_fail_errno(err, "%s: cannot be read", root);
    if (tree)
        fts_close(tree);
    free(root);
    return st;
}
