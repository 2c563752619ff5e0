# The documents as pages for a browser, and the reference as a page for man, by pandoc.

PAGES = $(patsubst doc/%.md,build/doc/%.html,$(wildcard doc/*.md))
MAN_PAGE = build/doc/lthread.3lua
PANDOC = pandoc --from gfm --lua-filter tools/pages.lua

## doc             the documents as pages, and a page for man, into build/doc
doc: $(PAGES) $(MAN_PAGE)

build/doc/%.html: doc/%.md tools/pages.lua doc/pages.css
	$(call NEED,pandoc)@mkdir -p $(@D) && cp $(wildcard doc/*.svg) doc/pages.css $(@D)
	$(call SAY,DOC $@)$(PANDOC) --standalone --toc --toc-depth=3 --css pages.css \
		--metadata pagetitle='lthread: $*' $(if $(filter reference,$*),--metadata indexed=true) -o $@ $<

$(MAN_PAGE): doc/reference.md tools/pages.lua
	$(call NEED,pandoc)@mkdir -p $(@D)
	$(call SAY,DOC $@)$(PANDOC) --standalone --to man --metadata title=lthread --metadata section=3lua \
		--metadata header='lthread $(VERSION)' -o $@ $<

.PHONY: doc
