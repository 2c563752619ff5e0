# Libraries of others, as Debian has them, in threads.

# What is written in Lua for an older version alone is tried here, too.
OLDER = $(subst $(empty) ,;,$(foreach version,5.4 5.3 5.2 5.1,/usr/share/lua/$(version)/?.lua /usr/share/lua/$(version)/?/init.lua))

## libraries       what others wrote, used in threads (ARGS="--filter=luv"); sh tools/setup.sh libraries installs it
libraries: LUA_PATH := $(or $(LUA_PATH_5_4),$(LUA_PATH),;);$(OLDER)
libraries: ARGS = spec/libraries
libraries: $(OUT)/lthread.so
	$(NEED_LUA)$(call SAY,TEST $(ARGS))$(RUN) LTHREAD_LUA=$(abspath $(shell command -v $(LUA))) $(LUA) spec/run.lua --pattern=_check $(ARGS)

.PHONY: libraries
