# What the specs need besides the library: interpreters of their own, programs and a module in C.

SPEC_C := $(wildcard spec/*/*.[ch])
HOSTS := $(filter spec/hosts/%.c,$(SPEC_C))
EXPORT = $(if $(DARWIN),,-Wl,-E)
WRAP = $(patsubst %,-Wl$(comma)--wrap=%,malloc calloc realloc aligned_alloc)

# Lua's library, the static one where there is one.
LUA_LIBS := $(if $(LUA_PC),$(shell pkg-config --libs $(LUA_PC)),-llua$(LUA_VERSION))
LUA_LIBDIR := $(if $(LUA_PC),$(shell pkg-config --variable=libdir $(LUA_PC)))
LUA_LIB ?= $(or $(wildcard $(patsubst -l%,$(LUA_LIBDIR)/lib%.a,$(filter -llua%,$(LUA_LIBS)))),$(LUA_LIBS))

PROGRAMS = LTHREAD_FAILING='$(CURDIR)/$(OUT)/failing' LTHREAD_HOSTS='$(CURDIR)/$(OUT)/hosts'
MODULES_IN_C = $(patsubst %,$(OUT)/support/%.so,crossing doors native)
programs: $(OUT)/failing $(MODULES_IN_C) $(HOSTS:spec/hosts/%.c=$(OUT)/hosts/%)

# Lua with lthread inside, where the sanitizers see it. Allocations fail in it on demand, but not under
# the thread sanitizer: they are counted, which would order before its eyes what nothing else orders.
COUNTED = $(and $(LINUX),$(filter-out tsan,$(VARIANT)))
HOST = spec/support/host.c $(if $(COUNTED),spec/support/memory.c)

$(OUT)/lua: $(HOST:%.c=$(OUT)/%.o) $(OUT)/$(STATIC_LIBRARY)
	$(LINK) $(EXPORT) $(if $(COUNTED),$(WRAP) -Wl$(comma)--wrap=free) -o $@ $^ $(LUA_LIB) $(LIBS)

$(OUT)/spec/support/host.o: DEFINES += $(if $(COUNTED),-DHAVE_MEMORY)

# The same with allocations that can be made to fail one by one.
$(OUT)/failing: $(OUT)/spec/support/failing.o $(OUT)/$(STATIC_LIBRARY)
	$(LINK) $(EXPORT) $(WRAP) -o $@ $^ $(LUA_LIB) $(LIBS)

# Programs that embed Lua and lthread, each in a way of its own.
$(OUT)/hosts/%: $(OUT)/spec/hosts/%.o $(OUT)/$(STATIC_LIBRARY)
	@mkdir -p $(@D)
	$(LINK) $(EXPORT) -o $@ $^ $(LUA_LIB) $(LIBS)

# A Lua that does some things otherwise.
OTHERWISE = lua_dump lua_load $(if $(filter 5.4,$(LUA_VERSION)),lua_resetthread lua_gc,lua_closethread)
$(OUT)/hosts/other_lua: EXPORT += $(patsubst %,-Wl$(comma)--wrap=%,$(OTHERWISE))

# Modules in C.
$(MODULES_IN_C): $(OUT)/support/%.so: $(OUT)/spec/support/%.o
	@mkdir -p $(@D)
	$(LINK) $(SHARED) -o $@ $^ $(LIBS)

## cplusplus       lthread.h in C++, alone and before lua.hpp: compiles, links and runs
cplusplus: $(OUT)/$(STATIC_LIBRARY)
	$(call NEED,$(CXX))@mkdir -p $(OUT)/hosts
	$(call SAY,CXX spec/support/face.cc)for defines in '' -DWITH_LUA; do \
		$(CXX) -std=c++11 -Wall -Wextra -Wpedantic -pthread -I. $(LUA_CFLAGS) $$defines \
		-o $(OUT)/hosts/face spec/support/face.cc $(OUT)/$(STATIC_LIBRARY) $(LUA_LIB) $(LIBS) && \
		$(OUT)/hosts/face || exit; done

.PHONY: programs cplusplus
.SECONDARY: $(HOSTS:%.c=$(OUT)/%.o)
