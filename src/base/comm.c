/* What the processes of one run exchange and agree on, over a transport that only passes messages. */
#include "base/fpu.h"
#include "echoquant/base.h"

#include <string.h>

enum { ROOM = 8 << 20 }; /* bytes that a rank receives at once */

const struct eq_comm eq_comm_self = {.rank = 0, .size = 1};

enum eq_status eq_comm_init(struct eq_comm *c, int rank, int size, eq_exchange_fn exchange, void *ctx,
                            struct eq_err *err)
{
    *c = (struct eq_comm){.rank = rank, .size = size, .exchange = exchange, .ctx = ctx};
    if (size > EQ_TREE_LEAVES)
        return eq_fail(err, EQ_USAGE, "%d processes: at most %d can share a run", size, EQ_TREE_LEAVES);
    c->room = eq_alloc(1, ROOM);
    c->messages = eq_alloc(2 * (size_t)size * EQ_TREE_PARTS, sizeof *c->messages);
    if (c->room && c->messages)
        return EQ_OK;
    eq_comm_clear(c);
    return eq_fail(err, EQ_NOMEM, "out of memory to exchange data with %d processes", size);
}

void eq_comm_clear(struct eq_comm *c)
{
    eq_free(c->room);
    eq_free(c->messages);
    c->room = NULL;
    c->messages = NULL;
}

static _Thread_local const struct eq_comm *world;

const struct eq_comm *eq_comm_world(void)
{
    return world ? world : &eq_comm_self;
}

void eq_comm_join(const struct eq_comm *c)
{
    world = c;
}

static struct eq_message message(int rank, const void *data, size_t bytes)
{
    return (struct eq_message){rank, (void *)(uintptr_t)data, bytes};
}

size_t eq_comm_share(int rank, int size, size_t n, size_t *count)
{
    size_t first = n * (size_t)rank / (size_t)size;
    *count = n * ((size_t)rank + 1) / (size_t)size - first;
    return first;
}

enum eq_status eq_comm_fill(const struct eq_comm *c, void *all, size_t n, size_t bytes, struct eq_err *err)
{
    struct eq_message *out = c->messages, *in = out + c->size;
    size_t n_out = 0, n_in = 0, own, count, first = eq_comm_share(c->rank, c->size, n, &own);
    for (int rank = 0; rank < c->size; rank++) {
        size_t at = eq_comm_share(rank, c->size, n, &count);
        if (rank != c->rank && own)
            out[n_out++] = message(rank, (char *)all + first * bytes, own * bytes);
        if (rank != c->rank && count)
            in[n_in++] = message(rank, (char *)all + at * bytes, count * bytes);
    }
    return n_out + n_in ? c->exchange(c->ctx, out, n_out, in, n_in, err) : EQ_OK;
}

/* ---- sums ---------------------------------------------------------------- */

/* What each rank brings to a sum: the nodes that are left of its leaves. */
struct contribution {
    struct eq_tree_node nodes[EQ_TREE_PARTS];
    int n;
};

static struct contribution contribution_of(const struct eq_comm *c, int rank, size_t leaves)
{
    struct contribution out = {.n = 0};
    struct eq_tree t;
    size_t count, first = eq_comm_share(rank, c->size, leaves, &count);
    eq_tree_begin(&t, leaves);
    for (size_t i = first; i < first + count; i++)
        eq_tree_push(&t, 0, i);
    memcpy(out.nodes, t.open, sizeof out.nodes);
    out.n = t.n;
    return out;
}

static int parts_of_all(const struct eq_comm *c, size_t leaves)
{
    int n = 0;
    for (int rank = 0; rank < c->size; rank++)
        n += contribution_of(c, rank, leaves).n;
    return n;
}

static void add_into(float *restrict to, const float *restrict left, const float *restrict right, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = left[i] + right[i];
}

/* to may be either of the two others. */
static void add(float *to, const float *left, const float *right, size_t n)
{
    if (to == right)
        eq_tree_add(to, left, n);
    else if (to == left)
        eq_tree_add(to, right, n);
    else
        add_into(to, left, right, n);
}

/* A range of a vector: the piece that rank r adds up is [at(r), at(r + 1)). */
struct round {
    size_t lo, n;
};

static size_t piece_of(const struct eq_comm *c, const struct round *r, int rank, size_t *count)
{
    return r->lo + eq_comm_share(rank, c->size, r->n, count);
}

/* Sends everybody their piece of this rank's parts; the room gets the others' parts of this rank's piece, in order. */
static enum eq_status collect(const struct eq_comm *c, const struct round *r, size_t leaves, float *const *parts,
                              struct eq_err *err)
{
    struct eq_message *out = c->messages, *in = out + c->size * EQ_TREE_PARTS;
    size_t n_out = 0, n_in = 0, count, mine;
    float *room = c->room;
    int own = contribution_of(c, c->rank, leaves).n;
    piece_of(c, r, c->rank, &mine);
    for (int rank = 0; rank < c->size; rank++) {
        if (rank == c->rank)
            continue;
        size_t to = piece_of(c, r, rank, &count);
        int n = contribution_of(c, rank, leaves).n;
        for (int p = 0; p < own; p++)
            out[n_out++] = message(rank, parts[p] + to, count * sizeof(float));
        for (int p = 0; p < n; p++, room += mine)
            in[n_in++] = message(rank, room, mine * sizeof(float));
    }
    return c->exchange(c->ctx, out, n_out, in, n_in, err);
}

/* Adds up this rank's piece, n floats from `at` on: what collect brought, and the own parts, into the last of which it
 * goes. */
static void add_up(const struct eq_comm *c, size_t leaves, float *const *parts, size_t at, size_t n)
{
    struct eq_tree t;
    float *waiting[EQ_TREE_PARTS], *room = c->room;
    float *result = parts[contribution_of(c, c->rank, leaves).n - 1] + at;
    uint64_t fpu = eq_fpu_flush_denormals();
    eq_tree_begin(&t, leaves);
    for (int rank = 0; rank < c->size; rank++) {
        struct contribution its = contribution_of(c, rank, leaves);
        for (int p = 0; p < its.n; p++) {
            bool own = rank == c->rank, last = rank == c->size - 1 && p == its.n - 1;
            float *value = own ? parts[p] + at : room;
            int before = t.n, sums = eq_tree_push(&t, its.nodes[p].level, its.nodes[p].k);
            for (int k = 1; k <= sums; k++)
                add(last && k == sums ? result : value, waiting[before - k], value, n);
            waiting[t.n - 1] = value;
            room += own ? 0 : n;
        }
    }
    eq_fpu_restore(fpu);
}

/* Sends this rank's piece of the sum to everybody and receives the others. */
static enum eq_status spread(const struct eq_comm *c, const struct round *r, float *sum, struct eq_err *err)
{
    struct eq_message *out = c->messages, *in = out + c->size;
    size_t n = 0, count, mine, at = piece_of(c, r, c->rank, &mine);
    for (int rank = 0; rank < c->size; rank++) {
        size_t from = piece_of(c, r, rank, &count);
        if (rank == c->rank)
            continue;
        out[n] = message(rank, sum + at, mine * sizeof *sum);
        in[n++] = message(rank, sum + from, count * sizeof *sum);
    }
    return c->exchange(c->ctx, out, n, in, n, err);
}

enum eq_status eq_comm_sum(const struct eq_comm *c, size_t leaves, float *const *parts, size_t n, struct eq_err *err)
{
    if (c->size == 1)
        return EQ_OK;
    size_t all = (size_t)parts_of_all(c, leaves);
    size_t piece = ROOM / sizeof(float) / (all - 1); /* floats that a rank may add up at once: one part is its own */
    float *sum = parts[contribution_of(c, c->rank, leaves).n - 1];
    struct round r = {0};
    for (; r.lo < n; r.lo += r.n) {
        size_t mine, at, most = piece * (size_t)c->size;
        r.n = n - r.lo < most ? n - r.lo : most;
        EQ_CHECK(collect(c, &r, leaves, parts, err));
        at = piece_of(c, &r, c->rank, &mine);
        add_up(c, leaves, parts, at, mine);
        EQ_CHECK(spread(c, &r, sum, err));
    }
    return EQ_OK;
}

/* ---- agreement ----------------------------------------------------------- */

/* Whether the status `other` counts for more than `is`, of a lower rank. */
static bool is_worse(enum eq_status other, enum eq_status is)
{
    return is == EQ_OK ? other != EQ_OK : is == EQ_INTERRUPTED && other != EQ_OK && other != EQ_INTERRUPTED;
}

/* The texts follow only where somebody has one. */
enum eq_status eq_comm_agree_any(const struct eq_comm *c, enum eq_status mine, bool *any, struct eq_err *err)
{
    struct word {
        int32_t status, any;
    } *words = c->room;
    if (c->size == 1)
        return mine;
    words[c->rank] = (struct word){(int32_t)mine, *any};
    EQ_CHECK(eq_comm_fill(c, words, (size_t)c->size, sizeof *words, err));
    int worst = 0;
    for (int rank = 0; rank < c->size; rank++) {
        *any = *any || words[rank].any;
        if (is_worse((enum eq_status)words[rank].status, (enum eq_status)words[worst].status))
            worst = rank;
    }
    enum eq_status st = (enum eq_status)words[worst].status;
    if (st == EQ_OK)
        return EQ_OK;
    char(*texts)[sizeof err->msg] = c->room;
    memset(texts[c->rank], 0, sizeof *texts);
    if (mine != EQ_OK && err)
        memcpy(texts[c->rank], err->msg, sizeof *texts);
    EQ_CHECK(eq_comm_fill(c, texts, (size_t)c->size, sizeof *texts, err));
    return eq_fail(err, st, "rank %d: %s", worst, texts[worst]);
}

enum eq_status eq_comm_agree(const struct eq_comm *c, enum eq_status mine, struct eq_err *err)
{
    bool any = false;
    return eq_comm_agree_any(c, mine, &any, err);
}
