/*
 * The training loop that the FP32 baseline and QAT share: epochs, micro-batches, optimizer, schedule, validation, the
 * best checkpoint, early stopping, and a state file from which a run resumes with the same bits.
 *
 *   state/<name>.state.safetensors   the state: parameters, moments, fake-quant, position, history
 *   state/<name>.best.safetensors    the best model so far, as it would be shipped
 */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "echoquant/dist.h"
#include "echoquant/train.h"

/* A line in the signature of QAT. States of version 0.1.0 lack it and are still accepted. */
#define EQ_SIGNATURE_START "start of ranges="

/* trainer_state.c */
/* Writes the state. EQ_IO, EQ_NOMEM. */
enum eq_status eq_trainer_save_state(const struct eq_trainer *t, struct eq_err *err);
/* *resumed: whether there was a state. EQ_USAGE: it is of other settings, with the list of changes; EQ_FORMAT,
 * EQ_NUMERIC: it is damaged; EQ_IO: the best model that it refers to is missing. */
enum eq_status eq_trainer_load_state(struct eq_trainer *t, bool *resumed, struct eq_err *err);
/* The same from a file in memory, which it does not change, without a look for the best model. path: for messages. */
enum eq_status eq_trainer_take_state(struct eq_trainer *t, struct eq_st_file *f, const char *path, struct eq_err *err);
char *eq_trainer_state_path(const struct eq_trainer *t, const char *kind); /* "state", "best"; free() */

/* micro.c. EQ_USAGE: a step of the job has fewer micro-batches than there are processes. */
enum eq_status eq_micro_check(const struct eq_train_job *job, struct eq_err *err);
/* After comm and the executor; errors as from eq_trainer_init. */
enum eq_status eq_micro_init(struct eq_trainer *t, struct eq_err *err);
void eq_micro_clear(struct eq_trainer *t);
void eq_micro_begin(struct eq_trainer *t); /* before the forward pass of a micro-batch */
/* A process that cannot go on with the step tells the others, in place of what follows. mine, err: why. Returns the
 * worst status of all, as eq_comm_agree. */
enum eq_status eq_micro_fail(struct eq_trainer *t, enum eq_status mine, struct eq_err *err);
/* Between the two passes of a micro-batch. Before the backward pass of the process's last one the exchange with the
 * others begins: they agree that all can go on, and the gradients follow as they become final. */
void eq_micro_note(struct eq_trainer *t, double loss);
void eq_micro_keep(struct eq_trainer *t); /* after the backward pass of a micro-batch that is not the process's last */
/* After the last one: the gradient of the step is in the executor's block; statistics, ranges, loss_sum and micro.stop
 * have followed. EQ_NUMERIC: a range is not finite; else the status of the exchange, or of a process that cannot go on.
 */
enum eq_status eq_micro_finish(struct eq_trainer *t, struct eq_err *err);

/* courier.c: a thread that does tasks in the order in which they are given. most: between two waits. Free *out also
 * after a failure. EQ_NOMEM. */
struct eq_courier;
typedef enum eq_status (*eq_courier_fn)(void *ctx, size_t lo, size_t hi, struct eq_err *err);
enum eq_status eq_courier_new(size_t most, struct eq_courier **out, struct eq_err *err);
void eq_courier_free(struct eq_courier *c); /* waits; NULL is allowed */
/* ctx is borrowed until the next wait. */
void eq_courier_give(struct eq_courier *c, eq_courier_fn fn, void *ctx, size_t lo, size_t hi);
/* Until all tasks are done. The status of the first one that failed; those after it were left out. */
enum eq_status eq_courier_wait(struct eq_courier *c, struct eq_err *err);

/* history.c: <run>/history/<name>.csv */
enum eq_status eq_history_write(const struct eq_trainer *t, struct eq_err *err);

/* Appends a signature: the settings of these sections, the ISA level, and a hash of the list of clips, one "key=value"
 * line each. */
void eq_signature_add(const struct eq_config *cfg, const struct eq_dataset *ds, const char *const *sections,
                      struct eq_str *out);

/* Runs or resumes a training to its end and moves the best model to model_path. Errors as from eq_fit. */
enum eq_status eq_trainer_run(struct eq_trainer *t, const char *model_path, struct eq_err *err);

#endif
