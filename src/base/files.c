/* Paths, whole-file reads, directories. */
#include "echoquant/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A failed look that says for certain that nothing of that name is there. */
static bool says_absent(int error)
{
    return error == ENOENT || error == ENOTDIR;
}

static enum eq_status look(const char *path, struct stat *info, bool *there, struct eq_err *err)
{
    *there = stat(path, info) == 0;
    return *there || says_absent(errno) ? EQ_OK : eq_fail_errno(err, "%s: cannot be looked up", path);
}

enum eq_status eq_path_look(const char *path, bool *there, struct eq_err *err)
{
    struct stat info;
    return look(path, &info, there, err);
}

enum eq_status eq_dir_look(const char *path, bool *is_dir, struct eq_err *err)
{
    struct stat info;
    enum eq_status st = look(path, &info, is_dir, err);
    *is_dir = *is_dir && S_ISDIR(info.st_mode);
    return st;
}

bool eq_path_may_exist(const char *path)
{
    bool there;
    return eq_path_look(path, &there, NULL) != EQ_OK || there;
}

char *eq_path_join(const char *a, const char *b)
{
    size_t len = strlen(a);
    bool slash = len == 0 || a[len - 1] == '/' || b[0] == '\0';
    return eq_format("%s%s%s", a, slash ? "" : "/", b);
}

FILE *eq_fopen(const char *path, const char *mode)
{
    FILE *f;
    while (!(f = fopen(path, mode)) && eq_memory_again(BUFSIZ))
        ;
    return f;
}

DIR *eq_opendir(const char *path)
{
    DIR *d;
    while (!(d = opendir(path)) && eq_memory_again(4 * BUFSIZ))
        ;
    return d;
}

char *eq_real_path(const char *path)
{
    char *real;
    while (!(real = realpath(path, NULL)) && eq_memory_again(PATH_MAX))
        ;
    return real;
}

void eq_names_free(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

enum eq_status eq_list_dir(const char *path, char ***names, size_t *n, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    const struct dirent *entry;
    *names = NULL;
    *n = 0;
    DIR *d = eq_opendir(path);
    if (!d)
        return errno == ENOENT || errno == ENOTDIR ? EQ_OK : eq_fail_errno(err, "%s: cannot be listed", path);
    while (errno = 0, (entry = readdir(d)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        *names = eq_list_grow(*names, *n, sizeof **names);
        (*names)[(*n)++] = eq_strdup(entry->d_name);
    }
    if (errno) {
        st = eq_fail_errno(err, "%s: cannot be listed", path);
        eq_names_free(*names, *n);
        *names = NULL;
        *n = 0;
    }
    closedir(d);
    return st;
}

char *eq_nearest_folder(const char *path)
{
    size_t end = strlen(path), n = 0, n_folders = 0;
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    char *parent = eq_format("%.*s", (int)start, path), *name = eq_format("%.*s", (int)(end - start), path + start);
    char **names = NULL, *found = NULL;
    const char **folders = NULL;
    if (name[0] && eq_list_dir(start ? parent : ".", &names, &n, NULL) == EQ_OK)
        for (size_t i = 0; i < n; i++) {
            char *sibling = eq_path_join(parent, names[i]);
            bool is_dir;
            if (eq_dir_look(start ? sibling : names[i], &is_dir, NULL) == EQ_OK && is_dir) {
                folders = eq_list_grow(folders, n_folders, sizeof *folders);
                folders[n_folders++] = names[i];
            }
            free(sibling);
        }
    const char *near = eq_nearest(name, folders, n_folders);
    if (near)
        found = eq_format("%s%s", parent, near);
    free(folders);
    eq_names_free(names, n);
    free(name);
    free(parent);
    return found;
}

enum eq_status eq_make_dirs(const char *path, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    char *part = eq_strdup(path);
    for (char *p = part;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        *p = '\0';
        if (part[0] && mkdir(part, 0777) != 0 && errno != EEXIST) {
            st = eq_fail_errno(err, "%s: cannot create the folder", part);
            break;
        }
        *p = end;
        if (end == '\0')
            break;
    }
    free(part);
    bool is_dir = true;
    if (st == EQ_OK && path[0])
        st = eq_dir_look(path, &is_dir, err);
    return is_dir || st != EQ_OK ? st : eq_fail(err, EQ_IO, "%s: exists, but is not a folder", path);
}

enum eq_status eq_file_size(const char *path, uint64_t *bytes, struct eq_err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return eq_fail_errno(err, "%s: cannot read the size", path);
    *bytes = (uint64_t)st.st_size;
    return EQ_OK;
}

/* ---- reading ------------------------------------------------------------- */

/* Within this much a read is never given up: what a command reads while it ends in good order is less, or was begun
 * after the signal. */
enum { LISTEN_BYTES = 64 << 20, LISTEN_MS = 200 };

static enum eq_status too_large(const char *path, size_t cap, struct eq_err *err)
{
    return eq_fail(err, EQ_FORMAT, "%s: larger than the %zu bytes allowed for such a file", path, cap);
}

static enum eq_status interrupted_reading(const char *path, struct eq_err *err)
{
    return eq_fail(err, EQ_INTERRUPTED, "interrupted while reading %s", path);
}

enum eq_status eq_open_file(const char *path, int *fd, uint64_t *bytes, struct eq_err *err)
{
    struct stat info;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0 && errno == ENXIO) /* a socket */
        return eq_fail(err, EQ_IO, "%s: is a pipe, a socket, or a device, not a file", path);
    if (*fd < 0)
        return eq_fail_errno(err, "%s: cannot open", path);
    enum eq_status st = EQ_OK;
    if (fstat(*fd, &info) != 0)
        EQ_TRY(eq_fail_errno(err, "%s: cannot open", path));
    if (S_ISDIR(info.st_mode))
        EQ_TRY(eq_fail(err, EQ_IO, "%s: is a folder, not a file", path));
    if (!S_ISREG(info.st_mode))
        EQ_TRY(eq_fail(err, EQ_IO, "%s: is a pipe, a socket, or a device, not a file", path));
    if (bytes)
        *bytes = (uint64_t)info.st_size;
    return EQ_OK;
out:
    close(*fd);
    *fd = -1;
    return st;
}

enum eq_status eq_read_at(int fd, const char *path, uint64_t at, void *to, size_t n, size_t *got, struct eq_err *err)
{
    bool before = eq_interrupted();
    for (*got = 0; *got < n;) {
        size_t left = n - *got, piece = left < LISTEN_BYTES ? left : LISTEN_BYTES;
        ssize_t some = pread(fd, (char *)to + *got, piece, (off_t)(at + *got));
        if (some < 0 && errno == EINTR)
            continue;
        if (some < 0)
            return eq_fail_errno(err, "%s: cannot read", path);
        if (some == 0)
            break;
        *got += (size_t)some;
        if (n >= LISTEN_BYTES && !before && eq_interrupted())
            return interrupted_reading(path, err);
    }
    return EQ_OK;
}

enum eq_status eq_read_file(const char *path, size_t cap, void **data, size_t *len, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    uint64_t bytes;
    int fd;
    char *buffer = NULL;
    *data = NULL;
    *len = 0;
    EQ_CHECK(eq_open_file(path, &fd, &bytes, err));
    if (bytes > cap)
        EQ_TRY(too_large(path, cap, err));
    /* The size of a file in /proc is 0, and any other may grow meanwhile. */
    for (size_t room = (size_t)bytes < 4096 ? 4096 : (size_t)bytes + 1;;) {
        size_t some;
        char *grown = eq_alloc(room + 1, 1); /* one byte for the NUL */
        if (!grown)
            EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: no memory for its contents", path));
        if (*len)
            memcpy(grown, buffer, *len);
        eq_free(buffer);
        buffer = grown;
        EQ_TRY(eq_read_at(fd, path, *len, buffer + *len, room - *len, &some, err));
        *len += some;
        if (*len > cap)
            EQ_TRY(too_large(path, cap, err));
        if (*len < room)
            break;
        room *= 2;
    }
    buffer[*len] = '\0';
    *data = buffer;
    buffer = NULL;
out:
    eq_free(buffer);
    if (st != EQ_OK)
        *len = 0;
    close(fd);
    return st;
}

/* Waits for bytes or the end. A signal may come just before the poll: it is heard when that ends. */
static enum eq_status wait_for_input(int fd, const char *path, struct eq_err *err)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    do {
        if (eq_interrupted())
            return interrupted_reading(path, err);
    } while (poll(&ready, 1, LISTEN_MS) <= 0);
    return EQ_OK;
}

enum eq_status eq_read_input(const char *path, int fd, size_t cap, void **data, size_t *len, struct eq_err *err)
{
    enum eq_status st = EQ_OK;
    struct stat info;
    struct eq_str text = {0};
    char piece[65536];
    bool ours = fd < 0;
    *data = NULL;
    *len = 0;
    if (ours)
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) != 0)
        EQ_TRY(eq_fail_errno(err, "%s: cannot open", path));
    if (S_ISDIR(info.st_mode))
        EQ_TRY(eq_fail(err, EQ_IO, "%s: is a folder, not a file", path));
    for (ssize_t n = 1; n != 0;) {
        EQ_TRY(wait_for_input(fd, path, err));
        n = read(fd, piece, sizeof piece);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            EQ_TRY(eq_fail_errno(err, "%s: cannot read", path));
        if (n > 0)
            eq_str_add_bytes(&text, piece, (size_t)n);
        if (text.len > cap)
            EQ_TRY(too_large(path, cap, err));
    }
    *data = eq_alloc(text.len + 1, 1);
    if (!*data)
        EQ_TRY(eq_fail(err, EQ_NOMEM, "%s: no memory for its contents", path));
    if (text.len)
        memcpy(*data, text.s, text.len);
    *len = text.len;
out:
    eq_str_clear(&text);
    if (ours && fd >= 0)
        close(fd);
    return st;
}
