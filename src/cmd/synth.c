#include "cmd/cmd.h"

static const struct eq_command_spec spec = {
    .name = "synth",
    .arguments = "DIR",
    .about =
        "Writes a synthetic data set into DIR: FileList.csv in EchoNet's columns and MJPEG AVIs of 112 x 112 pixels "
        "that\n"
        "show what an apical four-chamber view shows, the EF in the ventricle's motion alone. Same settings, same\n"
        "pixels. A folder that holds this set already is left as it is; any other that is not empty is refused.\n",
    .options = EQ_OPT_SETTINGS | EQ_OPT_COMPUTE,
    .min_args = 1,
    .max_args = 1,
    .sections = (const char *const[]){"synth", "run.threads", NULL},
};

enum eq_status eq_cmd_synth(int argc, char **argv, struct eq_err *err)
{
    struct eq_options o;
    enum eq_status st = eq_options_init(&o, &spec, argc, argv, err);
    if (st != EQ_OK || o.help)
        return st;
    EQ_TRY(eq_run_write_synth(&o.settings.config, o.args[0], err));
    printf("%s/FileList.csv\n", o.args[0]);
out:
    eq_options_clear(&o);
    return st;
}
