-- What it takes to copy values from one state into another.

local floor = require "floor"
local records = require "support.records"

local function median(list)
  table.sort(list)
  return (list[(#list + 1) // 2] + list[#list // 2 + 1]) / 2
end

-- Seconds for one call of f, the median of some. The garbage of one is no cost of the next.
local function each(count, f)
  local times = {}
  for i = 1, count do
    collectgarbage()
    local begin = floor.now()
    f()
    times[i] = floor.now() - begin
  end
  return median(times)
end

-- What one call returns more than another, of the medians of some calls in turns.
local function difference(count, one, other)
  local ones, others = {}, {}
  for i = 1, count do
    collectgarbage()
    ones[i] = one()
    collectgarbage()
    others[i] = other()
  end
  return median(ones) - median(others)
end

-- Seconds that a start takes longer with this argument, up to when the function runs and has it.
local function one_way(lthread, count, value)
  local monotonic = lthread.monotonic
  local function arrive() return monotonic() end
  local function start_with(...)
    local begin = monotonic()
    return lthread.start_joinable_thread(arrive, { args = { ... } }):result() - begin
  end
  return difference(count, function() return start_with(value) end, start_with)
end

local function new_big_string()
  return ("0123456789"):rep(1024 * 1024)
end

local function new_integers()
  local list = {}
  for i = 1, 1000000 do list[i] = i end
  return list
end

local function new_function()
  local a, b, c, d, e, f, g, h, i, j = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
  local k, l, m, n, o, p, q, r, s, t = 1.5, 2.5, 3.5, 4.5, 5.5, "p", "q", "r", "s", "t"
  return function()
    return a + b + c + d + e + f + g + h + i + j + k + l + m + n + o, p .. q .. r .. s .. t
  end
end

local function new_functions()
  local list = {}
  for i = 1, 100 do list[i] = new_function() end
  return list
end

-- The functions again, from their bytecode, with the same upvalues.
local function copy_functions(list)
  local copies = {}
  for i, f in ipairs(list) do
    local copy = load(string.dump(f), "copy", "b")
    for j = 1, 20 do
      debug.setupvalue(copy, j, select(2, debug.getupvalue(f, j)))
    end
    copies[i] = copy
  end
  return copies
end

local function string_line(what, base, take, target)
  return {
    what = what, unit = "ms", at_most = target,
    base = base,
    floor = function()
      local big = new_big_string()
      return difference(10, function() return take(big) end, function() return take "" end)
    end,
    ours = function(lthread) return one_way(lthread, 10, new_big_string()) end,
  }
end

local function copy_line(what, count, new, target)
  return {
    what = what, unit = "ms", at_most = target,
    base = "deep copy in Lua",
    floor = function()
      local value = new()
      return each(count, function() return records.deep_copy(value) end)
    end,
    ours = function(lthread) return one_way(lthread, count, new()) end,
    peers = {
      cjson = function(cjson)
        local value = new()
        return each(count, function() return cjson.decode(cjson.encode(value)) end)
      end,
    },
  }
end

-- A class whose methods are in the main script.
local function new_class()
  local class = {}
  class.__index = class
  function class.new(x, y) return setmetatable({ x = x, y = y }, class) end
  function class.get(self) return self.x end
  function class.add(self, other) return class.new(self.x + other.x, self.y + other.y) end
  function class.length(self) return math.sqrt(self.x ^ 2 + self.y ^ 2) end
  return class
end

-- Seconds to put the value and get it, in one thread.
local function through_queue(value)
  local q = require("lthread.queue").SimpleQueue()
  return each(20, function()
    for _ = 1, 1000 do
      q:put(value)
      q:get()
    end
  end) / 1000
end

-- A module with 30 functions, of which it is known what a fresh one has.
local function known_module()
  package.preload.bench_module = package.preload.bench_module or function()
    local module = {}
    for i = 1, 30 do module["f" .. i] = function(x) return x + i end end
    return module
  end
  local module = require "bench_module"
  require("lthread").start_joinable_thread(function() return module.f1(1) end):result()
  return module
end

-- Seconds for 20,000 of what 'new' makes to a thread, which finds so many metatables among them.
local function to_thread(count, new)
  local q = require("lthread.queue").SimpleQueue()
  local begin = floor.now()
  local handle = require("lthread").start_joinable_thread(function()
    local classes, found = {}, 0
    for _ = 1, 20000 do
      local metatable = getmetatable(q:get())
      if metatable and not classes[metatable] then
        classes[metatable], found = true, found + 1
      end
    end
    assert(found == count)
  end)
  for i = 1, 20000 do q:put(new(i, i)) end
  handle:join()
  return floor.now() - begin
end

return {
  {
    what = "an object, put + get", unit = "us",
    base = "a table without a class",
    floor = function() return through_queue { x = 1, y = 2 } end,
    ours = function() return through_queue(new_class().new(1, 2)) end,
  },
  {
    what = "a module of 30 functions, put + get", unit = "us",
    base = "a string in its place",
    floor = function() return through_queue { "module" } end,
    ours = function() return through_queue { known_module() } end,
  },
  {
    what = "20,000 objects of one class, to a thread", unit = "ms",
    base = "tables without a class",
    floor = function() return to_thread(0, function(x, y) return { x = x, y = y } end) end,
    ours = function() return to_thread(1, new_class().new) end,
  },
  copy_line("1,000 records, one way", 25, function() return records.new(1000) end, 0.5),
  string_line("a string of 10 MB", "malloc + memcpy", floor.copy, 1.3),
  string_line("a string of 10 MB, to a C thread", "a copy for a C thread's state", floor.send),
  {
    what = "100 functions, 20 upvalues each", unit = "us",
    base = "dump, load, setupvalue in Lua",
    floor = function()
      local list = new_functions()
      return each(100, function() return copy_functions(list) end)
    end,
    ours = function(lthread) return one_way(lthread, 100, new_functions()) end,
  },
  copy_line("a million integers", 3, new_integers),
}
