/* data-internal: a hash table from keys to item numbers; the items and their keys stay with the caller. */
#ifndef ECHOQUANT_DATA_SEEN_H
#define ECHOQUANT_DATA_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct eq_seen_slot {
    uint64_t hash;
    uint32_t number; /* of the item, + 1; 0: free */
};
/* Init with {0}, free slots. */
struct eq_seen {
    struct eq_seen_slot *slots;
    size_t cap, n;
};
/* Whether item `number` has the key. */
typedef bool (*eq_seen_fn)(const void *items, uint32_t number, const void *key);
/* Sets *number to that of the first item with this hash and key; false: there is none. */
bool eq_seen_find(const struct eq_seen *s, uint64_t hash, eq_seen_fn is, const void *items, const void *key,
                  uint32_t *number);
/* False: out of memory. */
bool eq_seen_add(struct eq_seen *s, uint64_t hash, uint32_t number);

#endif
