/* Shared by the reader and the writer of safetensors. */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include "echoquant/model.h"

enum { EQ_ST_MIN_ROOM = 64 };

/* A new tensor at the end of the list; only its name is set. Never NULL. */
struct eq_st_tensor *eq_st_push(struct eq_st_file *file, const char *name);

#endif
