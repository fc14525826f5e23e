/* slow_clip PATH FRAMES: a bare stream of Motion JPEG that repeats one picture of 4096 x 4096 pixels: a small file, for
 * the seconds that it takes. */
#include "avi_file.h"

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: slow_clip PATH FRAMES\n");
        return 2;
    }
    struct test_avi a = {.width = 4096, .height = 4096, .frames = 1};
    size_t len, size;
    test_avi_write(argv[1], &a);
    uint8_t *bytes = test_read(argv[1], &len);
    size_t at = test_avi_frame(bytes, len, 0, &size);
    FILE *file = fopen(argv[1], "wb");
    TEST_REQUIRE(file != NULL);
    for (unsigned long n = strtoul(argv[2], NULL, 10); n > 0; n--)
        TEST_REQUIRE(fwrite(bytes + at, 1, size, file) == size);
    TEST_REQUIRE(fclose(file) == 0);
    eq_free(bytes);
    return 0;
}
