/* Clips as a command line names them: files, folders, lists. */
#include "echoquant/infer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add(struct eq_paths *list, const char *path, char *error)
{
    list->paths = eq_list_grow(list->paths, list->n, sizeof *list->paths);
    list->paths[list->n++] = (struct eq_path){eq_strdup(path), error};
}

/* A link without a target, or a pipe, that is named like a clip shows as an error of its own. */
static enum eq_status add_clip(void *ctx, const char *path, const char *problem, struct eq_err *err)
{
    (void)err;
    if (problem)
        add(ctx, path, eq_strdup(problem));
    else if (eq_is_clip_file(path))
        add(ctx, path, NULL);
    return EQ_OK;
}

static enum eq_status add_folder(struct eq_paths *list, const char *folder, struct eq_err *err)
{
    size_t before = list->n, len = strlen(folder);
    while (len > 1 && folder[len - 1] == '/')
        len--;
    EQ_CHECK(eq_files_below(folder, add_clip, list, err));
    if (list->n > before)
        return EQ_OK;
    struct eq_str reason = {0};
    char *root = eq_format("%.*s", (int)len, folder);
    eq_str_add(&reason, "%s: the folder has no clips; their names end in", root);
    for (const char *const *e = eq_clip_extensions; *e; e++)
        eq_str_add(&reason, "%s .%s", e == eq_clip_extensions ? "" : e[1] ? "," : " or", *e);
    add(list, root, reason.s);
    free(root);
    return EQ_OK;
}

static enum eq_status add_entry(struct eq_paths *list, const char *path, struct eq_err *err)
{
    struct eq_err why;
    bool is_dir, known = eq_dir_look(path, &is_dir, &why) == EQ_OK;
    if (is_dir)
        return add_folder(list, path, err);
    add(list, path, known ? NULL : eq_strdup(why.msg));
    return EQ_OK;
}

enum eq_status eq_paths_read(struct eq_paths *list, const char *text, size_t len, const char *name, char separator,
                             struct eq_err *err)
{
    size_t before = list->n, at = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    for (size_t number = 1; at < len; number++) {
        const char *end = memchr(text + at, separator, len - at);
        size_t n = end ? (size_t)(end - text) - at : len - at, shown = n;
        if (separator == '\n' && n > 0 && text[at + n - 1] == '\r')
            shown--;
        if (memchr(text + at, '\0', n))
            return eq_fail(err, EQ_FORMAT, "%s:%zu: the line contains a NUL: use --null if a NUL ends each path", name,
                           number);
        if (shown > 0) {
            char *path = eq_format("%.*s", (int)shown, text + at);
            add(list, path, NULL);
            free(path);
        }
        at += n + 1;
    }
    return list->n > before ? EQ_OK
                            : eq_fail(err, EQ_FORMAT, "%s: the list is empty; it needs a path on each line", name);
}

/* The path that a line of text means: the line as it stands, if there is such a file; then without blanks around it.
 * NULL: the line is blank, or a comment. line is changed. */
static const char *path_of_line(char *line)
{
    if (eq_path_may_exist(line))
        return line;
    char *bare = line + strspn(line, " \t");
    size_t len = strlen(bare);
    while (len && strchr(" \t", bare[len - 1]))
        len--;
    if (len == 0)
        return NULL;
    char end = bare[len];
    bare[len] = '\0';
    if (eq_path_may_exist(bare))
        return bare;
    if (bare[0] == '#')
        return NULL;
    bare[len] = end;
    return line;
}

/* file: of the list; NULL: standard input. */
static enum eq_status add_list(struct eq_paths *list, const char *file, char separator, struct eq_err *err)
{
    struct eq_paths lines = {0};
    const char *name = file ? file : "stdin";
    size_t left_out = 0, added = 0, len;
    void *text;
    EQ_CHECK(eq_read_input(name, file ? -1 : STDIN_FILENO, EQ_PATHS_MAX_BYTES, &text, &len, err));
    enum eq_status st = eq_paths_read(&lines, text, len, name, separator, err);
    eq_free(text);
    for (size_t i = 0; i < lines.n && st == EQ_OK; i++) {
        char *line = lines.paths[i].path;
        const char *path = separator == '\n' ? path_of_line(line) : line;
        left_out += !path && strchr(line, '#');
        added += path != NULL;
        if (path)
            st = add_entry(list, path, err);
    }
    eq_paths_clear(&lines);
    if (st == EQ_OK && !added)
        st = eq_fail(err, EQ_FORMAT, "%s: the list is empty; it needs a path on each line", name);
    else if (left_out)
        eq_info("%s: %zu line%s that begin%s with # left out as comments", name, left_out, left_out == 1 ? "" : "s",
                left_out == 1 ? "s" : "");
    return st;
}

enum eq_status eq_paths_add(struct eq_paths *list, const char *argument, char separator, struct eq_err *err)
{
    if (strcmp(argument, "-") == 0)
        return add_list(list, NULL, separator, err);
    return argument[0] == '@' ? add_list(list, argument + 1, separator, err) : add_entry(list, argument, err);
}

void eq_paths_clear(struct eq_paths *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->paths[i].path);
        free(list->paths[i].error);
    }
    free(list->paths);
    *list = (struct eq_paths){0};
}
