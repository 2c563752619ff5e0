# Programs that run for as long as one likes.

## chance          programs made by chance, for SECONDS=30 (SEED=n: from this one on, SAME=1: this one only)
CHANCE = $(or $(SECONDS),30) $(SEED) $(SAME)
chance: $(OUT)/lthread.so programs
	$(NEED_LUA)$(call SAY,RUN spec/chance.lua)$(RUN) $(LUA) spec/chance.lua $(CHANCE)

## chance-asan     the same under the sanitizers of make asan
## chance-tsan     the same under the sanitizer of make tsan
chance-asan chance-tsan: chance-%:
	@$(MAKE) --no-print-directory $* RUNNER=spec/chance.lua ARGS='$(CHANCE)'

## soak            works on the shared data space for SECONDS=600 and looks whether memory stays flat
soak: $(OUT)/lthread.so
	$(NEED_LUA)$(call SAY,RUN spec/soak.lua)$(RUN) $(LUA) spec/soak.lua $(or $(SECONDS),600)

.PHONY: chance chance-asan chance-tsan soak
