/* The binary tree in which a step's values are added, so that neither the number of processes nor their pace shows in
 * a sum. */
#include "base/fpu.h"
#include "echoquant/base.h"

#include <assert.h>

void eq_tree_begin(struct eq_tree *t, size_t leaves)
{
    assert(leaves >= 1 && leaves <= EQ_TREE_LEAVES);
    t->leaves = leaves;
    t->n = 0;
}

/* Whether a node of this level has no leaf: k is right of the last one. */
static bool is_empty(const struct eq_tree *t, int level, size_t k)
{
    return (k << level) >= t->leaves;
}

int eq_tree_push(struct eq_tree *t, int level, size_t k)
{
    int sums = 0;
    for (;;) {
        const struct eq_tree_node *left = t->n ? &t->open[t->n - 1] : NULL;
        if (k % 2 == 1 && left && left->level == level && left->k == k - 1) {
            t->n--;
            sums++;
        } else if (k == 0 && ((size_t)1 << level) >= t->leaves) {
            break; /* the root */
        } else if (k % 2 == 1 || !is_empty(t, level, k + 1)) {
            break;
        }
        level++;
        k /= 2;
    }
    assert(t->n < EQ_TREE_PARTS);
    t->open[t->n++] = (struct eq_tree_node){level, k};
    return sums;
}

void eq_tree_sum(double *x, size_t n)
{
    struct eq_tree t;
    eq_tree_begin(&t, n);
    for (size_t i = 0; i < n; i++) {
        double sum = x[i];
        int waiting = t.n, sums = eq_tree_push(&t, 0, i);
        for (int k = 1; k <= sums; k++)
            sum = x[waiting - k] + sum;
        x[t.n - 1] = sum;
    }
}

void eq_tree_add(float *to, const float *left, size_t n)
{
    uint64_t fpu = eq_fpu_flush_denormals();
    for (size_t i = 0; i < n; i++)
        to[i] = left[i] + to[i];
    eq_fpu_restore(fpu);
}
