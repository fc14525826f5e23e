/* What a result was made with: the program, its compiler, the libraries that it runs with, and the system. */
#include "echoquant/run.h"

#include <cblas.h>
#include <csv.h>
#include <gnu/libc-version.h>
#include <libavutil/avutil.h>
#include <protobuf-c/protobuf-c.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <utf8proc.h>

#include <cjson/cJSON.h>

#ifdef __clang__
#define COMPILER __VERSION__ /* "Clang 14.0.6", with the name of the distribution */
#else
#define COMPILER "GCC " __VERSION__
#endif

/* By name: the version of each library that has one to ask for while the program runs, or of its header. */
static struct cJSON *libraries(void)
{
    struct cJSON *list = cJSON_CreateObject();
    const char *dicom = eq_dicom_version(), *blas = openblas_get_config();
    blas += strncmp(blas, "OpenBLAS ", 9) == 0 ? 9 : 0;
    cJSON_AddStringToObject(list, "FFmpeg", av_version_info());
    cJSON_AddStringToObject(list, "OpenBLAS", blas);
    cJSON_AddStringToObject(list, "cJSON", cJSON_Version());
    char *csv = eq_format("%d.%d.%d", CSV_MAJOR, CSV_MINOR, CSV_RELEASE);
    cJSON_AddStringToObject(list, "libcsv", csv);
    cJSON_AddStringToObject(list, "utf8proc", utf8proc_version());
    cJSON_AddStringToObject(list, "protobuf-c", protobuf_c_version());
    if (dicom)
        cJSON_AddStringToObject(list, "DCMTK", dicom);
    cJSON_AddStringToObject(list, "glibc", gnu_get_libc_version());
    free(csv);
    return list;
}

static char *system_name(void)
{
    struct utsname u;
    return uname(&u) == 0 ? eq_format("%s %s %s", u.sysname, u.release, u.machine) : eq_strdup("");
}

struct cJSON *eq_environment(void)
{
    struct cJSON *o = cJSON_CreateObject();
    char *system = system_name();
    cJSON_AddStringToObject(o, "version", ECHOQUANT_VERSION);
    cJSON_AddStringToObject(o, "cpu", eq_cpu_model_name());
    cJSON_AddStringToObject(o, "isa", eq_cpu_isa_in_use());
    cJSON_AddNumberToObject(o, "threads", eq_parallel_threads());
    cJSON_AddStringToObject(o, "system", system);
    cJSON_AddStringToObject(o, "compiler", COMPILER);
    cJSON_AddStringToObject(o, "flags", ECHOQUANT_FLAGS);
    eq_json_add(o, "libraries", libraries());
    free(system);
    return o;
}
