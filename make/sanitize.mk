# The sanitizers watch an interpreter that has lthread inside: spec/support/host.c.

SANITIZE_CC ?= $(or $(shell command -v clang),$(CC))
RUN_HOST = @$(MAKE) --no-print-directory run-host VARIANT=$(or $(VARIANT_OF_ASAN),$@) CC='$(SANITIZE_CC)' CFLAGS='-O1 -g -fno-omit-frame-pointer'
RUNNER = spec/run.lua

## asan            the specs under the address, leak and undefined-behaviour sanitizers (ARGS as above)
asan: export ASAN_OPTIONS = detect_leaks=1:allocator_may_return_null=1:abort_on_error=0:exitcode=86
asan: export UBSAN_OPTIONS = print_stacktrace=1
asan:
	$(RUN_HOST) SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined'

## tsan            the specs under the thread sanitizer (ARGS as above)
tsan: export TSAN_OPTIONS = halt_on_error=0:exitcode=66:atexit_sleep_ms=0
tsan:
	$(RUN_HOST) SANITIZE='-fsanitize=thread'

# Shadow memory wants its addresses free, which some kernels' randomisation does not leave.
FIXED_ADDRESSES = $(shell setarch $$(uname -m) -R true 2>/dev/null && echo setarch $$(uname -m) -R)

run-host: $(OUT)/lua $(OUT)/lthread.so programs
	$(call SAY,RUN $(RUNNER) $(ARGS))$(RUN) $(PROGRAMS) LTHREAD_LUA='$(CURDIR)/$<' LTHREAD_HOSTED=yes $(if $(SANITIZE),LTHREAD_SANITIZER=$(lastword $(subst -, ,$(VARIANT)))) $(FIXED_ADDRESSES) '$(CURDIR)/$<' $(RUNNER) $(ARGS)

.PHONY: asan tsan run-host
