# The specs on Lua 5.5, in an interpreter with lthread inside.

LUA_5.5 = $(CURDIR)/build/lua-5.5

## lua55           the specs on Lua 5.5 of Debian sid, which tools/lua55.sh fetches (ARGS as above)
lua55:
	@sh tools/lua55.sh '$(LUA_5.5)'
	@sh tools/luasocket.sh '$(LUA_5.5)' '$(LUA_5.5)/include'
	@$(MAKE) --no-print-directory run-host VARIANT=lua55 LUA_VERSION=5.5 LUA_INCDIR='$(LUA_5.5)/include' LUA_LIB='$(LUA_5.5)/liblua5.5.a' \
		LUA_CPATH='$(LUA_5.5)/lib/?.so;;'

.PHONY: lua55
