/*
 * echoquant_faulty: the program with faults on demand. It stands in front of the allocator, of the system calls of the
 * file floor, and of pthread_create, for itself and for all its shared libraries; programs that it starts are free of
 * it. The environment says what fails, counted from the start of main:
 *
 *   ECHOQUANT_FAULT        CLASS:N, the N-th call of the class fails; CLASS:N+, so do all after it; CLASS:0, none
 *   ECHOQUANT_FAULT_LOG    a file: at the fault "hit N", at a crash "crash SIGNAL", and the call stack, a frame a line;
 *                          "count N" at the end
 *   ECHOQUANT_FAULT_SITES  a file: the number of the first call of each distinct call stack, and of the last one
 *
 * Classes: alloc, thread, and those of calls.c. Exit code 77: this system cannot do it.
 */
#ifndef ECHOQUANT_TESTS_FAULTS_H
#define ECHOQUANT_TESTS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

enum { FAULTS_SKIP = 77 };

/* Whether the class of calls is the one that is counted. */
enum faults_class { FAULTS_NONE, FAULTS_ALLOC, FAULTS_THREAD, FAULTS_CALLS };
bool faults_count(enum faults_class kind);
/* Counts a call of that class; true: it has to fail. */
bool faults_now(void);

/* calls.c: begins to count the system calls of a class; false: no class of that name. */
bool faults_trap(const char *name);
void faults_trap_thread(void);       /* the same in a new thread */
bool faults_trap_pause(bool paused); /* this thread's calls go through uncounted; returns what was before */
/* A system call that is never counted. */
long faults_raw(long number, long a, long b, long c, long d, long e, long f);

#endif
