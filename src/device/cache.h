/* device-internal: what is kept of a device between commands. */
#ifndef ECHOQUANT_DEVICE_CACHE_H
#define ECHOQUANT_DEVICE_CACHE_H

#include "device/api.h"

/* An entry: the program as the driver built it, and what the self-check said. */
struct eq_device_entry {
    enum eq_device_check check;
    const char *why; /* of a self-check that failed, [why_bytes]; no NUL at its end */
    size_t why_bytes;
    const void *program; /* [program_bytes]; 0 bytes: the driver gave none */
    size_t program_bytes;
};
enum eq_device_entry_state { EQ_ENTRY_MISSING, EQ_ENTRY_GOOD, EQ_ENTRY_FOREIGN, EQ_ENTRY_DAMAGED };

/* Everything that a program and the result of a self-check depend on, as text: echoquant's version, the text of the
 * kernels, the PTX, defines, loader, device, driver. */
void eq_device_key(const struct eq_device_api *api, const struct eq_device_info *info, const char *defines,
                   struct eq_str *key);

/* The bytes of an entry; eq_free. NULL: out of memory. */
void *eq_device_entry_print(const char *key, const struct eq_device_entry *e, size_t *len);
/* Fills *e, which borrows data, if it is good. EQ_ENTRY_FOREIGN: whole, but of another key or version. */
enum eq_device_entry_state eq_device_entry_parse(const void *data, size_t len, const char *key,
                                                 struct eq_device_entry *e);

/* The entry of key in the user's cache. *data: what *e borrows; eq_free. *path: its file; free(). NULL: there is no
 * folder for a cache. A damaged file is said and otherwise as one that is not there. */
enum eq_device_entry_state eq_device_cache_read(const char *key, struct eq_device_entry *e, void **data, char **path);
/* A failure is one warning in a process and no more. */
void eq_device_cache_write(const char *path, const char *key, const struct eq_device_entry *e);

#endif
