#include "clip/dicom.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A data set without a preamble begins with an element of group 2 or 8 in little endian, whose length is stated in one
 * of two ways: after two letters, or in 32 bits. */
static bool begins_data_set(const uint8_t *b)
{
    bool group = (b[0] == 2 || b[0] == 8) && b[1] == 0 && b[3] == 0;
    bool letters = b[4] >= 'A' && b[4] <= 'Z' && b[5] >= 'A' && b[5] <= 'Z';
    bool short_length = b[5] == 0 && b[6] == 0 && b[7] == 0 && b[4] % 2 == 0;
    return group && (letters || short_length);
}

enum eq_status eq_dicom_look(const char *path, bool *is, struct eq_err *err)
{
    uint8_t head[132];
    struct stat info;
    *is = false;
    if (stat(path, &info) != 0)
        return eq_fail_errno(err, "%s", path);
    if (!S_ISREG(info.st_mode)) /* opening a pipe would wait for its writer */
        return EQ_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return eq_fail_errno(err, "%s", path);
    ssize_t n = pread(fd, head, sizeof head, 0);
    int error = errno;
    close(fd);
    errno = error;
    if (n < 0)
        return eq_fail_errno(err, "%s: cannot be read", path);
    *is = (n == sizeof head && memcmp(head + 128, "DICM", 4) == 0) || (n >= 8 && begins_data_set(head));
    return EQ_OK;
}

bool eq_dicom_is(const char *path)
{
    bool is;
    return eq_dicom_look(path, &is, NULL) == EQ_OK && is;
}
