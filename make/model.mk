## model           the models of spec/model with spin, whole and without each step that matters (MODELS=file.pml)
model:
	$(call NEED,spin)@sh spec/model/check.sh $(MODELS)

## litmus          the litmus tests of spec/litmus with herd7, by default Debian sid's, fetched into build/ (HERD=herd7)
HERD ?= $(or $(shell command -v herd7),$(CURDIR)/build/herd/herd7)
litmus:
	@[ -x '$(HERD)' ] || sh tools/herd.sh build/herd
	@HERD='$(HERD)' sh spec/litmus/check.sh $(LITMUS)

.PHONY: model litmus
