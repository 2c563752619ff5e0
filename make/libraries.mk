# Libraries of others, as Debian has them, in threads.

# What is written in Lua for an older version alone is tried here, too.
OLDER = $(subst $(empty) ,;,$(foreach version,5.4 5.3 5.2 5.1,/usr/share/lua/$(version)/?.lua /usr/share/lua/$(version)/?/init.lua))

## libraries       what others wrote, used in threads (ARGS="--filter=luv"); sh tools/setup.sh libraries installs it
libraries: LUA_PATH := $(or $(LUA_PATH_5_4),$(LUA_PATH),;);$(OLDER)
libraries: ARGS = spec/libraries
libraries: $(OUT)/lthread.so $(OUT)/blocking.so
	$(NEED_LUA)$(call SAY,TEST $(ARGS))$(RUN) LTHREAD_LUA=$(abspath $(shell command -v $(LUA))) $(LUA) spec/run.lua --pattern=_check $(ARGS)

# The example of a module that waits in libraries of others.
WAITED_IN = sqlite3 libcurl libuv
$(OUT)/blocking.so: examples/blocking.c lthread.h
	$(if $(shell pkg-config --exists $(WAITED_IN) && echo yes),,$(error no headers of $(WAITED_IN): sh tools/setup.sh libraries installs them))@mkdir -p $(@D)
	$(call SAY,LINK $@)$(CC) $(FLAGS) $(SANITIZE) $(CFLAGS) $(SHARED) -o $@ $< $(shell pkg-config --cflags --libs $(WAITED_IN))

.PHONY: libraries
