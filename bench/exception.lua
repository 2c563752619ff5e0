-- Exceptions: what it costs to poll by what raises, as many programs do.

local floor = require "floor"

-- f(...), so many calls below this one.
local function deep(depth, f, ...)
  if depth <= 1 then return (f(...)) end
  return (deep(depth - 1, f, ...))
end

-- Seconds for one pcall(f, ...).
local function failing(f, ...)
  local count = 200000
  local begin = floor.now()
  for _ = 1, count do pcall(f, ...) end
  return (floor.now() - begin) / count
end

local function poll()
  local queue = require "lthread.queue".SimpleQueue()
  return failing(queue.get, queue, false)
end

local function load_modules(count)
  for i = 1, count do
    local module = {}
    for j = 1, 20 do module["f" .. j] = function() end end
    package.loaded["module" .. i] = module
  end
end

local function polling_line(what, depth, modules)
  return {
    what = "polls an empty queue, " .. what, unit = "us", at_most = 0.7e-6, absolute = true,
    base = "pcall(error, table)",
    floor = function()
      load_modules(modules)
      return deep(depth, failing, error, {})
    end,
    ours = function()
      load_modules(modules)
      return deep(depth, poll)
    end,
    peers = { python3 = ("poll 200000 %d"):format(depth) },
  }
end

return {
  polling_line("1 call deep", 1, 0),
  polling_line("20 calls deep", 20, 0),
  polling_line("190 calls deep", 190, 0),
  polling_line("20 calls deep, 37 modules", 20, 37),
  {
    what = "raises through 20 calls", unit = "us",
    base = "error(table)",
    floor = function()
      return failing(deep, 20, error, {})
    end,
    ours = function(lthread)
      local function raise() error(lthread.ValueError "no") end
      return failing(deep, 20, raise)
    end,
  },
}
