/* The results of `bench` as text. */
#include "cmd/cmd.h"

#include <cjson/cJSON.h>
#include <string.h>

static const struct cJSON *get(const struct cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

/* The machine, every time that was measured, and how it scales. */
static void print_times(const struct cJSON *result)
{
    static const char *const rows[][2] = {{"latency_ms", "model alone"},
                                          {"latency_1_ms", "one thread"},
                                          {"fp32_latency_ms", "in FP32"},
                                          {"file_latency_ms", "file to EF"},
                                          {"step_ms", "step"},
                                          {"step_1_ms", "one thread"},
                                          {"fp32_step_ms", "in FP32"}};
    double threads = eq_json_real(result, "threads");
    eq_print_line(2, "%s, %s, %.0f thread%s", eq_json_text(result, "cpu"), eq_json_text(result, "isa"), threads,
                  eq_plural(threads));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct cJSON *l = get(result, rows[i][0]);
        if (l)
            eq_print_line(15, "%-14s median %8.2f ms   p95 %8.2f ms   min %8.2f ms", rows[i][1],
                          eq_json_real(l, "median"), eq_json_real(l, "p95"), eq_json_real(l, "min"));
    }
    if (get(result, "scaling"))
        eq_print_line(15, "%-14s %.2f times as fast with %.0f thread%s as with one, by the minima", "scaling",
                      eq_json_real(result, "scaling"), threads, eq_plural(threads));
    if (eq_json_real(result, "scaling") < 1)
        eq_print_line(15,
                      "%-14s %.0f threads are slower than one: the CPUs are busy with other work, or the model is too "
                      "small for several threads. Use --threads 1",
                      "", threads);
}

/* peak: of the process, MiB. */
static void print_device(const struct cJSON *result, double peak)
{
    const struct cJSON *device = get(result, "device"), *parts = get(result, "parts_ms");
    eq_print_line(15, "%-14s %s, %s, %s; INT8 by %s%s", "device", eq_json_text(device, "id"),
                  eq_json_text(device, "name"), eq_json_text(device, "driver"), eq_json_text(device, "integer_path"),
                  eq_json_flag(device, "gpu") ? "" : "; not a GPU");
    eq_print_line(15, "%-14s upload %.3f ms, computation %.3f ms, download %.3f ms, by the device's clock (medians)",
                  "of that", eq_json_real(parts, "upload"), eq_json_real(parts, "compute"),
                  eq_json_real(parts, "download"));
    eq_print_line(15, "%-14s %.2f MiB on the device, process %.0f MiB at most", "memory",
                  eq_json_real(result, "device_bytes") / (1 << 20), peak);
}

static void print_inference(const struct cJSON *result)
{
    double frames = eq_json_real(result, "frames");
    struct eq_str line = {0};
    eq_str_add(&line, "%s: %s, %.0f frame%s of %.0f x %.0f", eq_json_text(result, "model"),
               eq_json_text(result, "precision"), frames, eq_plural(frames), eq_json_real(result, "size"),
               eq_json_real(result, "size"));
    if (get(result, "size_mb"))
        eq_str_add(&line, ", %.2f MB", eq_json_real(result, "size_mb"));
    eq_print_line(2, "%s, %s in %.0f ms, first call %.0f ms", line.s, get(result, "size_mb") ? "loaded" : "made",
                  eq_json_real(result, "load_ms"), eq_json_real(result, "first_call_ms"));
    eq_str_clear(&line);
    print_times(result);
    double peak = eq_json_real(result, "peak_rss_bytes") / (1 << 20);
    if (get(result, "device"))
        print_device(result, peak);
    else
        eq_print_line(15, "%-14s %.2f MiB activations and scratch, %.2f MiB packed weights, process %.0f MiB at most",
                      "memory", eq_json_real(result, "arena_bytes") / (1 << 20),
                      eq_json_real(result, "packed_bytes") / (1 << 20), peak);
}

static void print_training(const struct cJSON *result)
{
    double clips = eq_json_real(result, "clips"), frames = eq_json_real(result, "frames");
    double micro = eq_json_real(result, "micro_batches"), processes = eq_json_real(result, "processes");
    eq_print_line(2, "%s: %s%s%s, a step of %.0f clip%s of %.0f frame%s of %.0f x %.0f", eq_json_text(result, "model"),
                  eq_json_text(result, "precision"), get(result, "qat") ? ", QAT by " : "", eq_json_text(result, "qat"),
                  clips, eq_plural(clips), frames, eq_plural(frames), eq_json_real(result, "size"),
                  eq_json_real(result, "size"));
    if (micro > 1)
        eq_print_line(2, "%.0f such micro-batches a step, on %.0f process%s", micro, processes,
                      processes > 1 ? "es" : "");
    print_times(result);
    const struct cJSON *clip = get(result, "clip_ms"), *part;
    eq_print_line(15, "%-14s median %8.2f ms                      min %8.2f ms", "a clip", eq_json_real(clip, "median"),
                  eq_json_real(clip, "min"));
    struct eq_str parts = {0};
    cJSON_ArrayForEach(part, get(result, "parts_ms"))
    {
        eq_str_add(&parts, "%s ", parts.len ? "," : "");
        for (const char *p = part->string; *p; p++)
            eq_str_add(&parts, "%c", *p == '_' ? ' ' : *p);
        eq_str_add(&parts, " %.2f", part->valuedouble);
    }
    eq_print_line(15, "%-14s%s ms", "parts, min", parts.s);
    eq_str_clear(&parts);
    if (get(result, "waited_ms"))
        eq_print_line(15, "%-14s median %8.2f ms, %.1f %% of a step (min %.2f ms)", "waiting",
                      eq_json_real(get(result, "waited_ms"), "median"), 100 * eq_json_real(result, "waited_share"),
                      eq_json_real(get(result, "waited_ms"), "min"));
    eq_print_line(15, "%-14s %.0f MiB arena, process %.0f MiB at most", "memory",
                  eq_json_real(result, "arena_bytes") / (1 << 20), eq_json_real(result, "peak_rss_bytes") / (1 << 20));
}

/* ---- layers -------------------------------------------------------------- */

static void add_share(struct eq_str *row, const struct cJSON *c, const char *key)
{
    if (get(c, key))
        eq_str_add(row, " %6.1f", 100 * eq_json_real(c, key));
    else
        eq_str_add(row, " %6s", "-");
}

static void print_candidate(const struct cJSON *c)
{
    bool fewer = eq_json_real(c, "products_per_mac") != 1;
    struct eq_str row = {0};
    eq_str_add(&row, "%c %-48s %7.3f %7.1f", cJSON_IsTrue(get(c, "chosen")) ? '*' : ' ', eq_json_text(c, "kernel"),
               eq_json_real(c, "ms"), eq_json_real(c, "gmacs"));
    add_share(&row, c, "share");
    if (fewer)
        add_share(&row, c, "products_share");
    eq_print_row("%s", row.s);
    eq_str_clear(&row);
}

static void print_layer(const struct cJSON *l)
{
    const struct cJSON *c;
    char pass[32];
    snprintf(pass, sizeof pass, "%s", eq_json_text(l, "pass"));
    for (char *p = pass; *p; p++)
        *p = *p == '_' ? ' ' : *p;
    eq_print_line(
        2, "%s, %s: %.0f x %.0f x %.0f to %.0f channels, %.0f x %.0f / %.0f, %.3f GMAC, %sin the network %.3f ms",
        eq_json_text(l, "name"), pass, eq_json_real(l, "h"), eq_json_real(l, "w"), eq_json_real(l, "cin"),
        eq_json_real(l, "cout"), eq_json_real(l, "k"), eq_json_real(l, "k"), eq_json_real(l, "stride"),
        eq_json_real(l, "gmac"), pass[0] == 'f' ? "" : "both gradients ", eq_json_real(l, "node_ms"));
    cJSON_ArrayForEach(c, get(l, "candidates")) print_candidate(c);
}

static bool is_layer(const struct cJSON *layers, const char *name)
{
    const struct cJSON *l;
    cJSON_ArrayForEach(l, layers) if (strcmp(eq_json_text(l, "name"), name) == 0) return true;
    return false;
}

static void print_other_nodes(const struct cJSON *result)
{
    const struct cJSON *n;
    eq_print_text("\nother nodes, ms in the network:\n");
    cJSON_ArrayForEach(n, get(result, "nodes"))
    {
        if (is_layer(get(result, "layers"), eq_json_text(n, "name")) || eq_json_real(n, "ms") < 0.0005)
            continue;
        char backward[32] = "";
        if (get(n, "backward_ms"))
            snprintf(backward, sizeof backward, ", backward %8.3f", eq_json_real(n, "backward_ms"));
        eq_print_row("  %-48s %7.3f%s", eq_json_text(n, "name"), eq_json_real(n, "ms"), backward);
    }
}

static void print_layers(const struct cJSON *result)
{
    const struct cJSON *o;
    eq_print_text("\n");
    eq_print_row("%-58s %7s", "peak on registers alone, all threads", "GMAC/s");
    cJSON_ArrayForEach(o, get(result, "peaks"))
        eq_print_row("  %-56s %7.1f", eq_json_text(o, "instruction"), eq_json_real(o, "gmacs"));
    eq_print_text("\n");
    eq_print_row("%-50s %7s %7s %6s %6s", "layer and kernel, * the one in use", "ms", "GMAC/s", "% peak", "% own");
    cJSON_ArrayForEach(o, get(result, "layers")) print_layer(o);
    if (!get(result, "layers_ms"))
        return;
    print_other_nodes(result);
    eq_print_text("\n");
    eq_print_line(2,
                  "sum of the kernels in use %.2f ms, packing their weights %.2f ms; the rest of the whole (by minima) "
                  "%.2f ms",
                  eq_json_real(result, "layers_ms"), eq_json_real(result, "layers_pack_ms"),
                  eq_json_real(result, "rest_ms"));
}

void eq_print_bench(const struct cJSON *result)
{
    if (get(result, "step_ms"))
        print_training(result);
    else
        print_inference(result);
    if (get(result, "layers"))
        print_layers(result);
}
