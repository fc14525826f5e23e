/* The way to NVIDIA's CUDA driver: libcuda.so.1, which comes with the driver and not with the toolkit. */
#include "device/cuda_driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static struct eq_cuda cuda;
static bool usable;
static struct eq_str notes;
static pthread_once_t once = PTHREAD_ONCE_INIT;

const char *eq_cuda_code_name(const struct eq_cuda *c, CUresult code, char text[80])
{
    const char *name = NULL;
    if (c->cuGetErrorName(code, &name) == CUDA_SUCCESS && name)
        snprintf(text, 80, "%s (%d)", name, code);
    else
        snprintf(text, 80, "code %d", code);
    return text;
}

/* cuDriverGetVersion counts CUDA's versions only; programs in a cache belong to one driver. */
static void name_driver(void)
{
    char version[64] = "";
    int number = 0;
    FILE *file = eq_fopen("/sys/module/nvidia/version", "r");
    if (file) {
        if (!fgets(version, sizeof version, file))
            version[0] = '\0';
        version[strcspn(version, " \n")] = '\0';
        fclose(file);
    }
    cuda.cuDriverGetVersion(&number);
    snprintf(cuda.driver, sizeof cuda.driver, "NVIDIA driver%s%s, CUDA %d.%d", version[0] ? " " : "", version,
             number / 1000, number % 1000 / 10);
}

static void open_driver(void)
{
    static const char *const names[] = {
#define X(name, arguments) #name,
        EQ_CUDA_FUNCTIONS(X)
#undef X
    };
    enum { FUNCTIONS = sizeof names / sizeof *names };
    void *functions[FUNCTIONS];
    _Static_assert(offsetof(struct eq_cuda, devices) == sizeof functions, "one pointer for each function");
    char code[80];
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *text = dlerror();
        eq_str_add(&notes, "CUDA: no driver of NVIDIA (%s)\n", text ? text : "libcuda.so.1");
        return;
    }
    for (size_t i = 0; i < FUNCTIONS; i++) {
        functions[i] = dlsym(library, names[i]);
        if (!functions[i]) {
            eq_str_add(&notes, "CUDA: libcuda.so.1 lacks %s: a driver for CUDA 11.4 (470) or newer is needed\n",
                       names[i]);
            return;
        }
    }
    memcpy(&cuda, functions, sizeof functions);
    CUresult e = cuda.cuInit(0);
    const char *call = "cuInit";
    if (e == CUDA_SUCCESS) {
        call = "cuDeviceGetCount";
        e = cuda.cuDeviceGetCount(&cuda.devices);
    }
    if (e == CUDA_ERROR_NO_DEVICE || (e == CUDA_SUCCESS && cuda.devices < 1)) {
        eq_str_add(&notes, "CUDA: opened libcuda.so.1, which finds no device\n");
    } else if (e != CUDA_SUCCESS) {
        eq_str_add(&notes, "CUDA: opened libcuda.so.1, but %s failed: %s\n", call, eq_cuda_code_name(&cuda, e, code));
    } else {
        name_driver();
        eq_str_add(&notes, "CUDA: opened libcuda.so.1 (%s), devices: %d\n", cuda.driver, cuda.devices);
        usable = true;
    }
}

const struct eq_cuda *eq_cuda_open(const char **text)
{
    pthread_once(&once, open_driver);
    *text = notes.s;
    return usable ? &cuda : NULL;
}
