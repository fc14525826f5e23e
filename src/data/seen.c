/* A hash table by open addressing, at most half full. */
#include "data/seen.h"

#include "echoquant/base.h"

#include <stdlib.h>

bool eq_seen_find(const struct eq_seen *s, uint64_t hash, eq_seen_fn is, const void *items, const void *key,
                  uint32_t *number)
{
    if (s->cap == 0)
        return false;
    for (size_t at = hash & (s->cap - 1); s->slots[at].number; at = (at + 1) & (s->cap - 1)) {
        if (s->slots[at].hash == hash && is(items, s->slots[at].number - 1, key)) {
            *number = s->slots[at].number - 1;
            return true;
        }
    }
    return false;
}

static void put(struct eq_seen *s, struct eq_seen_slot slot)
{
    size_t at = slot.hash & (s->cap - 1);
    while (s->slots[at].number)
        at = (at + 1) & (s->cap - 1);
    s->slots[at] = slot;
}

bool eq_seen_add(struct eq_seen *s, uint64_t hash, uint32_t number)
{
    if (2 * (s->n + 1) > s->cap) {
        struct eq_seen grown = {.cap = s->cap ? 2 * s->cap : 256, .n = s->n};
        grown.slots = eq_room(grown.cap, sizeof *grown.slots);
        if (!grown.slots)
            return false;
        for (size_t i = 0; i < s->cap; i++)
            if (s->slots[i].number)
                put(&grown, s->slots[i]);
        free(s->slots);
        *s = grown;
    }
    put(s, (struct eq_seen_slot){hash, number + 1});
    s->n++;
    return true;
}
