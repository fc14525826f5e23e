/* Defaults of the sanitizers under a fuzzer: a stack for each allocation would take most of the time. To see where a
 * block came from, run the input once more with ASAN_OPTIONS=malloc_context_size=30. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "malloc_context_size=2:quarantine_size_mb=16:detect_stack_use_after_return=0:allocator_may_return_null=1";
}
