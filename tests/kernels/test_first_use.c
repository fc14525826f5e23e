/* The kernel tables are made on first use, which may be in several threads at once: none may see half of a table. Each
 * trial is a process of its own, in which nothing was used before. Half a table is rarely seen, and only on a busy
 * machine; in the build with ThreadSanitizer the test fails whenever the first use is not synchronized. */
#include "echoquant/kernels.h"
#include "unit/cmocka_all.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 6, TRIALS = 300 };

static pthread_barrier_t start;

/* NULL if every table that this thread sees is complete. The one that is asked for first makes all of them. */
static void *look(void *unused)
{
    (void)unused;
    pthread_barrier_wait(&start);
    const struct eq_u8s8_table *u8s8 = eq_u8s8_kernels();
    bool whole = u8s8->maxpool && u8s8->sum_pixels_frames;
    const struct eq_image_table *image = eq_image_kernels();
    whole = whole && image->normalize && image->moments;
    const struct eq_f32_table *f32 = eq_f32_kernels();
    whole = whole && f32->bn_stats && f32->histogram && f32->sum_squares;
    return whole && f32->isa == image->isa ? NULL : &start;
}

static void no_thread_sees_half_of_a_table(void **state)
{
    (void)state;
    for (int trial = 0; trial < TRIALS; trial++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            pthread_t threads[THREADS];
            int bad = 0;
            pthread_barrier_init(&start, NULL, THREADS);
            for (int i = 0; i < THREADS; i++)
                if (pthread_create(&threads[i], NULL, look, NULL) != 0)
                    _exit(2);
            for (int i = 0; i < THREADS; i++) {
                void *result = NULL;
                pthread_join(threads[i], &result);
                bad |= result != NULL;
            }
            _exit(bad);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_thread_sees_half_of_a_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
