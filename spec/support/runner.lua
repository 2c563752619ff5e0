-- A runner for where busted does not load: describe, it, setup, teardown, before_each, after_each
-- and finally, with luassert. It runs the files one after the other and prints busted's last lines.
-- Arguments: files, folders, --filter=PATTERN, --filter-out=PATTERN (any number of them),
-- --pattern=PATTERN (of file names, without .lua).
local luassert = require "luassert"

local options = { filter = "", pattern = "_spec" }
local left_out = {} -- patterns of names
local counts = { success = 0, failure = 0, error = 0 }
local problems = {}
local block -- the describe that is being read

local function open_block(name, parent)
  return { name = name, parent = parent, tests = {}, before = {}, after = {}, setup = {},
    teardown = {} }
end

local function adder(list)
  return function(f) table.insert(block[list], f) end
end

local function full_name(name, from)
  while from and from.name do
    name, from = from.name .. " " .. name, from.parent
  end
  return name
end

local function with_trace(problem)
  return { value = problem, trace = debug.traceback("", 2) }
end

-- Calls f; true, or false and what is to be said. An assertion that fails is no error.
local function attempt(f)
  local ok, problem = xpcall(f, with_trace)
  if ok then return "success" end
  local value = problem.value
  local failed = type(value) == "table" and getmetatable(value) == nil and value.message
  return failed and "failure" or "error",
    (failed and tostring(value.message) or tostring(value)) .. problem.trace
end

local function note(kind, name, text)
  counts[kind] = counts[kind] + 1
  if kind ~= "success" then
    table.insert(problems, ("%s -> %s\n%s"):format(kind == "failure" and "Failure" or "Error", name,
      text))
  end
  io.stdout:write(kind == "success" and "+" or kind == "failure" and "-" or "*")
  io.stdout:flush()
end

-- The functions of the list, the outermost block's first, or last.
local function call_all(from, list, inner_first)
  if not inner_first and from.parent then call_all(from.parent, list) end
  for _, f in ipairs(from[list]) do f() end
  if inner_first and from.parent then call_all(from.parent, list, true) end
end

local function run_test(test, from)
  local at_end = {}
  function _G.finally(f) table.insert(at_end, f) end
  local kind, text = attempt(function()
    call_all(from, "before")
    test.f()
  end)
  local closers = { function() call_all(from, "after", true) end }
  table.move(at_end, 1, #at_end, 2, closers)
  for _, f in ipairs(closers) do
    local closed, problem = attempt(f)
    if kind == "success" then kind, text = closed, problem end
  end
  note(kind, full_name(test.name, from), text)
end

local function is_wanted(name)
  for _, pattern in ipairs(left_out) do
    if name:find(pattern) then return false end
  end
  return name:find(options.filter)
end

local function run_block(run)
  for _, f in ipairs(run.setup) do f() end
  for _, test in ipairs(run.tests) do
    if test.tests then
      run_block(test)
    elseif is_wanted(full_name(test.name, run)) then
      run_test(test, run)
    end
  end
  for _, f in ipairs(run.teardown) do f() end
end

function _G.describe(name, f)
  local outer = block
  block = open_block(name, outer)
  table.insert(outer.tests, block)
  f()
  block = outer
end

function _G.it(name, f)
  table.insert(block.tests, { name = name, f = f })
end

_G.setup, _G.teardown = adder "setup", adder "teardown"
_G.before_each, _G.after_each = adder "before", adder "after"
_G.assert = luassert
package.loaded.busted = { describe = _G.describe, it = _G.it, setup = _G.setup,
  teardown = _G.teardown, before_each = _G.before_each, after_each = _G.after_each }

local function copy(t)
  local result = {}
  for key, value in next, t do result[key] = value end
  return result
end

local function restore(t, saved)
  for key in next, copy(t) do rawset(t, key, saved[key]) end
  for key, value in next, saved do rawset(t, key, value) end
end

-- What a file sets in _G and loads does not reach the next one.
local function run_file(path)
  local globals, loaded = copy(_G), copy(package.loaded)
  block = open_block()
  local kind, text = attempt(function()
    assert(loadfile(path))()
    run_block(block)
  end)
  if kind ~= "success" then note("error", path, text) end
  restore(_G, globals)
  restore(package.loaded, loaded)
end

local function files_of(path)
  local list = {}
  local pipe <close> = assert(io.popen(("find '%s' -name '*%s.lua' | sort"):format(path,
    options.pattern)))
  for file in pipe:lines() do table.insert(list, file) end
  return list
end

local function read_arguments(arguments)
  local paths = {}
  for _, argument in ipairs(arguments) do
    local option, value = argument:match "^%-%-([%a-]+)=(.*)$"
    if not option then
      table.insert(paths, argument)
    elseif option == "filter-out" then
      table.insert(left_out, value)
    elseif options[option] then
      options[option] = value
    else
      error(("spec/run.lua: unknown option %s (--filter=PATTERN, --filter-out=PATTERN, "
        .. "--pattern=PATTERN)"):format(argument), 0)
    end
  end
  return paths
end

return function(arguments)
  for _, path in ipairs(read_arguments(arguments)) do
    for _, file in ipairs(path:find "%.lua$" and { path } or files_of(path)) do run_file(file) end
  end
  print(("\n%d successes / %d failures / %d errors / 0 pending : %f seconds"):format(counts.success,
    counts.failure, counts.error, os.clock()))
  for _, problem in ipairs(problems) do print("\n" .. problem) end
  os.exit(#problems == 0, true)
end
