/* What commands have in common before and after their work. */
#include "cmd/cmd.h"

/* Everything that can be refused is, before anything is made; config.json and what --force removes come last, when the
 * data and the models are known to be good. */
enum eq_status eq_session_open(struct eq_session *s, const struct eq_command *command, int argc, char **argv,
                               struct eq_err *err)
{
    const struct eq_options *o = &s->options;
    enum eq_status st;
    *s = (struct eq_session){.cfg = &o->settings.config, .phase = command->phase};
    EQ_TRY(eq_options_init(&s->options, command, argc, argv, err));
    if (o->help)
        goto out;
    if (o->control)
        s->phase = EQ_PHASE_CONTROL;
    if (command->needs & EQ_NEED_RUN)
        EQ_TRY(eq_run_admit(&o->settings, s->phase, o->force, err));
    if (command->needs & EQ_NEED_BASELINE)
        EQ_TRY(eq_run_check_baseline(s->cfg, o->model, err));
    if (command->check)
        EQ_TRY(command->check(o, err));
    if (command->needs & EQ_NEED_RUN)
        EQ_TRY(eq_run_lock(&s->lock, s->cfg->run.dir, err));
    if (command->needs & EQ_NEED_DATA)
        EQ_TRY(eq_run_open_data(s->cfg, &s->data, err));
    if (command->needs & EQ_NEED_RUN)
        EQ_TRY(eq_run_enter(&o->settings, &s->data, s->phase, o->force, err));
out:
    return st;
}

void eq_session_close(struct eq_session *s)
{
    eq_dataset_clear(&s->data);
    eq_run_unlock(&s->lock);
    eq_options_clear(&s->options);
}
