# Checks of the text: each compiler and platform without a warning, the linters, the house's own rules.

ROCKSPEC = rockspec/lthread-scm-1.rockspec
LINTERS = clang-tidy clang-format luacheck
LINT_PLATFORMS = $(if $(LINUX),$(filter-out windows,$(PLATFORMS)),posix)
LINT_COMPILERS = $(foreach cc,gcc clang,$(if $(shell command -v $(cc)),$(cc)))
LINT_BUILDS = $(foreach cc,$(LINT_COMPILERS),$(LINT_PLATFORMS:%=lint-$(cc)-%))
LINT_SOURCES = $(COMMON) $(filter %.c,$(SPEC_C)) bench/floor.c $(sort $(foreach platform,$(LINT_PLATFORMS),$(PLATFORM_$(platform))))
C_FILES = $(TREE) $(SPEC_C) $(wildcard bench/*.[ch] examples/*.[ch])

## lint            all checks: builds without a warning, linters, the rules of the house, the rockspec
lint: $(LINT_BUILDS) $(LINT_SOURCES:%=tidy/%) house
	$(call SAY,LINT $(ROCKSPEC))$(LUA) tools/rockspec.lua $(ROCKSPEC)
	$(call SAY,LINT lib/lua_modules.c)$(LUA) tools/embed.lua lib/lua_modules.c
	$(call SAY,LINT the format of the C files)clang-format --dry-run -Werror $(C_FILES)
	$(call SAY,LINT the Lua files)luacheck --quiet --no-color $(wildcard lua lib spec examples bench tools/*.lua)

## house           the floors (no include from above, no circle of files) and the names (none is in two files)
house:
	$(NEED_LUA)$(call SAY,LINT the floors)$(LUA) tools/floors.lua
	$(call SAY,LINT the names)$(LUA) tools/names.lua

## tidy/FILE.c     one file by clang-tidy
tidy/%: FORCE
	$(call NEED,$(LINTERS))$(call SAY,TIDY $*)clang-tidy --quiet $* -- $(FLAGS)

tidy/platform/portable.c: DEFINES = -DLT_PLATFORM_POSIX

# lint-gcc-linux and so on.
$(LINT_BUILDS):
	$(call NEED,$(LINTERS))$(call SAY,BUILD $@)$(MAKE) --silent --no-print-directory build-all VARIANT=$@ \
		CC=$(word 2,$(subst -, ,$@)) PLATFORM=$(word 3,$(subst -, ,$@)) WARNINGS='$(WARNINGS) -Werror'

build-all: $(OUT)/lthread.so $(OUT)/lua programs $(OUT)/floor.so

## format          rewrite the C with clang-format
format:
	$(call NEED,clang-format)clang-format -i $(C_FILES)

## rockspec        write the lists of files into the rockspec
rockspec:
	$(NEED_LUA)$(LUA) tools/rockspec.lua --write $(ROCKSPEC)

## embed           write the modules in Lua, lib/*.lua, into lib/lua_modules.c (the build does it, too)
embed:
	$(NEED_LUA)$(LUA) tools/embed.lua --write lib/lua_modules.c

.PHONY: embed lint house $(LINT_BUILDS) build-all format rockspec
