-- What a thread may leave behind in its state and its OS thread. Each has a name, 'leave', which
-- makes it, and 'look', which returns what there is to see of it, as values that can be compared.
--
-- The list is made by a function, so that they are no members of a module: those would be other
-- functions in each thread, with objects of their own.
local _thread = require "lthread"
local native = require "support.native"
local pace = require "support.pace"

-- Names differ, but all are made of the ident.
local function name_of_ident()
  return "Thread-" .. _thread.get_ident()
end

local function suspend() coroutine.yield() end

return function()
  local leavings = {}

  local function add(name, leave, look)
    leavings[#leavings + 1] = { name = name, leave = leave, look = look }
  end

  add("a global",
    function() rawset(_G, "lt_left", 1) end,
    function() return rawget(_G, "lt_left") end)

  add("a global that is gone",
    function() rawset(_G, "ipairs", nil) end,
    function() return type(rawget(_G, "ipairs")) end)

  add("a metatable of the globals",
    function() setmetatable(_G, { __index = function() return "left" end }) end,
    function() return getmetatable(_G) == nil, rawget(_G, "_VERSION") end)

  for _, name in ipairs { "coroutine", "debug", "io", "math", "os", "package", "string", "table",
    "utf8" } do
    add("a field of " .. name,
      function() package.loaded[name].lt_left = 1 end,
      function() return package.loaded[name].lt_left end)

    add("another function in " .. name,
      function()
        for key, value in pairs(package.loaded[name]) do
          if type(value) == "function" then package.loaded[name][key] = print end
        end
      end,
      function()
        local count, printing = 0, 0
        for _, value in next, package.loaded[name] do
          count = count + (type(value) == "function" and 1 or 0)
          printing = printing + (value == print and 1 or 0)
        end
        return count, printing
      end)

    add("a metatable of " .. name,
      function() setmetatable(package.loaded[name], { __index = { lt_left = 1 } }) end,
      function() return getmetatable(package.loaded[name]) == nil end)
  end

  add("package.path and package.cpath",
    function() package.path, package.cpath = "left/?.lua", "left/?.so" end,
    function() return package.path, package.cpath end)

  add("a module in package.loaded",
    function() package.loaded.lt_left = {} end,
    function() return package.loaded.lt_left ~= nil end)

  add("a module in package.preload",
    function() package.preload.lt_left = function() return {} end end,
    function() return package.preload.lt_left ~= nil end)

  add("a searcher",
    function() table.insert(package.searchers, 1, function() end) end,
    function() return #package.searchers end)

  add("what was done to the module itself",
    function() _thread.allocate_lock, _thread.lt_left = nil, 1 end,
    function() return type(_thread.allocate_lock), _thread.lt_left end)

  add("another __index of strings",
    function() getmetatable("").__index = function() return "left" end end,
    function() return ("").upper == string.upper, type(getmetatable("").__index) end)

  add("a metamethod of strings",
    function() getmetatable("").__call = function() return "left" end end,
    function() return getmetatable("").__call end)

  for name, value in pairs { ["nil"] = 0, boolean = true, number = 1, ["function"] = print } do
    add("a metatable of the type " .. name,
      function()
        local of = value
        if name == "nil" then of = nil end
        debug.setmetatable(of, { __index = { lt_left = 1 } })
      end,
      function()
        local of = value
        if name == "nil" then of = nil end
        return debug.getmetatable(of) == nil
      end)
  end

  add("a metatable of coroutines",
    function() debug.setmetatable(coroutine.running(), { __index = { lt_left = 1 } }) end,
    function() return debug.getmetatable(coroutine.running()) == nil end)

  add("a metatable of light userdata",
    function() debug.setmetatable(debug.upvalueid(add, 1), { __index = { lt_left = 1 } }) end,
    function() return debug.getmetatable(debug.upvalueid(add, 1)) == nil end)

  add("a metamethod of files",
    function() getmetatable(io.stdout).__call = function() return "left" end end,
    function() return getmetatable(io.stdout).__call end)

  add("a method of locks",
    function() debug.getmetatable(_thread.lock()).__len = function() return "left" end end,
    function() return debug.getmetatable(_thread.lock()).__len end)

  add("a field of the registry",
    function() debug.getregistry().lt_left = 1 end,
    function() return debug.getregistry().lt_left end)

  add("a hook",
    function() debug.sethook(function() end, "crl", 7) end,
    function()
      local hook, mask, count = debug.gethook()
      return hook == nil, mask, count
    end)

  add("another output",
    function() io.output(io.tmpfile()) end,
    function() return io.output() == io.stdout end)

  add("another input",
    function() io.input(io.tmpfile()) end,
    function() return io.input() == io.stdin end)

  add("a collector that is stopped",
    function() collectgarbage "stop" end,
    function() return collectgarbage "isrunning" end)

  add("a generational collector",
    function() collectgarbage("generational", 50, 300) end,
    function() return collectgarbage "incremental" end)

  add("the collector's pace",
    function() collectgarbage "incremental" pace.set("pause", 1000) pace.set("stepmul", 400) end,
    function() return pace.set("pause", 200), pace.set("stepmul", 100) end)

  add("a name",
    function() _thread.set_name "left" end,
    function()
      for _, info in ipairs(_thread.enumerate()) do
        if info.ident == _thread.get_ident() then return info.name == name_of_ident() end
      end
    end)

  if io.open "/proc/self/comm" then
    add("a name in the system",
      function() _thread.set_name "left" end,
      function()
        local path = ("/proc/self/task/%d/comm"):format(_thread.get_native_id())
        local file <close> = io.open(path)
        return file:read() == name_of_ident():sub(1, 15)
      end)
  end

  local object = _thread._local()

  add("a field of a _local()",
    function() object.field, object[1] = "left", { "left" } end,
    function() return object.field, object[1] end)

  add("a coroutine that was suspended",
    function()
      local co = coroutine.create(suspend)
      debug.sethook(co, print, "", 1000000)
      coroutine.resume(co)
      rawset(_G, "lt_left", co)
    end,
    function()
      local text = ""
      _thread.dump_traceback { write = function(_, more) text = text .. more end }
      local from = text:find("Thread [^\n(]*%(ident " .. _thread.get_ident() .. "%)")
      text = text:sub(from, text:find("\nThread ", from, true))
      return select(2, text:gsub("coroutine 0?x?%x+, suspended", ""))
    end)

  add("a rounding mode",
    function() native.set_rounding "upward" end,
    function() return native.is_rounding "nearest" end)

  add("a floating-point exception",
    function() native.raise_divided_by_zero() end,
    function() return native.has_divided_by_zero() end)

  add("a locale of its own",
    function() native.set_own_locale() end,
    function() return native.has_own_locale() end)

  add("a signal of the host that it does not block",
    function() native.set_blocked(native.SIGUSR2, false) end,
    function() return native.is_blocked(native.SIGUSR2) end)

  add("a signal of interrupts that it blocks",
    function() native.set_blocked(native.SIGURG, true) end,
    function() return native.is_blocked(native.SIGURG) end)

  return leavings
end
