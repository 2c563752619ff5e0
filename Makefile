# Builds, tests and installs lthread with GNU make. `make help` lists the targets; what only those
# need who change lthread is in make/. V=1 shows each command whole.

VERSION := $(shell sed -n 's/^.define LTHREAD_VERSION "\(.*\)"/\1/p' lthread.h)
UNAME := $(shell uname -s)
LINUX := $(filter Linux,$(UNAME))
DARWIN := $(filter Darwin,$(UNAME))
comma := ,
empty :=

# Which of platform/ is compiled, with -DLT_PLATFORM_<NAME>.
PLATFORMS = linux posix windows
PLATFORM_linux = platform/posix.c platform/events.c platform/polling.c platform/signals.c platform/linux.c
PLATFORM_posix = platform/posix.c platform/events.c platform/polling.c platform/signals.c platform/portable.c
PLATFORM_windows = platform/windows.c platform/windows_pokes.c platform/windows_sockets.c \
	platform/windows_commands.c platform/polling.c
PLATFORM ?= $(if $(LINUX),linux,posix)

ifeq ($(filter $(PLATFORM),$(PLATFORMS)),)
$(error PLATFORM=$(PLATFORM) is unknown ($(subst $(empty) ,$(comma) ,$(PLATFORMS))))
endif

WINDOWS := $(filter windows,$(PLATFORM))

# For which Lua: LUA_VERSION=5.4 or 5.5.
LUA_VERSIONS = 5.4 5.5
AFTER_5.4 = 5.5
AFTER_5.5 = 5.6
LUA_VERSION ?= 5.4

ifeq ($(filter $(LUA_VERSION),$(LUA_VERSIONS)),)
$(error LUA_VERSION=$(LUA_VERSION) is unknown ($(subst $(empty) ,$(comma) ,$(LUA_VERSIONS))))
endif

LUA_NAMES = lua$(LUA_VERSION) lua-$(LUA_VERSION) lua$(subst .,,$(LUA_VERSION)) lua
LUA_SUFFIX = $(subst .,_,$(LUA_VERSION))

# The module, and the libraries for hosts in C. Those for several versions of Lua may be installed side by side.
MODULE = lthread.$(if $(WINDOWS),dll,so)
PACKAGE = lthread$(patsubst %,-%,$(filter-out 5.4,$(LUA_VERSION)))
STATIC_LIBRARY = lib$(PACKAGE).a
SOVERSION = $(firstword $(subst ., ,$(VERSION)))
ifndef WINDOWS
LINK_NAME = lib$(PACKAGE).$(if $(DARWIN),dylib,so)
SONAME = $(if $(DARWIN),lib$(PACKAGE).$(SOVERSION).dylib,$(LINK_NAME).$(SOVERSION))
SHARED_LIBRARY = $(if $(DARWIN),lib$(PACKAGE).$(VERSION).dylib,$(LINK_NAME).$(VERSION))
endif
LIBRARIES = $(STATIC_LIBRARY) $(SHARED_LIBRARY)

# Its headers: LUA_INCDIR=directory, or by pkg-config under the usual names.
ifndef LUA_INCDIR
LUA_PC := $(shell for name in $(LUA_NAMES); do \
	pkg-config --exists "$$name >= $(LUA_VERSION) $$name < $(AFTER_$(LUA_VERSION))" 2>/dev/null && \
	echo $$name && break; done)
endif
LUA_CFLAGS := $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(if $(LUA_PC),$(shell pkg-config --cflags $(LUA_PC))))
NEED_HEADERS = $(if $(LUA_PC)$(LUA_INCDIR),,$(error no headers of Lua $(LUA_VERSION): \
	install them and pkg-config (sh tools/setup.sh does for Lua 5.4), or say make LUA_INCDIR=directory))

# The interpreter, for the specs and the demo.
ifndef LUA
LUA := $(shell for name in $(LUA_NAMES); do \
	$$name -e 'os.exit(_VERSION == "Lua $(LUA_VERSION)")' 2>/dev/null && command -v $$name && break; done)
endif
NEED_LUA = $(if $(LUA),,$(error no interpreter of Lua $(LUA_VERSION): \
	install one (sh tools/setup.sh does for Lua 5.4), or say make LUA=program))

# Every variant has objects of its own, in build/<variant>.
VARIANT ?= $(PLATFORM)$(patsubst %,-%,$(filter-out 5.4,$(LUA_VERSION)))
OUT = build/$(VARIANT)

TREE := $(wildcard lthread.[ch] platform/*.[ch] src/*/*.[ch] lib/*.[ch])
COMMON := $(filter-out platform/%,$(filter %.c,$(TREE)))
SOURCES := $(PLATFORM_$(PLATFORM)) $(COMMON)
OBJECTS := $(SOURCES:%.c=$(OUT)/%.o)

CFLAGS ?= -O2 -g
WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion
DEFINES := -DLT_PLATFORM_$(shell echo $(PLATFORM) | tr a-z A-Z)
DEFINES += $(if $(WINDOWS),-D__USE_MINGW_ANSI_STDIO=1 -DLUA_BUILD_AS_DLL)
PTHREAD = $(if $(WINDOWS),,-pthread)
FLAGS = -std=c11 $(PTHREAD) $(if $(WINDOWS),,-fPIC -fno-plt) -fvisibility=hidden -I. $(LUA_CFLAGS) $(DEFINES) $(WARNINGS)
COMPILE = $(CC) $(FLAGS) $(SANITIZE) $(CPPFLAGS) $(CFLAGS)
LINK = $(call SAY,LINK $@)$(CC) $(PTHREAD) $(SANITIZE) $(CFLAGS) $(LDFLAGS)
SHARED = $(if $(DARWIN),-bundle -undefined dynamic_lookup,-shared)
LIBS = -lm $(if $(LINUX),-ldl)

# Windows: Lua's library is lua54.dll, or its import library, in LUA_LIBDIR.
ifdef WINDOWS
SHARED = -shared -static-libgcc -Wl,--out-implib,$(OUT)/liblthread.dll.a
WARNINGS += -Wno-float-conversion -Wno-address # its isnan; all libraries are in the DLL
LIBS = $(if $(LUA_LIBDIR),-L$(LUA_LIBDIR)) -llua54 -lws2_32 -lsynchronization
endif

# $(call SAY,line)command: shows only the line, with V=1 the command, with make -s nothing.
SILENT := $(findstring s,$(firstword -$(MAKEFLAGS)))
SAY = $(if $(filter 1,$(V)),,@$(if $(SILENT),,echo '$(1)' && ))

## all             lthread.so and liblthread.a (LUA_VERSION=5.4 or 5.5, PLATFORM=linux or posix, CC, CFLAGS, LUA_INCDIR, V=1);
##                 with PLATFORM=windows CC=x86_64-w64-mingw32-gcc LUA_INCDIR=... LUA_LIBDIR=... lthread.dll
all: $(MODULE) $(STATIC_LIBRARY) $(LIBRARIES:%=$(OUT)/%)

$(MODULE) $(STATIC_LIBRARY): %: $(OUT)/% FORCE
	@cmp -s $< $@ || { rm -f $@ && cp $< $@; }

$(OUT)/$(MODULE): $(OBJECTS)
	$(LINK) $(SHARED) -o $@ $(OBJECTS) $(LIBS)

$(OUT)/$(STATIC_LIBRARY): $(OBJECTS)
	@rm -f $@
	$(call SAY,AR $@)$(AR) rcs $@ $(OBJECTS)

ifdef SHARED_LIBRARY
# What it wants of Lua, the host has.
$(OUT)/$(SHARED_LIBRARY): $(OBJECTS)
	$(LINK) $(if $(DARWIN),-dynamiclib -undefined dynamic_lookup -install_name '$(LIBDIR)/$(SONAME)',-shared -Wl$(comma)-soname$(comma)$(SONAME)) \
		-o $@ $(OBJECTS) $(LIBS)
endif

# Where there is no interpreter, or nothing new, the file is good as it is.
lib/lua_modules.c: $(wildcard lib/*.lua) tools/embed.lua
	$(if $(LUA),$(call SAY,EMBED $@)$(LUA) tools/embed.lua --write $@,@touch $@)

$(OUT)/%.o: %.c $(OUT)/flags
	@mkdir -p $(@D)
	$(call SAY,CC $<)$(COMPILE) -MMD -MP -c -o $@ $<

# Changes with the compiler, its options and the list of sources; `make install` alone takes what is there.
ONLY_INSTALLS := $(if $(MAKECMDGOALS),$(if $(filter-out install uninstall,$(MAKECMDGOALS)),,yes))
$(OUT)/flags: $(if $(ONLY_INSTALLS),,FORCE)
	$(NEED_HEADERS)@mkdir -p $(@D)
	@echo '$(COMPILE) $(SOURCES)' | cmp -s - $@ || echo '$(COMPILE) $(SOURCES)' >$@

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)

# Lua finds the modules of this tree, then the user's own, then those of its default path. For Lua
# 5.5 no distribution has luassert yet, with which spec/support/runner.lua runs the specs; that for
# 5.4 is good.
OF_5.4 = $(if $(filter 5.5,$(LUA_VERSION)),;/usr/share/lua/5.4/?.lua;/usr/share/lua/5.4/?/init.lua)
SCRIPTS = spec
BUILT = $(CURDIR)/$(OUT)/?$(suffix $(MODULE))
RUN = env -u LUA_PATH_$(LUA_SUFFIX) -u LUA_CPATH_$(LUA_SUFFIX) \
	LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/$(SCRIPTS)/?.lua;$(or $(LUA_PATH_$(LUA_SUFFIX)),$(LUA_PATH),;)$(OF_5.4)' \
	LUA_CPATH='$(BUILT);$(or $(LUA_CPATH_$(LUA_SUFFIX)),$(LUA_CPATH),;)'

# The build for this machine leaves the module where `require` finds it in this folder.
IN_PLACE = $(if $(filter $(PLATFORM),$(VARIANT)),$(MODULE))

## test            the specs (ARGS=spec/sync, ARGS=spec/sync/lock_spec.lua, ARGS="--filter=word spec", LUA=lua5.4)
ARGS ?= spec
test: $(OUT)/$(MODULE) $(IN_PLACE) programs
	$(NEED_LUA)$(call SAY,TEST $(ARGS))$(RUN) $(PROGRAMS) LTHREAD_LUA=$(abspath $(shell command -v $(LUA))) $(LUA) spec/run.lua $(ARGS)

## demo            an example, run from the tree
demo: $(OUT)/$(MODULE) $(IN_PLACE)
	$(NEED_LUA)$(call SAY,RUN examples/wordcount.lua)$(RUN) $(LUA) examples/wordcount.lua

## clean           remove what was built, here and by luarocks
clean:
	$(call SAY,CLEAN build)rm -rf build lthread.so lthread.dll liblthread*.a $(patsubst %.c,%.o,$(filter %.c,$(TREE)))

## help            this list
help:
	@sed -n 's/^## /make /p' $(filter Makefile make/%,$(MAKEFILE_LIST))

FORCE:

.PHONY: all test demo clean help FORCE

# $(call NEED,programs): ends with the way out where one of them is missing.
NEED = $(foreach program,$(1),$(if $(shell command -v $(program)),,\
	$(error no $(program): sh tools/setup.sh ci installs what is missing)))

include make/doc.mk make/install.mk make/matrix.mk make/lua55.mk make/programs.mk make/sanitize.mk make/chance.mk make/model.mk make/bench.mk make/libraries.mk make/lint.mk
