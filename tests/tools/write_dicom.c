/* write_dicom PATH NUMBER [KIND]: a DICOM file of a scanner's screen that shows synthetic patient NUMBER. KIND: ct,
 * still (one frame). */
#include "dicom_screen.h"

int main(int argc, char **argv)
{
    struct screen s;
    if (argc < 3) {
        fprintf(stderr, "usage: write_dicom PATH NUMBER [ct|still]\n");
        return 2;
    }
    screen_make(&s, (uint32_t)strtoul(argv[2], NULL, 10));
    struct test_dicom file = screen_file(&s);
    if (argc > 3 && strcmp(argv[3], "ct") == 0)
        file.modality = "CT";
    if (argc > 3 && strcmp(argv[3], "still") == 0) {
        file.frames = 1;
        file.bytes /= FRAMES;
    }
    test_dicom_write(argv[1], &file);
    screen_clear(&s);
    return 0;
}
