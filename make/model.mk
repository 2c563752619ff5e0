## model           the models of spec/model with spin, whole and without each step that matters (MODELS=file.pml)
model:
	$(call NEED,spin)@sh spec/model/check.sh $(MODELS)

.PHONY: model
