/*
 * From a name in FileList.csv to a file. Lists are written on one machine and read on another: letter case, extension,
 * encoding and accents (macOS takes them apart) may differ. Each folder is listed once and kept sorted by caseless
 * name, so that a name costs a few binary searches and one stat.
 */
#include "data/clip_find.h"

#include "data/links.h"
#include "data/seen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct entry {
    char *name, *caseless;
};

struct folder {
    char *path;
    struct entry *entries; /* sorted by caseless name, then by name */
    size_t n;
    bool listed;           /* false: it may be searched but not listed, so that only exact names are found */
    struct eq_err outside; /* it is a link out of the data folder; its status is EQ_OK otherwise */
};

struct eq_clip_finder {
    const char *dir;
    char *real;              /* dir without links; NULL: links may lead anywhere */
    struct folder **folders; /* [n], each listed once */
    size_t n;
    struct eq_seen paths;         /* of folders */
    struct eq_err failed;         /* EQ_OK, or why a folder could not be listed though it may be whole */
    const struct folder *root[2]; /* dir and dir/Videos; NULL: there is none */
};

/* Length of name without its extension; the whole length unless the extension is listed, in any letter case. */
static size_t stem_length(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (dot && dot != name && dot[-1] != '/')
        for (size_t i = 0; eq_clip_extensions[i]; i++)
            if (strcasecmp(dot + 1, eq_clip_extensions[i]) == 0)
                return (size_t)(dot - name);
    return strlen(name);
}

/* ---- folders ------------------------------------------------------------- */

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = strcmp(x->caseless, y->caseless);
    return order ? order : strcmp(x->name, y->name);
}

static bool is_path(const void *items, uint32_t number, const void *key)
{
    struct folder *const *folders = items;
    return strcmp(folders[number]->path, key) == 0;
}

/* Takes path over. NULL: out of memory. */
static const struct folder *folder_at(struct eq_clip_finder *f, char *path)
{
    uint64_t hash = eq_hash64(path, strlen(path));
    uint32_t number;
    char **names = NULL;
    size_t n = 0;
    if (eq_seen_find(&f->paths, hash, is_path, f->folders, path, &number)) {
        free(path);
        return f->folders[number];
    }
    struct folder *folder = eq_list_grow(NULL, 0, sizeof *folder);
    folder->path = path;
    eq_links_check(f->real, path, true, &folder->outside);
    struct eq_err why = {0};
    folder->listed = eq_list_dir(path, &names, &n, &why) == EQ_OK;
    if (eq_err_is_of_system(&why) && f->failed.status == EQ_OK)
        f->failed = why;
    f->folders = eq_list_grow(f->folders, f->n, sizeof(struct folder *));
    f->folders[f->n++] = folder;
    folder->entries = eq_room(n + 1, sizeof *folder->entries);
    if (folder->entries && eq_seen_add(&f->paths, hash, (uint32_t)f->n - 1)) {
        for (; folder->n < n; folder->n++)
            folder->entries[folder->n] = (struct entry){eq_strdup(names[folder->n]), eq_caseless(names[folder->n])};
        qsort(folder->entries, n, sizeof *folder->entries, compare_entries);
    } else {
        folder = NULL;
    }
    eq_names_free(names, n);
    return folder;
}

/* The first of *n entries of that caseless name. */
static const struct entry *find_caseless(const struct folder *folder, const char *caseless, size_t *n)
{
    size_t lo = 0, hi = folder->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(folder->entries[mid].caseless, caseless) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (*n = 0; lo + *n < folder->n && strcmp(folder->entries[lo + *n].caseless, caseless) == 0;)
        ++*n;
    return folder->entries + lo;
}

/* A folder that cannot be looked up counts as one; what is wrong shows when its files are. */
static bool holds_dir(const struct folder *folder, const char *name)
{
    char *path = eq_path_join(folder->path, name);
    bool is, known = eq_dir_look(path, &is, NULL) == EQ_OK;
    free(path);
    return is || !known;
}

static const struct folder *known_folder(const struct eq_clip_finder *f, const struct folder *in, const char *name)
{
    uint32_t number;
    char *path = eq_path_join(in->path, name);
    bool known = eq_seen_find(&f->paths, eq_hash64(path, strlen(path)), is_path, f->folders, path, &number);
    free(path);
    return known ? f->folders[number] : NULL;
}

/* The folder `name` in `in`, in another letter case if there is none of exactly this name. NULL: there is none. */
static const struct folder *folder_in(struct eq_clip_finder *f, const struct folder *in, const char *name)
{
    const struct folder *known = known_folder(f, in, name);
    if (known || holds_dir(in, name))
        return known ? known : folder_at(f, eq_path_join(in->path, name));
    size_t n;
    char *caseless = eq_caseless(name);
    const struct entry *e = find_caseless(in, caseless, &n);
    free(caseless);
    for (size_t i = 0; i < n; i++)
        if (holds_dir(in, e[i].name))
            return folder_at(f, eq_path_join(in->path, e[i].name));
    return NULL;
}

/* The folder that holds the last part of name, a path below `in`. NULL: there is none. */
static const struct folder *folder_of(struct eq_clip_finder *f, const struct folder *in, const char *name)
{
    for (const char *slash; in && (slash = strchr(name, '/')) != NULL; name = slash + 1) {
        char *part = eq_format("%.*s", (int)(slash - name), name);
        if (part[0] && strcmp(part, ".") != 0)
            in = folder_in(f, in, part);
        free(part);
    }
    return in;
}

/* ---- files --------------------------------------------------------------- */

/* What fits a name so far. The first file is taken, unless a second one fits as well. */
struct search {
    const struct folder *in[2]; /* where to look; NULL: nowhere */
    char *path[2];              /* of the first two files */
    size_t n;
    const struct folder *of; /* of the first */
    struct stat info;        /* of the first */
    struct eq_err refused;   /* a file is there, but the system refuses it */
};

static void search_clear(struct search *s)
{
    free(s->path[0]);
    free(s->path[1]);
}

/* Enters the file `name` of a folder, if it is one. */
static void enter(struct search *s, const struct folder *folder, const char *name)
{
    struct stat info;
    char *path = eq_path_join(folder->path, name);
    bool there = stat(path, &info) == 0;
    if (!there && errno != ENOENT)
        eq_fail_errno(&s->refused, "%s", path);
    else if (!there && folder->listed)
        eq_fail(&s->refused, EQ_IO, "%s is a link to a file that does not exist", path);
    if (!there || !S_ISREG(info.st_mode) || s->n == 2) {
        free(path);
        return;
    }
    if (s->n == 0) {
        s->info = info;
        s->of = folder;
    }
    s->path[s->n++] = path;
}

/* The file of exactly this name in the first folder that has one. */
static bool exactly(struct search *s, const char *name)
{
    char *caseless = eq_caseless(name);
    for (size_t k = 0; k < 2 && s->n == 0; k++) {
        size_t n = 0;
        const struct entry *e = s->in[k] ? find_caseless(s->in[k], caseless, &n) : NULL;
        bool there = s->in[k] && !s->in[k]->listed;
        for (size_t i = 0; i < n; i++)
            there |= strcmp(e[i].name, name) == 0;
        if (there)
            enter(s, s->in[k], name);
    }
    free(caseless);
    return s->n > 0;
}

/* Files leaf.extension, in any letter case; any_case false: of the extension only. extension NULL: files leaf. */
static void spelt(struct search *s, const struct folder *folder, const char *leaf, const char *extension, bool any_case)
{
    size_t n, tail = extension ? strlen(extension) + 1 : 0;
    char *name = extension ? eq_format("%s.%s", leaf, extension) : eq_strdup(leaf), *caseless = eq_caseless(name);
    const struct entry *e = find_caseless(folder, caseless, &n);
    for (size_t i = 0; i < n; i++) {
        size_t stem = strlen(e[i].name) - tail;
        if (any_case || (stem == strlen(leaf) && strncmp(leaf, e[i].name, stem) == 0))
            enter(s, folder, e[i].name);
    }
    free(name);
    free(caseless);
}

/* The first folder decides; avi comes before all other extensions, which are alike. */
static bool with_extension(struct search *s, const char *leaf, bool any_case)
{
    for (size_t k = 0; k < 2 && s->n == 0; k++)
        if (s->in[k])
            spelt(s, s->in[k], leaf, eq_clip_extensions[0], any_case);
    for (size_t k = 0; k < 2 && s->n == 0; k++)
        for (size_t i = 1; s->in[k] && eq_clip_extensions[i]; i++)
            spelt(s, s->in[k], leaf, eq_clip_extensions[i], any_case);
    return s->n > 0;
}

static bool in_any_case(struct search *s, const char *leaf)
{
    for (size_t k = 0; k < 2 && s->n == 0; k++)
        if (s->in[k])
            spelt(s, s->in[k], leaf, NULL, true);
    return s->n > 0;
}

static const char *leaf_of(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

/* The order of preference. */
static bool search(struct search *s, struct eq_clip_finder *f, const char *name)
{
    const char *leaf = leaf_of(name);
    bool has_extension = stem_length(leaf) < strlen(leaf);
    for (size_t k = 0; k < 2; k++)
        s->in[k] = folder_of(f, f->root[k], name);
    char *avi = eq_format("%s.%s", leaf, eq_clip_extensions[0]);
    bool found = (has_extension && (exactly(s, leaf) || in_any_case(s, leaf))) || exactly(s, avi) || exactly(s, leaf) ||
                 with_extension(s, leaf, false) || with_extension(s, leaf, true) || in_any_case(s, leaf);
    free(avi);
    return found;
}

/* A clip of the same name with another extension than the list says, for the message; "" if there is none. */
static char *other_extension(const struct search *s, const char *name)
{
    struct search other = {.in = {s->in[0], s->in[1]}};
    const char *leaf = leaf_of(name);
    char *stem = eq_format("%.*s", (int)stem_length(leaf), leaf);
    char *hint = with_extension(&other, stem, true) ? eq_format(", only %s", leaf_of(other.path[0])) : eq_strdup("");
    free(stem);
    search_clear(&other);
    return hint;
}

static enum eq_status not_found(const struct search *s, const struct eq_clip_finder *f, const char *name,
                                struct eq_err *err)
{
    if (s->refused.status != EQ_OK)
        return *err = s->refused, err->status;
    bool has_extension = stem_length(name) < strlen(name);
    char *hint = has_extension ? other_extension(s, name) : eq_strdup("");
    eq_fail(err, EQ_IO, "no file %.200s%s in %.200s or its Videos folder%s", name, has_extension ? "" : ".avi", f->dir,
            hint);
    free(hint);
    return EQ_IO;
}

static enum eq_status check_links(const struct search *s, const struct eq_clip_finder *f, struct eq_err *err)
{
    const struct eq_err *outside = &s->of->outside;
    return outside->status != EQ_OK ? eq_fail(err, outside->status, "%s", outside->msg)
                                    : eq_links_check(f->real, s->path[0], false, err);
}

enum eq_status eq_clip_find(struct eq_clip_finder *f, const char *name, char **path, struct stat *info,
                            struct eq_err *err)
{
    struct search s = {.n = 0};
    enum eq_status st = EQ_OK;
    if (!search(&s, f, name) && strchr(name, '\\')) { /* a path of Windows */
        char *slashes = eq_strdup(name);
        for (char *c = slashes; (c = strchr(c, '\\')) != NULL;)
            *c = '/';
        search(&s, f, slashes);
        free(slashes);
    }
    *path = NULL;
    if (f->failed.status != EQ_OK) {
        *err = f->failed;
        st = err->status;
    } else if (s.n == 0) {
        st = not_found(&s, f, name, err);
    } else if (s.n > 1) {
        st = eq_fail(err, EQ_FORMAT, "FileName \"%.200s\" fits both %.200s and %.200s: write the whole name of one",
                     name, leaf_of(s.path[0]), leaf_of(s.path[1]));
    } else if ((st = check_links(&s, f, err)) == EQ_OK) {
        *path = s.path[0];
        *info = s.info;
        s.path[0] = NULL;
    }
    search_clear(&s);
    return st;
}

struct eq_clip_finder *eq_clip_finder_new(const char *dir, enum eq_links links)
{
    struct eq_clip_finder *f = eq_room(1, sizeof *f);
    if (!f)
        return NULL;
    f->dir = dir;
    eq_links_root(dir, links, &f->real, &f->failed); /* told by the first search */
    f->root[0] = folder_at(f, eq_strdup(dir));
    f->root[1] = f->root[0] ? folder_in(f, f->root[0], "Videos") : NULL;
    if (f->root[0])
        return f;
    eq_clip_finder_free(f);
    return NULL;
}

void eq_clip_finder_free(struct eq_clip_finder *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++) {
        for (size_t k = 0; k < f->folders[i]->n; k++) {
            free(f->folders[i]->entries[k].name);
            free(f->folders[i]->entries[k].caseless);
        }
        free(f->folders[i]->entries);
        free(f->folders[i]->path);
        free(f->folders[i]);
    }
    free(f->folders);
    free(f->real);
    free(f->paths.slots);
    free(f);
}
