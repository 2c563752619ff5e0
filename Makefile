# Builds, tests and installs lthread with GNU make. `make help` lists the targets.

VERSION = 0.1.0
UNAME := $(shell uname -s)

# Which of platform/ is compiled, with -DLT_PLATFORM_<NAME>.
PLATFORM ?= $(if $(filter Linux,$(UNAME)),linux,posix)
PLATFORM_linux = platform/posix.c platform/signals.c platform/linux.c
PLATFORM_posix = platform/posix.c platform/signals.c platform/portable.c

ifndef PLATFORM_$(PLATFORM)
$(error PLATFORM=$(PLATFORM) is unknown)
endif

# Lua's headers: LUA_INCDIR=directory, or by pkg-config under the usual names of Lua 5.4.
ifndef LUA_INCDIR
LUA_PC := $(shell for name in lua5.4 lua-5.4 lua54 lua; do \
	pkg-config --exists "$$name >= 5.4 $$name < 5.5" 2>/dev/null && echo $$name && break; done)
endif
LUA_CFLAGS := $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(if $(LUA_PC),$(shell pkg-config --cflags $(LUA_PC))))
NEED_HEADERS = $(if $(LUA_PC)$(LUA_INCDIR),,$(error no headers of Lua 5.4: \
	install them and pkg-config (sh tools/setup.sh does), or say make LUA_INCDIR=directory))

# Lua's library, only for the stand-alone host of the specs; the static one where there is one.
LUA_LIBS := $(if $(LUA_PC),$(shell pkg-config --libs $(LUA_PC)),-llua5.4)
LUA_LIBDIR := $(if $(LUA_PC),$(shell pkg-config --variable=libdir $(LUA_PC)))
LUA_LIB ?= $(or $(wildcard $(patsubst -l%,$(LUA_LIBDIR)/lib%.a,$(filter -llua%,$(LUA_LIBS)))),$(LUA_LIBS))

# The interpreter, for the specs and the demo.
ifndef LUA
LUA := $(shell for name in lua5.4 lua54 lua-5.4 lua; do \
	$$name -e 'os.exit(_VERSION == "Lua 5.4")' 2>/dev/null && command -v $$name && break; done)
endif
NEED_LUA = $(if $(LUA),,$(error no interpreter of Lua 5.4: \
	install one (sh tools/setup.sh does), or say make LUA=program))

# Every variant has objects of its own, in build/<variant>.
VARIANT ?= $(PLATFORM)
OUT = build/$(VARIANT)

COMMON := lthread.c $(wildcard src/*/*.c lib/*.c)
SOURCES := $(PLATFORM_$(PLATFORM)) $(COMMON)
OBJECTS := $(SOURCES:%.c=$(OUT)/%.o)
HOST := spec/support/host.c $(if $(filter tsan,$(VARIANT)),,$(if $(filter Linux,$(UNAME)),spec/support/memory.c))
FAILING := spec/support/failing.c
NATIVE := spec/support/native.c
HOSTS := $(wildcard spec/hosts/*.c)
LUA_FILES := $(wildcard lua/*.lua lua/*/*.lua)

CFLAGS ?= -O2 -g
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion
DEFINES := -DLT_PLATFORM_$(shell echo $(PLATFORM) | tr a-z A-Z)
FLAGS = -std=c11 -pthread -fPIC -fno-plt -fvisibility=hidden -I. $(LUA_CFLAGS) $(DEFINES) $(WARNINGS)
COMPILE = $(CC) $(FLAGS) $(SANITIZE) $(CPPFLAGS) $(CFLAGS)
LINK = $(CC) -pthread $(SANITIZE) $(CFLAGS) $(LDFLAGS)
SHARED = $(if $(filter Darwin,$(UNAME)),-bundle -undefined dynamic_lookup,-shared)
EXPORT = $(if $(filter Darwin,$(UNAME)),,-Wl,-E)
LIBS = -lm $(if $(filter Linux,$(UNAME)),-ldl)

## all        lthread.so and liblthread.a (PLATFORM=linux or posix, CC, CFLAGS, LUA_INCDIR)
all: lthread.so liblthread.a

lthread.so liblthread.a: %: $(OUT)/% FORCE
	@cmp -s $< $@ || { rm -f $@ && cp $< $@; }

$(OUT)/lthread.so: $(OBJECTS)
	$(LINK) $(SHARED) -o $@ $(OBJECTS) $(LIBS)

$(OUT)/liblthread.a: $(OBJECTS)
	rm -f $@
	$(AR) rcs $@ $(OBJECTS)

# In the host allocations fail on demand: spec/support/memory.c. It counts them, which would order
# before the thread sanitizer's eyes what nothing else orders.
WRAP = $(if $(filter %memory.c,$(HOST)),$(patsubst %,-Wl$(comma)--wrap=%,malloc calloc realloc aligned_alloc free))
comma := ,

$(OUT)/lua: $(HOST:%.c=$(OUT)/%.o) $(OUT)/liblthread.a
	$(LINK) $(EXPORT) $(WRAP) -o $@ $^ $(LUA_LIB) $(LIBS)

$(OUT)/spec/support/host.o: DEFINES += $(if $(WRAP),-DHAVE_MEMORY)

# The same with allocations that can be made to fail.
$(OUT)/failing: $(OUT)/$(FAILING:.c=.o) $(OUT)/liblthread.a
	$(LINK) $(EXPORT) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc -o $@ $^ $(LUA_LIB) $(LIBS)

# Programs that embed Lua and lthread each in a way of its own.
$(OUT)/hosts/%: $(OUT)/spec/hosts/%.o $(OUT)/liblthread.a
	@mkdir -p $(@D)
	$(LINK) $(EXPORT) -o $@ $^ $(LUA_LIB) $(LIBS)

BUILT_HOSTS := $(HOSTS:spec/hosts/%.c=$(OUT)/hosts/%)
.SECONDARY: $(HOSTS:%.c=$(OUT)/%.o)

# A module of the specs alone: what they want of the system.
$(OUT)/support/native.so: $(OUT)/$(NATIVE:.c=.o)
	@mkdir -p $(@D)
	$(LINK) $(SHARED) -o $@ $^ $(LIBS)

$(OUT)/%.o: %.c $(OUT)/flags
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c -o $@ $<

# Changes with the compiler, its options and the list of sources.
$(OUT)/flags: FORCE
	$(NEED_HEADERS)@mkdir -p $(@D)
	@echo '$(COMPILE) $(SOURCES)' | cmp -s - $@ || echo '$(COMPILE) $(SOURCES)' >$@

-include $(OBJECTS:.o=.d) $(HOST:%.c=$(OUT)/%.d) $(OUT)/$(FAILING:.c=.d) $(OUT)/$(NATIVE:.c=.d) $(HOSTS:%.c=$(OUT)/%.d) $(OUT)/bench/floor.d

# Lua finds the modules of this tree, then the user's own, then those of its default path.
RUN = env -u LUA_PATH_5_4 -u LUA_CPATH_5_4 \
	LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/$(SCRIPTS)/?.lua;$(or $(LUA_PATH_5_4),$(LUA_PATH),;)' \
	LUA_CPATH='$(BUILT);$(or $(LUA_CPATH_5_4),$(LUA_CPATH),;)'
test demo soak chance bench run-host: BUILT = $(CURDIR)/$(OUT)/?.so
SCRIPTS = spec

## test       the specs (ARGS=spec/sync, ARGS=spec/sync/lock_spec.lua, ARGS="--filter=word spec", LUA=lua5.4)
ARGS ?= spec
test: $(OUT)/lthread.so $(OUT)/failing $(OUT)/support/native.so $(BUILT_HOSTS)
	$(NEED_LUA)$(RUN) LTHREAD_FAILING=$(CURDIR)/$(OUT)/failing LTHREAD_HOSTS=$(CURDIR)/$(OUT)/hosts LTHREAD_LUA=$(abspath $(shell command -v $(LUA))) $(LUA) spec/run.lua $(ARGS)

## model      the models of spec/model with spin, as they are and without each step that matters
model:
	sh spec/model/check.sh $(MODELS)

## demo       an example, run from the tree
demo: $(OUT)/lthread.so
	$(NEED_LUA)$(RUN) $(LUA) examples/wordcount.lua

## soak       works on the shared data space for SECONDS=600 and looks whether memory stays flat
soak: $(OUT)/lthread.so
	$(NEED_LUA)$(RUN) $(LUA) spec/soak.lua $(or $(SECONDS),600)

## chance     programs made by chance, for SECONDS=30 (SEED=n: from this one on, SAME=1: this one only)
CHANCE = $(or $(SECONDS),30) $(SEED) $(SAME)
chance: $(OUT)/lthread.so $(OUT)/support/native.so
	$(NEED_LUA)$(RUN) $(LUA) spec/chance.lua $(CHANCE)

## chance-asan, chance-tsan    the same under the sanitizers
chance-asan chance-tsan: chance-%:
	@$(MAKE) --no-print-directory $* RUNNER=spec/chance.lua ARGS='$(CHANCE)'

## bench      the speed of all parts against floors in C and other libraries (ONLY=lock: of one part)
BENCH = thread lock transfer computing queue shared interrupt exception
bench: SCRIPTS = bench
bench: $(OUT)/lthread.so $(OUT)/floor.so
	$(NEED_LUA)$(if $(filter-out $(BENCH),$(ONLY)),$(error ONLY=$(ONLY): the parts are $(BENCH)))@\
	$(RUN) $(LUA) bench/support/run.lua '$(if $(ONLY),,bench/results.svg)' $(or $(ONLY),$(BENCH))

$(OUT)/floor.so: $(OUT)/bench/floor.o
	$(LINK) $(SHARED) -o $@ $^ $(LIBS)

# The sanitizers watch an interpreter that has lthread inside: spec/support/host.c.
SANITIZE_CC ?= $(if $(shell command -v clang),clang,$(CC))
SANITIZE_HOST = @$(MAKE) --no-print-directory run-host VARIANT=$@ CC='$(SANITIZE_CC)' CFLAGS='-O1 -g -fno-omit-frame-pointer'
SUPPRESSIONS := $(abspath $(wildcard spec/support/tsan.supp))

## asan       the specs under the address, leak and undefined-behaviour sanitizers
asan: export ASAN_OPTIONS = detect_leaks=1:allocator_may_return_null=1:abort_on_error=0:exitcode=86
asan: export UBSAN_OPTIONS = print_stacktrace=1
asan:
	$(SANITIZE_HOST) SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined'

## tsan       the specs under the thread sanitizer
tsan: export TSAN_OPTIONS = halt_on_error=0:exitcode=66:atexit_sleep_ms=0$(SUPPRESSIONS:%=:suppressions=%)
tsan:
	$(SANITIZE_HOST) SANITIZE='-fsanitize=thread'

# Shadow memory wants its addresses free, which some kernels' randomisation does not leave.
FIXED_ADDRESSES = $(shell setarch $$(uname -m) -R true 2>/dev/null && echo setarch $$(uname -m) -R)

RUNNER = spec/run.lua
run-host: $(OUT)/lua $(OUT)/lthread.so $(OUT)/failing $(OUT)/support/native.so $(BUILT_HOSTS)
	$(RUN) LTHREAD_FAILING=$(CURDIR)/$(OUT)/failing LTHREAD_HOSTS=$(CURDIR)/$(OUT)/hosts LTHREAD_LUA=$(CURDIR)/$< LTHREAD_SANITIZER=$(VARIANT) $(FIXED_ADDRESSES) $(CURDIR)/$< $(RUNNER) $(ARGS)

## lint       every compiler and platform at hand without a warning, and the checkers
LINT_PLATFORMS = $(if $(filter Linux,$(UNAME)),linux posix,posix)
LINT_COMPILERS = $(foreach cc,gcc clang,$(if $(shell command -v $(cc)),$(cc)))
LINT_BUILDS = $(foreach cc,$(LINT_COMPILERS),$(LINT_PLATFORMS:%=lint-$(cc)-%))
LINT_SOURCES = $(COMMON) $(HOST) $(FAILING) $(NATIVE) $(HOSTS) bench/floor.c $(sort $(foreach platform,$(LINT_PLATFORMS),$(PLATFORM_$(platform))))
C_FILES = $(wildcard $(foreach dir,. platform src/* lib spec/hosts spec/support bench examples examples/*,$(dir)/*.[ch]))

lint: $(LINT_BUILDS) $(LINT_SOURCES:%=tidy/%)
	$(NEED_LUA)$(LUA) tools/rockspec.lua rockspec/*.rockspec
	clang-format --dry-run -Werror $(C_FILES)
	luacheck --quiet --no-color $(wildcard lua spec examples bench tools/*.lua)

$(LINT_BUILDS):
	@$(MAKE) --silent --no-print-directory build-host VARIANT=$@ CC=$(word 2,$(subst -, ,$@)) PLATFORM=$(word 3,$(subst -, ,$@)) \
		WARNINGS='$(WARNINGS) -Werror'

build-host: $(OUT)/lthread.so $(OUT)/lua $(OUT)/failing $(OUT)/support/native.so $(BUILT_HOSTS) $(OUT)/floor.so

tidy/%: FORCE
	@clang-tidy --quiet $* -- $(FLAGS)

tidy/platform/portable.c: DEFINES = -DLT_PLATFORM_POSIX

## format     rewrite the C with clang-format
format:
	clang-format -i $(C_FILES)

## install    into PREFIX=/usr/local (below DESTDIR, if any)
PREFIX ?= /usr/local
ROOT = $(DESTDIR)$(PREFIX)
LUA_DIR = $(ROOT)/share/lua/5.4
SO_DIR = $(ROOT)/lib/lua/5.4
PC_DIR = $(ROOT)/lib/pkgconfig

install: $(OUT)/lthread.so $(OUT)/liblthread.a
	mkdir -p $(sort $(dir $(LUA_FILES:lua/%=$(LUA_DIR)/%))) $(SO_DIR) $(PC_DIR) $(ROOT)/include
	for file in $(LUA_FILES:lua/%=%); do \
		install -m 644 lua/$$file $(LUA_DIR)/$$file || exit; done
	install -m 755 $(OUT)/lthread.so $(SO_DIR)/lthread.so
	install -m 644 $(OUT)/liblthread.a $(ROOT)/lib/liblthread.a
	install -m 644 lthread.h $(ROOT)/include/lthread.h
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@LUA@|$(LUA_PC)|' \
		-e 's|@LIBS@|$(LIBS)|' lthread.pc.in >$(PC_DIR)/lthread.pc

## uninstall  what install put there
uninstall:
	rm -f $(LUA_FILES:lua/%=$(LUA_DIR)/%) $(SO_DIR)/lthread.so $(ROOT)/lib/liblthread.a \
		$(ROOT)/include/lthread.h $(PC_DIR)/lthread.pc
	-rmdir $(LUA_DIR)/lthread

## clean      remove what was built
clean:
	rm -rf build lthread.so liblthread.a *.o platform/*.o src/*/*.o lib/*.o

help:
	@sed -n 's/^## /make /p' Makefile

FORCE:

.PHONY: all test model demo soak chance chance-asan chance-tsan bench asan tsan run-host lint $(LINT_BUILDS) build-host format install uninstall \
	clean help FORCE
