-- Runs under spec/support/failing.c: every operation on shared tables, with each of its allocations
-- failing in turn: "once", or that one and all after it, "on". Prints that it is done.
local _thread = require "lthread"
local queue = require "lthread.queue"
local failing = require "failing"

local how = ...

local long = ("long"):rep(100)
local unknown = 0

-- An object of a new class each time, with its class as a field.
local function new_object()
  local class = setmetatable({}, {__index = {base = long}})
  class.__index, class.class = function(_, key) return class[key] or long end, class
  class.__newindex = function(t, key, value) _thread.rawset(t, key, {value}) end
  class.__len = function() return unknown end
  return setmetatable({1, {long}, class = class}, class)
end

local function filled(count, prefix)
  local t = _thread.shared()
  for i = 1, count do t[prefix and prefix .. i or i] = i end
  return t
end

local function fields_of(t)
  local fields = {}
  for key, value in pairs(t) do fields[key] = value end
  return fields
end

-- Plain tables are copies that each read makes.
local function equal(a, b)
  return a == b or type(a) == "table" and type(b) == "table"
end

local function same(a, b)
  for key, value in pairs(a) do if not equal(b[key], value) then return false, key end end
  for key, value in pairs(b) do if not equal(a[key], value) then return false, key end end
  return true
end

-- Each has the operation, 'run', and where it needs a certain table, how to make that. 'reads': it
-- leaves the table as it is also when it succeeds; 'in_steps': a part may be done when it fails.
local operations = {
  {"new", reads = true, run = function() return _thread.shared() end},
  {"new from a table", reads = true, run = function()
    return _thread.shared {1, 2, {3, x = {y = long}}, f = function() return unknown end}
  end},
  {"set an integer", run = function(t) t.x = 1 end},
  {"set a long key", run = function(t) t[long] = 1 end},
  {"set a string", run = function(t) t.x = long end},
  {"set a table", run = function(t) t.x = {1, 2, {a = {long, {}}}} end},
  {"set a function", run = function(t) t.x = function() return unknown, long end end},
  {"set a library function", run = function(t) t.x = string.format end},
  {"set an exception", run = function(t) t.x = _thread.ValueError(long) end},
  {"set an object", run = function(t) t.x = _thread.shared(new_object()) end},
  {"set a lock", run = function(t) t.x = _thread.ValueError end},
  {"append", run = function(t) t[#t + 1] = 1 end},
  {"append after entries", make = function()
    local t = _thread.shared()
    for i = 20, 2, -1 do t[i] = i end
    return t
  end, run = function(t) t[1] = 1 end},
  {"append to holes", make = function()
    local t = filled(32)
    for i = 1, 31 do if i ~= 20 then t[i] = nil end end
    return t
  end, run = function(t) t[33] = 1 end},
  {"remove all", run = function(t) for key in pairs(t) do t[key] = nil end end, in_steps = true},
  {"add", run = function(t) _thread.add(t, "x", 1) end},
  {"swap", run = function(t) return _thread.swap(t, "x", {long}) end},
  {"swap with a string", run = function(t) return _thread.swap(t, "x", 1) end, make = function()
    return _thread.shared {x = long}
  end},
  {"swap with a table", run = function(t) return _thread.swap(t, "x", 1) end, make = function()
    return _thread.shared {x = {{long}}}
  end},
  {"cas", run = function(t) assert(_thread.cas(t, "x", nil, {long})) end},
  {"update", run = function(t) _thread.update(t, "x", function() return {long} end) end},
  {"copy a range", reads = true, run = function(t) return _thread.copy(t, 2, 4) end,
    make = function() return _thread.shared {1, {2, {long}}, long, function() return long end} end},
  {"assign", run = function(t)
    _thread.assign(t, 3, {1, long, {1, {long}}, function() return unknown end, n = 9})
  end, make = function() return filled(5) end},
  {"assign beyond the end", run = function(t)
    local list = {}
    for i = 1, 40 do list[i] = i % 2 == 0 and i or long .. i end
    _thread.assign(t, 2, list)
  end, make = function()
    local t = filled(3)
    t[6], t[8], t[100], t.x = "six", {8}, 100, 1
    return t
  end},
  {"copy", reads = true, run = function(t) return _thread.copy(t) end, make = function()
    return _thread.shared {{{{long}}}, x = {long}, f = function() return long end}
  end},
  {"walk", reads = true, run = function(t) for _ in pairs(t) do end end, make = function()
    local t = filled(20, "k")
    t[long], t.l = {long}, {long}
    return t
  end},
  {"read", reads = true, run = function(t) return t.text, t.inner, t.f, t.o end, make = function()
    local t = _thread.shared()
    _thread.start_joinable_thread(function()
      t.text, t.inner, t.f, t.o = long, {1}, function() return long end, _thread.ValueError "no"
    end):join()
    return t
  end},
  {"new object", reads = true, run = function() return _thread.shared(new_object()) end},
  {"new objects of one class", reads = true, run = function()
    local class = getmetatable(new_object())
    return _thread.shared({1}, class), _thread.shared({2}, class)
  end},
  {"receive an object", reads = true, make = function()
    local t = _thread.shared()
    _thread.start_joinable_thread(function() t.o = _thread.shared(new_object()) end):join()
    return t
  end, run = function(t) return t.o.base, t.o.class, t.o.__index, #t.o end},
  {"receive an object with a message", reads = true, make = function()
    local t = _thread.shared {queue = queue.SimpleQueue()}
    _thread.start_joinable_thread(function()
      local object = _thread.shared(new_object())
      t.queue:put {object, getmetatable(object), _thread.shared(new_object())}
    end):join()
    return t
  end, run = function(t)
    local message = t.queue:get()
    assert(getmetatable(message[1]) == message[2] and #message[3] == 0)
  end},
  {"copy an object", reads = true, run = function(t) return _thread.copy(t) end, make = function()
    return _thread.shared {_thread.shared(new_object())}
  end},
  {"length", reads = true, run = function(t) return #t end},
  {"globals", reads = true, run = function() return _thread.globals.print end},
  {"collect", reads = true, run = function()
    local ok, message = pcall(_thread.collect)
    assert(ok or message == "not enough memory")
  end},
}

local function settle()
  repeat
    collectgarbage()
    collectgarbage()
  until _thread.collect().freed == 0
  return _thread.shared_memory()
end

-- The table is whole, and as before unless something was to change.
local function check(operation, t, before, succeeded)
  local now = fields_of(t)
  if operation.reads or not succeeded and not operation.in_steps then
    local is_same, key = same(before, now)
    assert(is_same, ("%s: %s"):format(operation[1], key))
  elseif not operation.in_steps then
    assert(not same(before, now), operation[1])
  end
  for key, value in pairs(now) do assert(equal(t[key], value)) end
  local border = #t
  assert(t[border + 1] == nil and (border == 0 or t[border] ~= nil), operation[1] .. border)
  t.after = "after"
  assert(t.after == "after")
end

local failures = 0

local function try(operation, make)
  local n, succeeded = 0, false
  while not succeeded do
    n = n + 1
    local t = make()
    -- What a state has seen of a table it keeps, and then finds without an allocation.
    local before = not (operation.reads and operation.make) and fields_of(t)
    collectgarbage()
    local failed, ok, message = failing(how, n, operation.run, t)
    assert(ok or failed > 0 and message == "not enough memory",
      operation[1] .. ": " .. tostring(message))
    check(operation, t, before or fields_of(t), ok)
    failures = failures + failed
    succeeded = failed == 0
  end
end

local start = settle()
for _, operation in ipairs(operations) do
  if operation.make then
    try(operation, operation.make)
  else
    for _, count in ipairs {0, 3, 4, 8, 12, 64} do
      try(operation, function() return filled(count) end)
      try(operation, function() return filled(count, "k") end)
    end
  end
end
-- The state may keep a few things for later, but nothing for each failure.
assert(settle() - start < 2000, settle() - start)
assert(failures > 500, failures)
print "done"
