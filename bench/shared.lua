-- Shared tables: reading and writing them in one thread and in two.

local floor = require "floor"

local count = 500000

-- The work of one thread. Returns when it began and when it ended; the first turns don't count.
local function get_and_set(t)
  local now = require "floor".now
  t = t or require "floor".table()
  for i = 1, 10000 do local _ = t.x t.x = i end
  local begin = now()
  for i = 1, count do local _ = t.x t.x = i end
  return begin, now()
end

local function get(t)
  local now = require "floor".now
  t = t or require "floor".table()
  for _ = 1, 10000 do local _ = t.x end
  local begin = now()
  for _ = 1, count do local _ = t.x end
  return begin, now()
end

-- Turns a second, of all threads together, each of which works on one of the tables.
local function rate(lthread, work, tables)
  local handles, first, last = {}, math.huge, 0
  for i, t in ipairs(tables) do
    handles[i] = lthread.start_joinable_thread(work, { args = { t } })
  end
  for _, handle in ipairs(handles) do
    local begin, ended = handle:result()
    first, last = math.min(first, begin), math.max(last, ended)
  end
  return #tables * count / (last - first)
end

local function seconds_alone(t)
  local begin, ended = get_and_set(t)
  return (ended - begin) / count
end

local function new_table(lthread)
  return lthread.shared { x = 1 }
end

local function rate_of_one(work)
  return function()
    local lthread = require "lthread"
    return rate(lthread, work, { new_table(lthread) })
  end
end

-- Calls of a method, which is found by the object's class and gets a field.
local function seconds_of_call(object)
  local now = require "floor".now
  for _ = 1, 10000 do object:get() end
  local begin = now()
  for _ = 1, count do object:get() end
  return (now() - begin) / count
end

local function new_class()
  local class = {}
  class.__index = class
  function class.get(self) return self.x end
  return class
end

local function alone(lthread)
  return seconds_alone(new_table(lthread))
end

-- A product of two matrices, each in one list.
local function seconds_of_product(a, b, copied)
  local now, n = require "floor".now, 100
  local begin = now()
  if copied then a, b = require "lthread".copy(a), require "lthread".copy(b) end
  for i = 0, n - 1 do
    for k = 1, n do
      local sum = 0
      for j = 1, n do sum = sum + a[i * n + j] * b[(j - 1) * n + k] end
    end
  end
  return (now() - begin) / (2 * n ^ 3)
end

local function new_matrix()
  local list = {}
  for i = 1, 100 * 100 do list[i] = i + 0.5 end
  return list
end

local function product_line(what, copied)
  return {
    what = "product of shared matrices, " .. what .. ", a read", unit = "ns",
    base = "of plain matrices",
    floor = function() return seconds_of_product(new_matrix(), new_matrix()) end,
    ours = function(lthread)
      return seconds_of_product(lthread.shared(new_matrix()), lthread.shared(new_matrix()), copied)
    end,
  }
end

local lines = {
  product_line("in place", false),
  product_line("copied first", true),
  {
    what = "shared table, get + set", unit = "ns", at_most = 2.5,
    base = "userdata that does nothing",
    floor = function() return seconds_alone(floor.table()) end,
    ours = alone,
  },
  {
    what = "shared table, get + set, in ns", unit = "ns", at_most = 150e-9, absolute = true,
    ours = alone,
  },
  {
    what = "method of a shared object that gets a field", unit = "ns",
    base = "of a plain object",
    floor = function() return seconds_of_call(setmetatable({ x = 1 }, new_class())) end,
    ours = function(lthread) return seconds_of_call(lthread.shared({ x = 1 }, new_class())) end,
  },
  {
    what = "get + set, two threads on two tables", unit = "M/s", at_least = 1.9,
    base = "one thread",
    floor = rate_of_one(get_and_set),
    ours = function(lthread)
      return rate(lthread, get_and_set, { new_table(lthread), new_table(lthread) })
    end,
  },
  {
    what = "get, two threads on one table", unit = "M/s", at_least = 1.7,
    base = "one thread",
    floor = rate_of_one(get),
    ours = function(lthread)
      local t = new_table(lthread)
      return rate(lthread, get, { t, t })
    end,
  },
  {
    what = "get + set, two threads on one table", unit = "M/s",
    base = "one thread",
    floor = rate_of_one(get_and_set),
    ours = function(lthread)
      local t = new_table(lthread)
      return rate(lthread, get_and_set, { t, t })
    end,
  },
}

return require "support.crowd".append(lines, "set, on one table", new_table, function(t)
  t.x = 2
end)
