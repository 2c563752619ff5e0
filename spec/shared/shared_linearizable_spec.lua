-- Recorded histories of concurrent operations on one field are those of operations one by one.
local _thread = require "lthread"
local linearizable = require "support.linearizable"

-- What a field does when one operation comes after the other.
local function apply(state, operation)
  local kind, result = operation.kind, operation.result
  if kind == "get" then
    return result == state, state
  elseif kind == "set" then
    return true, operation.value
  elseif kind == "swap" then
    return result == state, operation.value
  elseif kind == "add" then
    local sum = (state or 0) + operation.value
    return result == sum, sum
  elseif kind == "update" then
    local value = (state or 0) * 2 + operation.value
    return result == value, value
  elseif state == operation.old then
    return result == true, operation.value
  else
    return result == false, state
  end
end

-- One thread's part of a history, as a list of operations.
local function record(t, thread, seed, length)
  local T = require "lthread"
  local monotonic = T.monotonic
  local kinds = {"get", "get", "get", "set", "swap", "add", "cas", "update"}
  local operations, random, last = {}, seed, nil
  local function choose(n)
    random = (random * 1103515245 + 12345) % 2147483648
    return random // 65536 % n
  end
  T.add(t, "ready", 1)
  repeat until t.go
  for i = 1, length do
    local kind = kinds[choose(#kinds) + 1]
    local value = choose(3) > 0 and choose(4) or nil
    if kind == "add" or kind == "update" then value = value or 1 end
    local operation = {thread = thread, kind = kind, value = value, old = last}
    operation.begin = monotonic()
    if kind == "get" then
      operation.result = t.x
    elseif kind == "set" then
      t.x = value
    elseif kind == "swap" then
      operation.result = T.swap(t, "x", value)
    elseif kind == "add" then
      operation.result = T.add(t, "x", value)
    elseif kind == "update" then
      operation.result = T.update(t, "x", function(x) return (x or 0) * 2 + value end)
    else
      operation.result = T.cas(t, "x", operation.old, value)
    end
    operation.finish = monotonic()
    if kind == "get" then last = operation.result end
    operations[i] = operation
  end
  return operations
end

local function history(thread_count, length, seed)
  local t = _thread.shared()
  local threads, operations = {}, {}
  for i = 1, thread_count do
    threads[i] = _thread.start_joinable_thread(record, {args = {t, i, seed * 100 + i, length}})
  end
  repeat until t.ready == thread_count
  t.go = true
  for i = 1, thread_count do
    for _, operation in ipairs(threads[i]:result()) do
      operations[#operations + 1] = operation
    end
  end
  return operations
end

describe("The checker of histories", function()
  local function operation(thread, begin, finish, kind, value, result)
    return {thread = thread, begin = begin, finish = finish, kind = kind, value = value,
      result = result}
  end

  it("takes operations that overlap in any order that fits", function()
    assert.is_true(linearizable({
      operation(1, 1, 4, "set", 1), operation(2, 2, 3, "get", nil, nil),
      operation(2, 5, 6, "get", nil, 1)}, nil, apply))
    assert.is_true(linearizable({
      operation(1, 1, 4, "set", 1), operation(2, 2, 3, "get", nil, 1)}, nil, apply))
  end)

  it("finds a value that comes too late, one that is lost, and two winners", function()
    assert.is_false(linearizable({
      operation(1, 1, 2, "set", 1), operation(2, 3, 4, "get", nil, nil)}, nil, apply))
    assert.is_false(linearizable({
      operation(1, 1, 4, "add", 1, 1), operation(2, 2, 3, "add", 1, 1)}, nil, apply))
    assert.is_false(linearizable({
      operation(1, 1, 9, "set", 1), operation(2, 2, 3, "get", nil, 1),
      operation(3, 4, 5, "get", nil, nil)}, nil, apply))
  end)
end)

describe("Operations on a shared table", function()
  for _, thread_count in ipairs {2, 3, 4, 8} do
    it(("are linearizable with %d threads"):format(thread_count), function()
      for seed = 1, 40 do
        local length = 160 // thread_count
        assert.is_true(linearizable(history(thread_count, length, seed), nil, apply),
          "seed " .. seed)
      end
    end)
  end

  it("are linearizable for readers beside a rare writer", function()
    for _ = 1, 20 do
      local t = _thread.shared {x = 0}
      local function read(thread)
        local monotonic = require "lthread".monotonic
        local operations, last = {}, nil
        for _ = 1, 3000 do
          local begin = monotonic()
          local result = t.x
          if result ~= last then
            operations[#operations + 1] = {thread = thread, kind = "get", result = result,
              begin = begin, finish = monotonic()}
            last = result
          end
        end
        return operations
      end
      local readers = {}
      for i = 1, 3 do readers[i] = _thread.start_joinable_thread(read, {args = {i}}) end
      local operations = {}
      for i = 1, 10 do
        local begin = _thread.monotonic()
        t.x = i
        operations[i] = {thread = 0, kind = "set", value = i, begin = begin,
          finish = _thread.monotonic()}
        local pause = _thread.monotonic() + 0.0002
        repeat until _thread.monotonic() > pause
      end
      for i = 1, 3 do
        for _, operation in ipairs(readers[i]:result()) do
          operations[#operations + 1] = operation
        end
      end
      assert.is_true(linearizable(operations, 0, apply))
    end
  end)
end)
