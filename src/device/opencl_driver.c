/*
 * The way to OpenCL: the loader libOpenCL.so.1, which finds drivers by files in /etc/OpenCL/vendors. Containers and
 * desktops often have a driver without such a file, or without a loader. A driver's own library is then opened by its
 * name: cl_khr_icd has it export clIcdGetPlatformIDsKHR, and each platform begins with a table of all functions.
 */
#include "device/opencl_driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PLATFORMS = 16 };

static struct {
    struct eq_cl_platform platforms[MOST_PLATFORMS];
    size_t n;
    struct eq_str notes;
} found;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void add_platforms(const struct eq_cl *cl, const cl_platform_id *ids, cl_uint n)
{
    for (cl_uint i = 0; i < n && found.n < MOST_PLATFORMS; i++)
        found.platforms[found.n++] = (struct eq_cl_platform){.cl = *cl, .id = ids[i]};
}

/* Says why if there is no platform this way. The library stays open: drivers have threads of their own. */
static void open_loader(struct eq_str *why)
{
    static const char *const names[] = {
#define X(result, name, place, arguments) #name,
        EQ_CL_FUNCTIONS(X)
#undef X
    };
    struct eq_cl cl;
    void *functions[sizeof names / sizeof *names];
    _Static_assert(sizeof cl == sizeof functions, "one pointer for each function");
    void *library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *text = dlerror();
        eq_str_add(why, "no loader of OpenCL (%s)", text ? text : "libOpenCL.so.1");
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        functions[i] = dlsym(library, names[i]);
        if (!functions[i]) {
            eq_str_add(why, "libOpenCL.so.1 lacks %s", names[i]);
            return;
        }
    }
    memcpy(&cl, functions, sizeof cl);
    cl_platform_id ids[MOST_PLATFORMS];
    cl_uint n = 0;
    char code[64];
    cl_int e = cl.clGetPlatformIDs(MOST_PLATFORMS, ids, &n);
    if (e != CL_SUCCESS && e != CL_PLATFORM_NOT_FOUND_KHR)
        eq_str_add(why, "libOpenCL.so.1: clGetPlatformIDs failed: %s", eq_cl_code_name(e, code));
    else if (e != CL_SUCCESS || n == 0)
        eq_str_add(why, "libOpenCL.so.1 finds no driver (no platform)");
    else
        add_platforms(&cl, ids, n < MOST_PLATFORMS ? n : MOST_PLATFORMS);
}

/* Whether the vendor's library has platforms. */
static bool open_vendor(const char *name)
{
    typedef cl_int (*get_platforms_fn)(cl_uint, cl_platform_id *, cl_uint *);
    typedef void *(*get_address_fn)(const char *);
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return false;
    get_platforms_fn get_platforms = NULL;
    get_address_fn get_address = NULL;
    void *symbol = dlsym(library, "clGetExtensionFunctionAddress");
    memcpy(&get_address, &symbol, sizeof symbol);
    symbol = get_address ? get_address("clIcdGetPlatformIDsKHR") : NULL;
    symbol = symbol ? symbol : dlsym(library, "clIcdGetPlatformIDsKHR");
    memcpy(&get_platforms, &symbol, sizeof symbol);
    cl_platform_id ids[MOST_PLATFORMS];
    cl_uint n = 0;
    if (!get_platforms || get_platforms(MOST_PLATFORMS, ids, &n) != CL_SUCCESS || n == 0)
        return false;
    n = n < MOST_PLATFORMS ? n : MOST_PLATFORMS;
    for (cl_uint i = 0; i < n; i++) {
        struct eq_cl cl;
        void **table;
        memcpy(&table, ids[i], sizeof table);
#define X(result, name, place, arguments) memcpy(&cl.name, &table[place], sizeof cl.name);
        EQ_CL_FUNCTIONS(X)
#undef X
        add_platforms(&cl, &ids[i], 1);
    }
    return true;
}

static void open_all(void)
{
    static const char *const vendors[] = {"libnvidia-opencl.so.1", "libamdocl64.so", "libigdrcl.so"};
    enum { VENDORS = sizeof vendors / sizeof *vendors };
    struct eq_str why = {0};
    open_loader(&why);
    if (found.n) {
        eq_str_add(&found.notes, "OpenCL: opened libOpenCL.so.1, platforms: %zu\n", found.n);
        return;
    }
    eq_str_add(&found.notes, "OpenCL: %s; ", why.s);
    eq_str_clear(&why);
    bool any = false;
    for (size_t i = 0; i < VENDORS; i++)
        if (open_vendor(vendors[i])) {
            eq_str_add(&found.notes, "%s%s", any ? ", " : "opened the driver's own library instead: ", vendors[i]);
            any = true;
        }
    for (size_t i = 0; !any && i < VENDORS; i++)
        eq_str_add(&found.notes, "%s%s", i ? ", " : "nor is there a driver named ", vendors[i]);
    eq_str_add(&found.notes, "\n");
}

void eq_cl_platforms(const struct eq_cl_platform **platforms, size_t *n, const char **notes)
{
    pthread_once(&once, open_all);
    *platforms = found.platforms;
    *n = found.n;
    *notes = found.notes.s;
}

const char *eq_cl_code_name(cl_int code, char text[64])
{
    static const struct {
        cl_int code;
        const char *name;
    } names[] = {
        {-1, "CL_DEVICE_NOT_FOUND"},
        {-2, "CL_DEVICE_NOT_AVAILABLE"},
        {-3, "CL_COMPILER_NOT_AVAILABLE"},
        {-4, "CL_MEM_OBJECT_ALLOCATION_FAILURE"},
        {-5, "CL_OUT_OF_RESOURCES"},
        {-6, "CL_OUT_OF_HOST_MEMORY"},
        {-7, "CL_PROFILING_INFO_NOT_AVAILABLE"},
        {-11, "CL_BUILD_PROGRAM_FAILURE"},
        {-12, "CL_MAP_FAILURE"},
        {-14, "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST"},
        {-30, "CL_INVALID_VALUE"},
        {-32, "CL_INVALID_PLATFORM"},
        {-33, "CL_INVALID_DEVICE"},
        {-34, "CL_INVALID_CONTEXT"},
        {-36, "CL_INVALID_COMMAND_QUEUE"},
        {-38, "CL_INVALID_MEM_OBJECT"},
        {-42, "CL_INVALID_BINARY"},
        {-43, "CL_INVALID_BUILD_OPTIONS"},
        {-44, "CL_INVALID_PROGRAM"},
        {-45, "CL_INVALID_PROGRAM_EXECUTABLE"},
        {-46, "CL_INVALID_KERNEL_NAME"},
        {-48, "CL_INVALID_KERNEL"},
        {-52, "CL_INVALID_KERNEL_ARGS"},
        {-54, "CL_INVALID_WORK_GROUP_SIZE"},
        {-55, "CL_INVALID_WORK_ITEM_SIZE"},
        {-58, "CL_INVALID_EVENT"},
        {-59, "CL_INVALID_OPERATION"},
        {-61, "CL_INVALID_BUFFER_SIZE"},
        {-63, "CL_INVALID_GLOBAL_WORK_SIZE"},
        {-1001, "CL_PLATFORM_NOT_FOUND_KHR"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].code == code) {
            snprintf(text, 64, "%s (%d)", names[i].name, code);
            return text;
        }
    snprintf(text, 64, "code %d", code);
    return text;
}
