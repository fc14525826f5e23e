#include "cmd/cmd.h"

#include "echoquant/device.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static const char *const checks[] = {
    [EQ_DEVICE_UNCHECKED] = "not run", [EQ_DEVICE_PASSED] = "passed", [EQ_DEVICE_FAILED] = "failed"};

static enum eq_status print_json(const struct eq_device_list *list, struct eq_err *err)
{
    struct cJSON *json = cJSON_CreateObject(), *devices = cJSON_CreateArray(), *notes = cJSON_CreateArray();
    for (size_t i = 0; i < list->n; i++) {
        const struct eq_device_info *d = &list->devices[i];
        struct cJSON *device = eq_json_add(devices, NULL, cJSON_CreateObject());
        cJSON_AddStringToObject(device, "id", d->id);
        cJSON_AddStringToObject(device, "name", d->name);
        cJSON_AddStringToObject(device, "driver", d->driver);
        cJSON_AddBoolToObject(device, "gpu", d->is_gpu);
        eq_json_add(device, "bytes", d->memory ? cJSON_CreateNumber((double)d->memory) : cJSON_CreateNull());
        eq_json_add(device, "units", d->units ? cJSON_CreateNumber(d->units) : cJSON_CreateNull());
        cJSON_AddStringToObject(device, "integer_path", d->integer_path);
        cJSON_AddStringToObject(device, "self_check", checks[d->check]);
        eq_json_add(device, "why_not", d->why.len ? cJSON_CreateString(d->why.s) : cJSON_CreateNull());
    }
    for (const char *at = list->notes.s; at && *at;) {
        size_t n = strcspn(at, "\n");
        char *line = eq_format("%.*s", (int)n, at);
        eq_json_add(notes, NULL, cJSON_CreateString(line));
        free(line);
        at += n + (at[n] == '\n');
    }
    eq_json_add(json, "devices", devices);
    eq_json_add(json, "notes", notes);
    enum eq_status st = eq_print_json(json, err);
    cJSON_Delete(json);
    return st;
}

static void print_device(const struct eq_device_info *d)
{
    struct eq_str text = {0};
    eq_print_line(10, "%-8s  %s: %s", d->id, d->name,
                  d->why.len  ? "cannot be used"
                  : d->is_gpu ? "ready"
                              : "ready, but no GPU: used only if it is named");
    eq_print_line(10, "          %s", d->driver);
    if (d->memory)
        eq_str_add(&text, "memory %.1f GiB, ", (double)d->memory / (1 << 30));
    if (d->units)
        eq_str_add(&text, "units %d, ", d->units);
    eq_print_line(10, "          %sINT8 by %s, self-check %s", text.s ? text.s : "", d->integer_path, checks[d->check]);
    if (d->why.len)
        eq_print_line(10, "          %s", d->why.s);
    eq_str_clear(&text);
}

static enum eq_status run(struct eq_session *s, struct eq_err *err)
{
    struct eq_device_list list;
    enum eq_status st = EQ_OK;
    EQ_CHECK(eq_devices_list(true, &list, err));
    if (s->options.json) {
        st = print_json(&list, err);
    } else {
        for (size_t i = 0; i < list.n; i++)
            print_device(&list.devices[i]);
        if (list.n == 0)
            eq_print_row("There is no device beside the CPU.");
        eq_print_text("\n");
        eq_print_text(list.notes.s);
    }
    eq_devices_clear(&list);
    return st;
}

const struct eq_command eq_cmd_devices = {
    .name = "devices",
    .summary = "list GPUs and other devices that can run models",
    .arguments = "",
    .about =
        "Lists the devices that the drivers of this machine offer, by the name that --device takes: NVIDIA GPUs by "
        "their CUDA driver (cuda:0), and what OpenCL finds (opencl:0), GPUs first. For each: name, driver, memory, "
        "compute units, how INT8 is multiplied, and whether it passed the self-check; or why it cannot be used. "
        "Below that, which libraries were opened.\n\n"
        "A device is used only after the self-check: small networks must give the bits of the CPU's reference. "
        "It runs when a device is first used. Its result and the built kernels are kept in "
        "$XDG_CACHE_HOME/echoquant or ~/.cache/echoquant until driver, device, or echoquant change.\n\n"
        "The exit code is 0 also if there is no device. docs/GPU.md says how to get drivers.\n",
    .example = "--json",
    .options = EQ_OPT_JSON,
    .run = run,
};
