# The specs on other processors, with Debian's Lua for them. It wants gcc-i686-linux-gnu,
# gcc-aarch64-linux-gnu, gcc-s390x-linux-gnu and qemu-user-static.

TRIPLE_i386 = i386-linux-gnu
TRIPLE_arm64 = aarch64-linux-gnu
TRIPLE_s390x = s390x-linux-gnu
CROSS_i386 = i686-linux-gnu-gcc -Wno-psabi
CROSS_arm64 = aarch64-linux-gnu-gcc
CROSS_s390x = s390x-linux-gnu-gcc
FOREIGN = i386 arm64 s390x

## matrix          the specs on i386, arm64 and s390x, also one by one: matrix-i386 (ARGS as above)
matrix: $(FOREIGN:%=matrix-%)

$(FOREIGN:%=matrix-%): matrix-%:
	@sh tools/root.sh $* build/foreign-$*
	@$(MAKE) --no-print-directory test VARIANT=$* LUA=$(CURDIR)/build/foreign-$*/lua \
		CC='$(CROSS_$*) --sysroot=$(CURDIR)/build/foreign-$*/root' \
		LUA_INCDIR=$(CURDIR)/build/foreign-$*/root/usr/include/lua5.4 \
		LUA_LIB=$(CURDIR)/build/foreign-$*/root/usr/lib/$(TRIPLE_$*)/liblua5.4.a \
		LUA_PATH='$(subst ROOT,$(CURDIR)/build/foreign-$*/root,ROOT/usr/share/lua/5.4/?.lua;ROOT/usr/share/lua/5.4/?/init.lua)' \
		LUA_CPATH='$(CURDIR)/build/foreign-$*/root/usr/lib/$(TRIPLE_$*)/lua/5.4/?.so'

.PHONY: matrix $(FOREIGN:%=matrix-%)
