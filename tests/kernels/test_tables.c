/* The tables are whole for every thread that asks for them first. */
#include "unit/cmocka_all.h"
#include "echoquant/kernels.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, PROCESSES = 500 };

static pthread_barrier_t start;

struct seen {
    struct eq_f32_table f32;
    struct eq_image_table image;
    struct eq_u8s8_table u8s8;
};

static void *look(void *arg)
{
    struct seen *s = arg;
    pthread_barrier_wait(&start);
    memcpy(&s->u8s8, eq_u8s8_kernels(), sizeof s->u8s8);
    memcpy(&s->image, eq_image_kernels(), sizeof s->image);
    memcpy(&s->f32, eq_f32_kernels(), sizeof s->f32);
    return NULL;
}

/* In a process of its own, since the first use comes once. */
static bool all_see_the_same(void)
{
    pthread_t threads[THREADS];
    struct seen seen[THREADS];
    bool same = true;
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, look, &seen[i]) != 0)
            return false;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        same = same && memcmp(&seen[i].f32, eq_f32_kernels(), sizeof seen[i].f32) == 0 &&
               memcmp(&seen[i].image, eq_image_kernels(), sizeof seen[i].image) == 0 &&
               memcmp(&seen[i].u8s8, eq_u8s8_kernels(), sizeof seen[i].u8s8) == 0;
    return same;
}

static void first_use_from_several_threads(void **state)
{
    (void)state;
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            _exit(all_see_the_same() ? 0 : 1);
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status != 0)
            fail_msg("process %d of %d ended with status %d", i + 1, PROCESSES, status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_use_from_several_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
