# The specs on other processors and with another C library, with Debian's Lua for them. It wants gcc-i686-linux-gnu,
# gcc-aarch64-linux-gnu, gcc-s390x-linux-gnu, qemu-user-static and musl-tools.

TRIPLE_i386 = i386-linux-gnu
TRIPLE_arm64 = aarch64-linux-gnu
TRIPLE_s390x = s390x-linux-gnu
CROSS_i386 = i686-linux-gnu-gcc -Wno-psabi
CROSS_arm64 = aarch64-linux-gnu-gcc
CROSS_s390x = s390x-linux-gnu-gcc
FOREIGN = i386 arm64 s390x
MATRIX = lua54 sid54 lua55 musl $(FOREIGN)

## matrix          the specs with Lua 5.4, that of Debian sid, and 5.5, with musl, on i386, arm64 and s390x; prints what passed. Also one by one: matrix-i386 (ARGS as above)
matrix:
	@mkdir -p build; failed=0; for target in $(MATRIX); do \
		log=build/matrix-$$target.log; begin=$$(date +%s); \
		$(MAKE) --no-print-directory matrix-$$target >$$log 2>&1 || failed=1; \
		found=$$(sed -n 's/^\([0-9]* success.*\) : .*/\1/p' $$log | tail -n 1); \
		printf '%-7s %4d s  %s\n' $$target $$(($$(date +%s) - begin)) "$${found:-did not end: $$log}"; \
	done; exit $$failed

# What an emulator or an old libc breaks is left out by name; spec/left_out.txt says why.
left_out = $(shell sed -n 's/^$(1)  *\([^ ]*\) .*/--filter-out=\1/p' spec/left_out.txt)
BREAKS_arm64 = qemu
BREAKS_s390x = qemu

matrix-run-%: # ROOT: where tools/root.sh has put it
	@$(MAKE) --no-print-directory programs
	@mkdir -p $(OUT)/run/hosts
	@for program in failing $(HOSTS:spec/hosts/%.c=hosts/%); do \
		printf '#!/bin/sh\nexec %s %s "$$@"\n' $(ROOT)/run $(CURDIR)/$(OUT)/$$program >$(OUT)/run/$$program; \
		chmod +x $(OUT)/run/$$program; done
	@$(MAKE) --no-print-directory test PROGRAMS="LTHREAD_FAILING='$(CURDIR)/$(OUT)/run/failing' LTHREAD_HOSTS='$(CURDIR)/$(OUT)/run/hosts'" \
		ARGS="$(if $(BREAKS_$*),$(call left_out,$(BREAKS_$*))) $(ARGS)"

$(FOREIGN:%=matrix-%): matrix-%:
	@sh tools/root.sh $* build/foreign-$*
	@$(MAKE) --no-print-directory matrix-run-$* VARIANT=$* ROOT=$(CURDIR)/build/foreign-$* LUA=$(CURDIR)/build/foreign-$*/lua \
		CC='$(CROSS_$*) --sysroot=$(CURDIR)/build/foreign-$*/root' \
		LUA_INCDIR=$(CURDIR)/build/foreign-$*/root/usr/include/lua5.4 \
		LUA_LIB=$(CURDIR)/build/foreign-$*/root/usr/lib/$(TRIPLE_$*)/liblua5.4.a \
		LUA_PATH='$(subst ROOT,$(CURDIR)/build/foreign-$*/root,ROOT/usr/share/lua/5.4/?.lua;ROOT/usr/share/lua/5.4/?/init.lua)' \
		LUA_CPATH='$(CURDIR)/build/foreign-$*/root/usr/lib/$(TRIPLE_$*)/lua/5.4/?.so'

MUSL = $(CURDIR)/build/foreign-musl

matrix-musl:
	@sh tools/musl.sh $(MUSL)
	@$(MAKE) --no-print-directory test VARIANT=musl LUA=$(MUSL)/lua \
		CC='musl-gcc -idirafter $(MUSL)/kernel' LUA_INCDIR=$(MUSL)/include LUA_LIB=$(MUSL)/liblua.a \
		LUA_PATH='/usr/share/lua/5.4/?.lua;/usr/share/lua/5.4/?/init.lua' LUA_CPATH='$(MUSL)/lib/?.so' ARGS="$(call left_out,musl) $(ARGS)"

matrix-lua54: test
matrix-lua55: lua55

SID = $(CURDIR)/build/lua-5.4-sid

matrix-sid54:
	@sh tools/sid.sh 5.4 $(SID)
	@$(MAKE) --no-print-directory run-host VARIANT=sid54 LUA_INCDIR=$(SID)/include LUA_LIB=$(SID)/liblua5.4.a

LUA_FOR_WINDOWS = $(CURDIR)/build/lua-windows

## matrix-windows  the specs on Windows, which mingw-w64 builds and wine runs; not part of matrix (ARGS: files and folders)
matrix-windows:
	@sh tools/windows.sh '$(LUA_FOR_WINDOWS)'
	@$(MAKE) --no-print-directory PLATFORM=windows CC=x86_64-w64-mingw32-gcc LUA_INCDIR='$(LUA_FOR_WINDOWS)/include' LUA_LIBDIR='$(LUA_FOR_WINDOWS)'
	@sh tools/wine.sh '$(LUA_FOR_WINDOWS)' build/windows/lthread.dll $(ARGS)

.PHONY: matrix matrix-windows $(MATRIX:%=matrix-%)
