/* Any bytes as predictions/<name>.csv: what is accepted comes back the same when it is written out and read again, and
 * its clips find themselves; what is refused names the file and leaves nothing behind. */
#include "echoquant/infer.h"
#include "fuzz.h"

static void check_round_trip(const struct eq_evaluation *e)
{
    struct eq_evaluation again;
    struct eq_str text = {0}, text_again = {0};
    struct eq_err err;
    eq_predictions_text(e, &text);
    require(eq_predictions_parse("again", text.s, text.len, &again, &err) == EQ_OK && again.n == e->n);
    for (size_t i = 0; i < e->n; i++) {
        const struct eq_prediction *a = &e->rows[i], *b = &again.rows[i];
        require(strcmp(a->file_name, b->file_name) == 0 && a->split == b->split && a->patient == b->patient);
        require(a->frames == b->frames && a->fps == b->fps);
    }
    eq_predictions_text(&again, &text_again);
    require(strcmp(text.s, text_again.s) == 0);
    eq_str_clear(&text_again);
    eq_evaluation_clear(&again);
    eq_str_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eq_evaluation e;
    struct eq_err err = {0};
    const struct eq_prediction **partners;
    if (eq_predictions_parse("input", data, size, &e, &err) != EQ_OK) {
        require(e.n == 0 && !e.rows && err.status == EQ_FORMAT && strncmp(err.msg, "input:", 6) == 0);
        return 0;
    }
    check_round_trip(&e);
    require(eq_evaluation_pair(&e, &e, &partners, &err) == EQ_OK);
    for (size_t i = 0; i < e.n; i++)
        require(partners[i] && strcmp(partners[i]->file_name, e.rows[i].file_name) == 0);
    eq_free(partners);
    if (e.n)
        require(eq_evaluation_measure(&e, &err) == EQ_OK);
    eq_evaluation_clear(&e);
    return 0;
}
