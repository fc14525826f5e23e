/* The table of settings, for the files that parse, write and describe settings. */
#ifndef SETTINGS_TABLE_H
#define SETTINGS_TABLE_H

#include "echoquant/settings.h"

/* LIST: names, stored as one text separated by commas; an array of strings in JSON. */
enum eq_setting_type {
    EQ_SETTING_BOOL,
    EQ_SETTING_INT,
    EQ_SETTING_REAL,
    EQ_SETTING_ENUM,
    EQ_SETTING_TEXT,
    EQ_SETTING_LIST
};

struct eq_setting {
    const char *key; /* "section.name" */
    enum eq_setting_type type;
    size_t offset;              /* in struct eq_config: bool, int, double, int, char *, char * by type */
    const char *initial;        /* the default, as --set would take it */
    double min, max;            /* INT, REAL: inclusive */
    bool above_min;             /* REAL: min itself is not allowed */
    const char *const *choices; /* ENUM: names by value, NULL after the last */
    const char *unit;           /* "" none */
    bool may_be_empty;          /* TEXT */
    bool free_to_change;        /* does not affect results: may change when a run is resumed */
    const char *help;
};
extern const struct eq_setting eq_setting_table[];
extern const size_t eq_setting_count;

/* near.c: the keys, at most cap of the n in keys, that a word means, with its section or without, as eq_settings_near
 * says. */
size_t eq_keys_near(const char *word, const char *const *keys, size_t n_keys, bool exact, const char **out, size_t cap);

/* NULL: no such setting. */
const struct eq_setting *eq_setting_find(const char *key);
/* The same, but the search begins at *at, 0 at first, and leaves there the place after what it found: one comparison
 * for each key, if they are asked for in the order of the table. */
const struct eq_setting *eq_setting_find_next(const char *key, size_t *at);
/* EQ_USAGE: "<origin>: there is no setting ...; did you mean ...?" */
enum eq_status eq_setting_unknown(const char *key, const char *origin, struct eq_err *err);
/* Appends "a whole number in 1..64" or "one of adamw, sgd". */
void eq_setting_describe_range(const struct eq_setting *row, struct eq_str *out);
/* Appends the value as --set takes it, in UTF-8. */
void eq_setting_print(const struct eq_setting *row, const struct eq_config *config, struct eq_str *out);
/* Store a parsed value after checking its range. shown: the value as the user wrote it, for the message. */
enum eq_status eq_setting_store_number(struct eq_settings *s, const struct eq_setting *row, double value,
                                       const char *shown, const char *origin, struct eq_err *err);
enum eq_status eq_setting_store_text(struct eq_settings *s, const struct eq_setting *row, const char *text,
                                     const char *origin, struct eq_err *err);
void eq_setting_store_bool(struct eq_settings *s, const struct eq_setting *row, bool value, const char *origin);
enum eq_status eq_setting_mistyped(const struct eq_setting *row, const char *shown, const char *origin,
                                   struct eq_err *err);

/* As eq_settings_load, from text in memory; name is used in messages and as the origin. */
enum eq_status eq_settings_parse(struct eq_settings *s, const char *text, size_t len, const char *name,
                                 struct eq_err *err);
/* As eq_settings_load_run, from text in memory. */
enum eq_status eq_settings_parse_run(struct eq_settings *s, const char *text, size_t len, const char *name,
                                     struct eq_err *err);
/* Appends the settings and their origins as config.json has them, without notes. */
enum eq_status eq_settings_print(const struct eq_settings *s, struct eq_str *out, struct eq_err *err);

#endif
