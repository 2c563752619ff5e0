/*
** The packer's memory. Each of its arrays begins in the packer itself and is replaced when it is
** full, so that until then a message costs no allocation but its own.
*/
#include "src/transfer/packer.h"

#include <stddef.h>
#include <stdlib.h>

#include "src/base/growing_array.h"
#include "src/object/exception.h"

/* Makes an array larger; 'own' is where it was not allocated. */
static void packer_grow(lua_State *L, void *pointer, const void *own, size_t *capacity,
                        size_t least, size_t element_size) {
  if (!lt_array_grow(pointer, own, capacity, least, element_size))
    lt_raise_memory(L);
}

static void free_unless(void *array, const void *own) {
  if (array != own)
    free(array);
}

void lt_packer_grow_bytes(lua_State *L, lt_Packer *packer, size_t size) {
  packer_grow(L, &packer->bytes, packer->own_bytes, &packer->capacity, packer->size + size, 1);
}

/*
** References
*/

void lt_packer_reserve_references(lua_State *L, lt_Packer *packer, size_t count) {
  if (count <= packer->reference_capacity - packer->reference_count)
    return;
  if (count > UINT32_MAX / 2 || packer->reference_count > UINT32_MAX / 2)
    lt_raise_memory(L);
  packer_grow(L, &packer->references, packer->own_references, &packer->reference_capacity,
              packer->reference_count + count, sizeof(lt_Reference));
}

void lt_packer_reserve_reference(lua_State *L, lt_Packer *packer) {
  if (packer->reference_count == packer->reference_capacity)
    lt_packer_reserve_references(L, packer, 1);
}

uint32_t lt_packer_add_object(lua_State *L, lt_Packer *packer, lt_Object *object) {
  lt_packer_reserve_reference(L, packer);
  lt_object_retain(object);
  return lt_packer_add_reference(packer, NULL, object);
}

void lt_packer_release_references(const lt_Reference *references, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (references[i].rule != NULL)
      references[i].rule->discard(references[i].target);
    else
      lt_object_release(references[i].target);
  }
}

/*
** Nodes
*/

static void grow_nodes(lua_State *L, lt_Packer *packer) {
  if (packer->node_count > UINT32_MAX / 2)
    lt_raise_memory(L);
  packer_grow(L, &packer->nodes, packer->own_nodes, &packer->node_capacity, 0, sizeof(lt_PackNode));
  size_t place_count = 2 * packer->node_capacity;
  uint32_t *places = calloc(place_count, sizeof(uint32_t));
  if (places == NULL)
    lt_raise_memory(L);
  free_unless(packer->met.places, packer->own_places);
  lt_address_map_fill(&packer->met, places, place_count, packer->nodes, sizeof(lt_PackNode),
                      packer->node_count);
}

/* That of a value which has been named, and whose contents follow now. */
static size_t take_body(lua_State *L, lt_Packer *packer, bool open) {
  size_t node = packer->body;
  packer->body = 0;
  packer->nodes[node].open = open;
  lt_packer_write(L, packer, &packer->nodes[node].slot, sizeof(uint32_t));
  return node;
}

size_t lt_packer_add_node(lua_State *L, lt_Packer *packer, const void *address, bool open) {
  static const uint32_t none = 0;
  if (packer->body != 0)
    return take_body(L, packer, open);
  if (packer->anchors != 0) {
    lua_pushvalue(L, -1);
    lua_rawseti(L, packer->anchors, (lua_Integer)packer->node_count);
  }
  if (packer->node_count >= packer->node_capacity)
    grow_nodes(L, packer);
  lt_packer_reserve(L, packer, sizeof(none));
  size_t node = packer->node_count++;
  packer->nodes[node] =
      (lt_PackNode){.address = address, .slot_offset = packer->size, .open = open};
  lt_packer_put(packer, &none, sizeof(none));
  *lt_packer_place(packer, address) = (uint32_t)node;
  return node;
}

void lt_packer_forget_nodes(lt_Packer *packer, size_t count) {
  packer->node_count = count;
  memset(packer->met.places, 0, (packer->met.mask + 1) * sizeof(uint32_t));
  lt_address_map_fill(&packer->met, packer->met.places, packer->met.mask + 1, packer->nodes,
                      sizeof(lt_PackNode), count);
}

/*
** Names
*/

bool lt_packer_find_path(lua_State *L, const void *address, lt_ModulePath *path) {
  if (lua_isnil(L, LT_MODULE_INDEX_PLACE)) {
    lt_Packer *packer = lua_touserdata(L, LT_PACKER_PLACE);
    lt_module_index_push(L, false, &packer->quiet);
    lua_replace(L, LT_MODULE_INDEX_PLACE);
  }
  return lt_module_names_find(L, LT_MODULE_INDEX_PLACE, address, path);
}

/*
** What leads to what is open, see lt_packer_refer
*/

/* Only the outermost counts. */
static void note_low(lt_Packer *packer, size_t low, bool through_code) {
  if (packer->depth == 0 || low == 0)
    return;
  lt_PackFrame *frame = &packer->frames[packer->depth - 1];
  if (frame->low == 0 || low < frame->low)
    frame->low = low;
  frame->through_code = frame->through_code || through_code;
}

void lt_packer_refer_by_rule(lua_State *L, lt_Packer *packer, size_t node) {
  bool through_code = false;
  while (node != 0 && !packer->nodes[node].open) {
    through_code = through_code || packer->nodes[node].through_code;
    node = packer->nodes[node].low; /* an earlier one */
  }
  if (node != 0 && node <= packer->ruled && !lt_pack_late_find_kind(L, packer, node, through_code))
    lt_pack_refuse_circle(L, packer);
  note_low(packer, node, through_code);
}

void lt_packer_close_node(lt_Packer *packer, size_t node, const lt_PackFrame *frame) {
  packer->nodes[node].open = false;
  packer->nodes[node].low = frame->low < node ? (uint32_t)frame->low : 0;
  packer->nodes[node].through_code = frame->through_code || frame->is_function || frame->is_class;
}

/*
** Frames
*/

lt_PackFrame *lt_packer_push_frame(lua_State *L, lt_Packer *packer, size_t node) {
  if (!lt_message_room_for_level(L, packer->depth))
    lt_pack_refuse_depth(L, packer);
  if (packer->depth == packer->frame_capacity)
    packer_grow(L, &packer->frames, packer->own_frames, &packer->frame_capacity, 0,
                sizeof(lt_PackFrame));
  lt_PackFrame *frame = &packer->frames[packer->depth++];
  memset(frame, 0, sizeof(*frame));
  frame->base = lua_gettop(L);
  frame->node = node;
  return frame;
}

void lt_packer_close_frame(lua_State *L, lt_Packer *packer, const lt_PackFrame *frame) {
  lt_packer_write_tag(L, packer, LT_TAG_END);
  lt_packer_close_node(packer, frame->node, frame);
  lua_settop(L, frame->base - 1);
  packer->depth--;
  const lt_PackNode *node = &packer->nodes[frame->node];
  note_low(packer, node->low, node->through_code);
}

void lt_packer_note_late_metatable(lua_State *L, lt_Packer *packer, const lt_PackFrame *frame,
                                   size_t metatable) {
  if (packer->late_count == packer->late_capacity)
    packer_grow(L, &packer->late, NULL, &packer->late_capacity, 4, sizeof(packer->late[0]));
  packer->late[packer->late_count][0] = frame->node;
  packer->late[packer->late_count][1] = metatable;
  packer->late_count++;
}

void lt_packer_write_late_metatables(lua_State *L, lt_Packer *packer) {
  size_t kept = 0;
  for (size_t i = 0; i < packer->late_count; i++) {
    size_t table = packer->late[i][0];
    size_t metatable = packer->late[i][1];
    if (packer->nodes[metatable].open) {
      packer->late[kept][0] = table;
      packer->late[kept++][1] = metatable;
      continue;
    }
    uint32_t slots[2] = {lt_packer_slot_of(packer, table), lt_packer_slot_of(packer, metatable)};
    lt_packer_write_tagged(L, packer, LT_TAG_LATE_METATABLE, slots, sizeof(slots));
  }
  packer->late_count = kept;
}

/*
** The whole
*/

static void packer_begin(lt_Packer *packer) {
  memset(&packer->bytes, 0, offsetof(lt_Packer, recent) - offsetof(lt_Packer, bytes));
  packer->bytes = packer->own_bytes;
  packer->capacity = LT_PACKER_BYTES;
  packer->references = packer->own_references;
  packer->reference_capacity = LT_PACKER_REFERENCES;
  packer->nodes = packer->own_nodes;
  packer->node_count = 1;
  packer->node_capacity = LT_PACKER_NODES;
  packer->met = (lt_AddressMap){packer->own_places, 2 * LT_PACKER_NODES - 1};
  packer->frames = packer->own_frames;
  packer->frame_capacity = LT_PACKER_FRAMES;
}

void lt_packer_init(lt_Packer *packer, lt_StringsRule strings, lt_DescribeValue describe,
                    const lt_PackBatch *batch) {
  packer->strings = strings;
  packer->describe = describe;
  packer->first = batch == NULL ? 0 : batch->first;
  packer->may_choose = batch != NULL && !batch->leaves_out;
  packer->leaves_out = batch != NULL && batch->leaves_out;
  packer->is_trial = false;
  packer->message = NULL;
  packer->refusal = NULL;
  packer->whole_classes = false;
  packer->whole_variables = false;
  packer->looks_for_classes = false;
  packer->has_late_kinds = false;
  packer->absent = NULL;
  packer->absent_count = 0;
  packer->absent_capacity = 0;
  packer_begin(packer);
}

static void packer_end(lt_Packer *packer) {
  lt_packer_release_references(packer->references, packer->reference_count);
  free_unless(packer->bytes, packer->own_bytes);
  free_unless(packer->references, packer->own_references);
  free_unless(packer->nodes, packer->own_nodes);
  free_unless(packer->met.places, packer->own_places);
  free_unless(packer->frames, packer->own_frames);
  free(packer->late);
  free(packer->modules);
  free(packer->bodies);
}

void lt_packer_free(lt_Packer *packer) {
  packer_end(packer);
  free(packer->absent);
}

void lt_packer_restart(lt_Packer *packer) {
  packer_end(packer);
  packer_begin(packer);
}
