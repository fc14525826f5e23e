/* N small AVIs that all differ, and a FileList.csv of them, for tests with many clips: clip K is level and step of its
 * gray, and number of frames, from the digits of K. The first TRAIN are for training, the next VAL for validation, the
 * rest for the test. Not part of the program. */
#include "avi_file.h"

enum { LEVELS = 120, STEPS = 3, LENGTHS = 40 };

int main(int argc, char **argv)
{
    int64_t n, train, val;
    struct eq_str list = {0};
    struct eq_err err = {0};
    if (argc != 5 || !eq_parse_int64(argv[2], &n) || !eq_parse_int64(argv[3], &train) ||
        !eq_parse_int64(argv[4], &val) || n > LEVELS * STEPS * LENGTHS) {
        fprintf(stderr, "usage: write_clips DIR N TRAIN VAL, with N at most %d\n", LEVELS * STEPS * LENGTHS);
        return 2;
    }
    TEST_REQUIRE(eq_make_dirs(argv[1], &err) == EQ_OK);
    eq_str_add(&list, "FileName,EF,Split\n");
    for (int k = 0; k < (int)n; k++) {
        int level = 1 + k % LEVELS, step = 1 + k / LEVELS % STEPS, frames = 8 + k / (LEVELS * STEPS);
        const struct test_avi a = {
            .width = 32, .height = 32, .frames = frames, .texture = true, .first_level = level, .step = step};
        char *path = eq_format("%s/clip%05d.avi", argv[1], k);
        test_avi_write(path, &a);
        free(path);
        eq_str_add(&list, "clip%05d,%d,%s\n", k, 20 + level / 3 + 10 * step,
                   k < train         ? "TRAIN"
                   : k < train + val ? "VAL"
                                     : "TEST");
    }
    char *path = eq_path_join(argv[1], "FileList.csv");
    TEST_REQUIRE(eq_write_file(path, list.s, list.len, &err) == EQ_OK);
    free(path);
    eq_str_clear(&list);
    return 0;
}
