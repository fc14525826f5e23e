/*
 * Which kernels a test program checks, and what it says of them. The environment variable ECHOQUANT_KERNEL=TEXT leaves
 * only those whose name holds TEXT (a family, an operation, an algorithm, an ISA level, or a whole name). At its end a
 * program prints a line for each kernel and level that it checked, and one for each that this CPU lacks. It fails when
 * TEXT is in no name, or when it left out a convolution kernel that this CPU has. Needs no test framework.
 */
#ifndef TESTS_KERNELS_PICK_H
#define TESTS_KERNELS_PICK_H

#include "kernels/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct eq_conv_kernel *const every_kernel[] = {EQ_KERNELS(EQ_ADDRESS)};
enum { EVERY_KERNEL = sizeof every_kernel / sizeof *every_kernel, MAX_TALLIES = 128 };

static struct tally {
    char name[64];
    size_t checks;
    bool left_out; /* not checked although this CPU has it */
} tallies[MAX_TALLIES];
static int n_tallies;

static inline bool kernel_picked(void)
{
    return getenv("ECHOQUANT_KERNEL") != NULL;
}

static inline bool kernel_wanted(const char *name)
{
    const char *text = getenv("ECHOQUANT_KERNEL");
    return !text || strstr(name, text);
}

static inline struct tally *kernel_tally(const char *name)
{
    int i = 0;
    while (i < n_tallies && strcmp(tallies[i].name, name) != 0)
        i++;
    if (i == MAX_TALLIES)
        abort();
    if (i == n_tallies)
        snprintf(tallies[n_tallies++].name, sizeof tallies->name, "%s", name);
    return &tallies[i];
}

static inline void kernel_checked(const char *name)
{
    kernel_tally(name)->checks++;
}

/* Slots of a table have no name of their own: <slot>__<isa>. */
static inline const char *slot_name(const char *slot, enum eq_isa isa)
{
    static char name[64];
    snprintf(name, sizeof name, "%s__%s", slot, eq_isa_name(isa));
    return name;
}

/* Those that the text keeps of n kernels; the first, ref, stays in any case. */
static inline size_t kernels_wanted(const struct eq_conv_kernel **all, size_t n)
{
    size_t kept = 1;
    for (size_t i = 1; i < n; i++)
        if (kernel_wanted(all[i]->name))
            all[kept++] = all[i];
    return kept;
}

/* Of u8s8's kernels, those in Winograd's domain are a family of their own: they compute something else. */
static inline bool kernel_is_of(const char *name, const char *family)
{
    static const char domain[] = "u8s8_conv_domain";
    bool in_domain = strncmp(name, domain, sizeof domain - 1) == 0;
    return strncmp(name, family, strlen(family)) == 0 && in_domain == (strcmp(family, domain) == 0);
}

/* Adds the family's convolution kernels that nobody checked, ref aside; returns how many of those this CPU has. */
static inline int kernels_left_out(const char *family)
{
    int left_out = 0;
    for (int i = 0; i < EVERY_KERNEL; i++) {
        const struct eq_conv_kernel *k = every_kernel[i];
        if (kernel_is_of(k->name, family) && kernel_wanted(k->name) && !strstr(k->name, "__ref")) {
            struct tally *t = kernel_tally(k->name);
            t->left_out = !t->checks && eq_cpu_has(k->isa);
            left_out += t->left_out;
        }
    }
    return left_out;
}

/* For main to return: 0, or how much failed. family: how the names of the convolution kernels begin that all have to be
 * checked; NULL: of none. */
static inline int kernels_report(const char *family, int failed)
{
    failed += family ? kernels_left_out(family) : 0;
    for (int i = 0; i < n_tallies; i++) {
        const struct tally *t = &tallies[i];
        if (t->checks)
            printf("checked: %s, %zu times\n", t->name, t->checks);
        else
            printf("%s: %s\n", t->left_out ? "LEFT OUT" : "skipped: this CPU lacks", t->name);
    }
    if (kernel_picked() && n_tallies == 0) {
        printf("ECHOQUANT_KERNEL=%s is in no name of a kernel that this program checks\n", getenv("ECHOQUANT_KERNEL"));
        failed++;
    }
    return failed;
}

#endif
