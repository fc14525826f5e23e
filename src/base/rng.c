/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011) and the
 * distributions drawn from it. Integers and uniforms are the same on every machine; normals depend on log and cos. */
#include "echoquant/base.h"
#include "base/normals.h"
#include "base/philox.h"

#include <string.h>
#include <unistd.h>

static void round_once(uint32_t ctr[4], const uint32_t key[2])
{
    uint64_t p0 = (uint64_t)0xD2511F53u * ctr[0];
    uint64_t p1 = (uint64_t)0xCD9E8D57u * ctr[2];
    uint32_t c1 = ctr[1], c3 = ctr[3];
    ctr[0] = (uint32_t)(p1 >> 32) ^ c1 ^ key[0];
    ctr[1] = (uint32_t)p1;
    ctr[2] = (uint32_t)(p0 >> 32) ^ c3 ^ key[1];
    ctr[3] = (uint32_t)p0;
}

void eq_philox4x32_10(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t k[2] = {key[0], key[1]};
    memcpy(out, ctr, 4 * sizeof *out);
    for (int i = 0; i < 10; i++) {
        round_once(out, k);
        k[0] += 0x9E3779B9u; /* Weyl sequence: golden ratio and sqrt(3) - 1 */
        k[1] += 0xBB67AE85u;
    }
}

/* The counter is {block, sample, epoch, purpose}: 2^34 numbers in each stream, and no stream overlaps another. */
void eq_rng_init(struct eq_rng *r, uint64_t seed, enum eq_rng_purpose purpose, uint32_t epoch, uint32_t sample)
{
    *r = (struct eq_rng){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .ctr = {0, sample, epoch, (uint32_t)purpose},
        .used = 4, /* no block made yet */
    };
}

uint32_t eq_rng_u32(struct eq_rng *r)
{
    if (r->used >= 4) {
        eq_philox4x32_10(r->ctr, r->key, r->block);
        r->ctr[0]++;
        r->used = 0;
    }
    return r->block[r->used++];
}

double eq_rng_uniform(struct eq_rng *r)
{
    uint64_t high = eq_rng_u32(r) >> 5, low = eq_rng_u32(r) >> 6;
    return (double)(high << 26 | low) * 0x1p-53;
}

double eq_rng_range(struct eq_rng *r, double lo, double hi)
{
    return lo + (hi - lo) * eq_rng_uniform(r);
}

/* Uses only the cosine half, so that every call consumes the same amount of the stream. */
double eq_rng_normal(struct eq_rng *r)
{
    double u = 1.0 - eq_rng_uniform(r); /* (0, 1]: log is finite */
    double v = eq_rng_uniform(r);
    return eq_normal_of(u, v);
}

/* Lemire, "Fast random integer generation in an interval", ACM TOMACS 2019. */
uint32_t eq_rng_below(struct eq_rng *r, uint32_t n)
{
    uint64_t m = (uint64_t)eq_rng_u32(r) * n;
    if ((uint32_t)m < n) {
        uint32_t reject_below = -n % n;
        while ((uint32_t)m < reject_below)
            m = (uint64_t)eq_rng_u32(r) * n;
    }
    return (uint32_t)(m >> 32);
}

void eq_rng_shuffle(struct eq_rng *r, uint32_t *index, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        uint32_t j = eq_rng_below(r, (uint32_t)i);
        uint32_t t = index[i - 1];
        index[i - 1] = index[j];
        index[j] = t;
    }
}

static uint64_t hash_on(uint64_t h, const void *data, size_t len)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static const uint64_t empty = 0xcbf29ce484222325u;

uint64_t eq_hash64(const void *data, size_t len)
{
    return hash_on(empty, data, len);
}

enum eq_status eq_hash64_file(const char *path, uint64_t *hash, struct eq_err *err)
{
    enum eq_status st;
    uint8_t piece[16384];
    uint64_t at = 0;
    int fd;
    EQ_CHECK(eq_open_file(path, &fd, NULL, err));
    *hash = empty;
    for (size_t n = sizeof piece; n == sizeof piece; at += n) {
        EQ_TRY(eq_read_at(fd, path, at, piece, sizeof piece, &n, err));
        *hash = hash_on(*hash, piece, n);
    }
out:
    close(fd);
    return st;
}
