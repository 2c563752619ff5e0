# The specs on Lua 5.5, in an interpreter with lthread inside.

LUA_5.5 = $(CURDIR)/build/lua-5.5
FOR_5.5 = LUA_VERSION=5.5 LUA_INCDIR='$(LUA_5.5)/include' LUA_LIB='$(LUA_5.5)/liblua5.5.a' LUA_CPATH='$(LUA_5.5)/lib/?.so;;'

$(LUA_5.5)/lib/mime/core.so: tools/sid.sh tools/luasocket.sh
	@sh tools/sid.sh 5.5 '$(LUA_5.5)'
	@sh tools/luasocket.sh '$(LUA_5.5)' '$(LUA_5.5)/include'
	@touch $@

## lua55           the specs on Lua 5.5 of Debian sid, which tools/sid.sh fetches (ARGS as above)
lua55: $(LUA_5.5)/lib/mime/core.so
	@$(MAKE) --no-print-directory run-host VARIANT=lua55 $(FOR_5.5)

## lua55-asan      the same under the address, leak and undefined-behaviour sanitizers
lua55-asan: $(LUA_5.5)/lib/mime/core.so
	@$(MAKE) --no-print-directory asan VARIANT_OF_ASAN=lua55-asan $(FOR_5.5)

.PHONY: lua55 lua55-asan
