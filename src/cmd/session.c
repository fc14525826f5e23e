/* Set-up and clean-up that commands share. */
#include "cmd/cmd.h"

#include <stdlib.h>
#include <string.h>

/* A model that exists is left alone, with the run directory, if it was made with these settings and this data. */
static enum eq_status enter(struct eq_session *s, struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    const char *dir = s->cfg->run.dir;
    EQ_CHECK(eq_run_is_done(dir, s->phase, o->force, &s->done, err));
    if (!s->done || o->model) /* a model of another baseline may stand there: that is refused */
        return eq_run_enter(&o->settings, &s->data, s->phase, o->force, err);
    EQ_CHECK(eq_run_check_data(dir, &s->data, err));
    char *model = eq_run_model_path(dir, eq_phase_model(s->phase)->name, NULL);
    enum eq_status st = eq_run_note_missing(model, err);
    free(model);
    if (st != EQ_OK)
        return st;
    eq_info("%s/%s.safetensors exists with these settings: nothing to do (--force makes it again)", dir,
            eq_phase_model(s->phase)->file);
    return EQ_OK;
}

/* Refuses everything that can be refused before anything is made. config.json is written, and --force removes files,
 * last, when data and models are known to be good. */
static enum eq_status prepare(struct eq_session *s, const struct eq_command *command, struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    if (command->needs & EQ_NEED_RUN)
        EQ_CHECK(eq_run_admit(&o->settings, s->phase, o->force, err));
    if (command->needs & EQ_NEED_BASELINE)
        EQ_CHECK(eq_run_check_baseline(s->cfg, o->model, err));
    if (command->check)
        EQ_CHECK(command->check(o, err));
    if ((command->needs & EQ_NEED_DEVICE) && strcmp(s->cfg->run.device, "cpu") != 0)
        EQ_CHECK(eq_device_open(s->cfg->run.device, &s->device, err));
    if (command->needs & EQ_NEED_DEVICES)
        EQ_CHECK(eq_run_devices_open(s->cfg, &s->devices, err));
    if (command->needs & EQ_NEED_RUN)
        EQ_CHECK(eq_run_lock(&s->lock, s->cfg->run.dir, err));
    if (command->needs & EQ_NEED_DATA)
        EQ_CHECK(eq_run_open_data(s->cfg, &s->data, err));
    if (command->needs & EQ_NEED_RUN)
        EQ_CHECK(enter(s, err));
    return EQ_OK;
}

/* Meets the other processes. All must have been given the same command. */
static enum eq_status meet(struct eq_session *s, const struct eq_command *command, int argc, char **argv,
                           struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    struct eq_str words = {0}, same = {0};
    enum eq_status st;
    for (int i = 0; i < argc; i++)
        eq_str_add(&words, "%s%s", i ? " " : "", argv[i]);
    bool shared = (command->needs & EQ_NEED_OTHERS) || o->bench.train;
    const struct eq_dist_opts opts = {shared, words.s, s->cfg->dist.timeout};
    EQ_TRY(eq_dist_open(&opts, err));
    eq_str_add(&same, "version=%s\ncommand=%s\ncpu=%s\nrun.dir=%s\nforce=%d\nmodel=%s\n", ECHOQUANT_VERSION,
               command->name, eq_cpu_isa_in_use(), s->cfg->run.dir, o->force, o->model ? o->model : "");
    eq_settings_fingerprint(s->cfg, NULL, &same);
    EQ_TRY(eq_dist_same("settings", same.s, err));
    if (eq_comm_world()->size > 1 && strcmp(s->cfg->run.device, "cpu") != 0)
        EQ_TRY(eq_fail(err, EQ_USAGE,
                       "--device (run.device): several processes share their work on CPUs only; run one process, or "
                       "name the device in eval.devices"));
    EQ_TRY(eq_dist_say_cpus(s->cfg->run.threads, err));
out:
    eq_str_clear(&words);
    eq_str_clear(&same);
    return st;
}

enum eq_status eq_session_open(struct eq_session *s, const struct eq_command *command, int argc, char **argv,
                               struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    enum eq_status st = EQ_OK;
    *s = (struct eq_session){.cfg = &o->settings.config, .phase = command->phase};
    EQ_CHECK(eq_options_init(&s->options, command, argc, argv, err));
    if (o->help)
        return EQ_OK;
    if (o->control)
        s->phase = EQ_PHASE_CONTROL;
    EQ_CHECK(meet(s, command, argc, argv, err));
    if (eq_first_begin())
        st = prepare(s, command, err);
    EQ_CHECK(eq_first_end(st, &s->done, sizeof s->done, err));
    return command->needs & EQ_NEED_DATA ? eq_run_open_data_of_first(s->cfg, &s->data, err) : EQ_OK;
}

void eq_session_close(struct eq_session *s)
{
    eq_dataset_clear(&s->data);
    eq_run_unlock(&s->lock);
    eq_run_devices_close(&s->devices);
    eq_device_close(s->device);
    eq_options_clear(&s->options);
}
