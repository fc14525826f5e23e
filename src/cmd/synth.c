#include "cmd/cmd.h"

static const struct eq_command_spec spec = {
    .name = "synth",
    .arguments = "[DIR]",
    .about =
        "Writes a synthetic data set into DIR, or that of --data: FileList.csv in EchoNet's columns and MJPEG AVIs of\n"
        "112 x 112 pixels that show what an apical four-chamber view shows, the EF in the ventricle's motion alone.\n"
        "Same settings, same pixels. A folder that holds this set already is left as it is; any other that is not\n"
        "empty is refused.\n",
    .options = EQ_OPT_SETTINGS | EQ_OPT_DATA | EQ_OPT_COMPUTE,
    .max_args = 1,
    .sections = (const char *const[]){"synth", "run.threads", NULL},
};

enum eq_status eq_cmd_synth(int argc, char **argv, struct eq_err *err)
{
    struct eq_options o;
    enum eq_status st = eq_options_init(&o, &spec, argc, argv, err);
    if (st != EQ_OK || o.help)
        return st;
    if (o.data_given == (o.n_args == 1)) {
        st = eq_fail(err, EQ_USAGE, "synth needs one folder to write into: DIR or --data DIR");
        goto out;
    }
    const char *dir = o.data_given ? o.settings.config.data.dir : o.args[0];
    EQ_TRY(eq_run_write_synth(&o.settings.config, dir, err));
    printf("%s/FileList.csv\n", dir);
out:
    eq_options_clear(&o);
    return st;
}
