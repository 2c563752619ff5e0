## bench           the speed of all parts against floors in C and other libraries (ONLY=lock: of one part;
##                 CHART=doc/results.svg: draw it, too)
BENCH = thread lock sync transfer computing queue futures shared interrupt exception seeing
bench: SCRIPTS = bench
bench: $(OUT)/lthread.so $(OUT)/floor.so
	$(NEED_LUA)$(if $(filter-out $(BENCH),$(ONLY)),$(error ONLY=$(ONLY): the parts are $(BENCH)))@\
	$(RUN) $(LUA) bench/support/run.lua '$(CHART)' $(or $(ONLY),$(BENCH))

$(OUT)/floor.so: $(OUT)/bench/floor.o
	$(LINK) $(SHARED) -o $@ $^ $(LIBS)

.PHONY: bench
