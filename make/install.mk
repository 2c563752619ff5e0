# Installing. What is built is installed as it is: a packager says his flags to `make` only, and
# `make install` needs no compiler. All folders may have spaces in their names.

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
DOCDIR ?= $(DATADIR)/doc/lthread
MANDIR ?= $(DATADIR)/man
ANNOTATIONDIR ?= $(DATADIR)/lthread/library
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
LUA_LMOD ?= $(DATADIR)/lua/$(LUA_VERSION)
LUA_CMOD ?= $(LIBDIR)/lua/$(LUA_VERSION)

# $(call PUT,mode,folder,files): nothing depends on the umask.
PUT = install -d -m 755 '$(DESTDIR)$(2)' && install -m $(1) $(3) '$(DESTDIR)$(2)/'

# $(call REMOVE,folder,files)
REMOVE = cd '$(DESTDIR)$(1)' 2>/dev/null && rm -f $(notdir $(2)) || true

# $(call REMOVE_FOLDER,folder): one of ours, which is empty by now.
REMOVE_FOLDER = if test -d '$(DESTDIR)$(1)'; then rmdir '$(DESTDIR)$(1)'; fi

# What README.md links to stays where it says.
NOTES = README.md CHANGELOG.md SECURITY.md LICENSE
DOCUMENTS := $(wildcard doc/*.md doc/*.svg)
EXAMPLES := $(wildcard examples/*.lua examples/*.c)
ANNOTATIONS := $(wildcard library/*.lua)
MODULE_ANNOTATIONS := $(wildcard library/lthread/*.lua)
TRANSFER_ANNOTATIONS := $(wildcard library/lthread/transfer/*.lua)
BUILT_PAGES = $(wildcard build/doc/*.html build/doc/*.css build/doc/*.svg)
BUILT_MAN_PAGE = $(wildcard $(MAN_PAGE))

## install         what is built, into PREFIX=/usr/local below DESTDIR (also LIBDIR, INCLUDEDIR, DATADIR, DOCDIR, MANDIR,
##                 ANNOTATIONDIR, PKGCONFIGDIR, LUA_LMOD for modules in Lua, LUA_CMOD for those in C)
install: $(OUT)/$(MODULE) $(LIBRARIES:%=$(OUT)/%) $(OUT)/$(PACKAGE).pc
	$(call SAY,INSTALL modules in $(LUA_LMOD) and $(LUA_CMOD))$(call PUT,644,$(LUA_LMOD),lua/_thread.lua)
	@$(call PUT,755,$(LUA_CMOD),$(OUT)/$(MODULE))
	$(call SAY,INSTALL libraries in $(LIBDIR))$(call PUT,644,$(LIBDIR),$(filter %.a,$(LIBRARIES:%=$(OUT)/%)))
	@$(foreach library,$(filter-out %.a,$(LIBRARIES)),$(call PUT,755,$(LIBDIR),$(OUT)/$(library)))
	@$(if $(SONAME),cd '$(DESTDIR)$(LIBDIR)' && ln -sf $(SHARED_LIBRARY) $(SONAME) && ln -sf $(SONAME) $(LINK_NAME))
	$(call SAY,INSTALL lthread.h in $(INCLUDEDIR))$(call PUT,644,$(INCLUDEDIR),lthread.h)
	@$(call PUT,644,$(PKGCONFIGDIR),$(OUT)/$(PACKAGE).pc)
	$(call SAY,INSTALL documents in $(DOCDIR))$(call PUT,644,$(DOCDIR),$(NOTES))
	@$(call PUT,644,$(DOCDIR)/doc,$(DOCUMENTS))
	@$(call PUT,644,$(DOCDIR)/examples,$(EXAMPLES))
	@$(if $(BUILT_PAGES),$(call PUT,644,$(DOCDIR)/html,$(BUILT_PAGES)))
	@$(if $(BUILT_MAN_PAGE),$(call PUT,644,$(MANDIR)/man3,$(BUILT_MAN_PAGE)))
	@$(call PUT,644,$(ANNOTATIONDIR),$(ANNOTATIONS))
	@$(call PUT,644,$(ANNOTATIONDIR)/lthread,$(MODULE_ANNOTATIONS))
	@$(call PUT,644,$(ANNOTATIONDIR)/lthread/transfer,$(TRANSFER_ANNOTATIONS))

## uninstall       what install put there
uninstall:
	$(call SAY,UNINSTALL lthread)$(call REMOVE,$(LUA_LMOD),_thread.lua)
	@$(call REMOVE,$(LUA_CMOD),$(MODULE))
	@$(call REMOVE,$(LIBDIR),$(LIBRARIES) $(SONAME) $(LINK_NAME))
	@$(call REMOVE,$(INCLUDEDIR),lthread.h)
	@$(call REMOVE,$(PKGCONFIGDIR),$(PACKAGE).pc)
	@$(call REMOVE,$(DOCDIR)/examples,$(EXAMPLES))
	@$(call REMOVE_FOLDER,$(DOCDIR)/examples)
	@$(call REMOVE,$(DOCDIR)/html,*)
	@$(call REMOVE_FOLDER,$(DOCDIR)/html)
	@$(call REMOVE,$(MANDIR)/man3,$(MAN_PAGE))
	@$(call REMOVE,$(ANNOTATIONDIR)/lthread/transfer,$(TRANSFER_ANNOTATIONS))
	@$(call REMOVE_FOLDER,$(ANNOTATIONDIR)/lthread/transfer)
	@$(call REMOVE,$(ANNOTATIONDIR)/lthread,$(MODULE_ANNOTATIONS))
	@$(call REMOVE_FOLDER,$(ANNOTATIONDIR)/lthread)
	@$(call REMOVE,$(ANNOTATIONDIR),$(ANNOTATIONS))
	@$(call REMOVE_FOLDER,$(ANNOTATIONDIR))
	@$(call REMOVE,$(DOCDIR)/doc,$(DOCUMENTS))
	@$(call REMOVE_FOLDER,$(DOCDIR)/doc)
	@$(call REMOVE,$(DOCDIR),$(NOTES))
	@$(call REMOVE_FOLDER,$(DOCDIR))

# The folders are told at the installation, so it is written then.
$(OUT)/$(PACKAGE).pc: lthread.pc.in FORCE
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
		-e 's|@VERSION@|$(VERSION)|' -e 's|@PACKAGE@|$(PACKAGE)|' -e 's|@LUA@|$(LUA_PC)|' -e 's|@LUA_VERSION@|$(LUA_VERSION)|' \
		-e 's|@LIBS@|$(LIBS)|' lthread.pc.in >$@

.PHONY: install uninstall
