/* An empty directory in /tmp for the tests of a program, removed after the last. */
#pragma once

#include "cmocka_all.h"

#include "echoquant/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[64];

static int set_up(void **state)
{
    (void)state;
    eq_log_configure(EQ_LOG_ERROR);
    snprintf(dir, sizeof dir, "/tmp/echoquant-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}
