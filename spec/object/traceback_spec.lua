-- What an exception tells of the calls that led to it, from its making until it ends a thread or
-- the script.
local _thread = require "lthread"
local queue = require "lthread.queue"
local child = require "fixtures.child"
local raised = require "support.raised"
local setups = require "support.setups"
local threads = require "support.threads"

setups.alone()

-- What Lua's traceback calls functions of its libraries: by their place in a module, or, from 5.5
-- on, as the code calls them.
local is_5_4 = _VERSION == "Lua 5.4"
local ERROR = is_5_4 and "function 'error'" or "global 'error'"
local GSUB = is_5_4 and "function 'string.gsub'" or "field 'gsub'"

local EXAMPLE = queue.SimpleQueue() -- always empty

local function line_of_caller()
  return debug.getinfo(2, "l").currentline
end

-- The lines, without the first.
local function calls_of(traceback)
  local calls = {}
  assert.equal("stack traceback:", traceback:match "^[^\n]*")
  for line in traceback:gmatch "\n\t([^\n]*)" do
    calls[#calls + 1] = line:match "object/traceback_spec.*" or line
  end
  return calls
end

-- f(...), so many calls below this one.
local function deep(depth, f, ...)
  if depth <= 1 then return f(...) end
  local first, second = deep(depth - 1, f, ...)
  return first, second
end

-- In kilobytes, for each of many calls of pcall(f, ...). A collection takes away what Lua keeps
-- ready for calls so deep, so there is a call after it that is not counted.
local function memory_of_failing(f, ...)
  local count = 100
  pcall(f, ...)
  collectgarbage()
  collectgarbage "stop"
  pcall(f, ...)
  local before = collectgarbage "count"
  for _ = 1, count do pcall(f, ...) end
  local after = collectgarbage "count"
  collectgarbage "restart"
  return (after - before) / count
end

describe("raising", function()
  it("takes the same memory at any depth, and with any number of modules", function()
    local get = EXAMPLE.get
    local shallow = deep(2, memory_of_failing, get, EXAMPLE, false)
    assert.is_true(shallow > 0)
    assert.equal(shallow, (deep(20, memory_of_failing, get, EXAMPLE, false)))
    assert.equal(shallow, (deep(190, memory_of_failing, get, EXAMPLE, false)))
    for i = 1, 37 do package.loaded["traceback_spec." .. i] = { get = print, ["set" .. i] = 1 } end
    local with_modules = deep(190, memory_of_failing, get, EXAMPLE, false)
    for i = 1, 37 do package.loaded["traceback_spec." .. i] = nil end
    assert.equal(shallow, with_modules)
  end)

  it("works at any depth of C calls, or is the error of Lua", function()
    local kinds = {}
    local function nest(depth, f)
      if depth == 0 then return f() end
      string.gsub("x", "x", function() nest(depth - 1, f) end)
    end
    for depth = 150, 210 do
      local ok, e = pcall(nest, depth, function() EXAMPLE:get(false) end)
      assert.is_false(ok)
      if type(e) == "string" then
        assert.matches("C stack overflow", e, 1, true)
      else
        assert.equal(queue.Empty, e.__class__)
      end
      kinds[type(e)] = true
    end
    assert.same({ string = true, table = true }, kinds)
    raised(queue.Empty, EXAMPLE.get, EXAMPLE, false)
  end)

  it("works at any depth of Lua calls, or is the error of Lua", function()
    local most, kinds = 0, {}
    local function call(depth)
      if depth == 0 then return EXAMPLE:get(false) end
      most = most + 1
      return 1 + call(depth - 1)
    end
    pcall(call, math.maxinteger)
    local deepest = most
    for _, above in ipairs { 100, 8, 4, 2, 0 } do
      local ok, e = pcall(call, deepest - above)
      assert.is_false(ok)
      kinds[type(e)] = true
      if type(e) == "string" then
        assert.matches("stack overflow", e, 1, true)
      else
        assert.equal(queue.Empty, e.__class__)
        assert.equal(21, #calls_of(e.traceback))
      end
    end
    assert.same({ string = true, table = true }, kinds)
    raised(queue.Empty, EXAMPLE.get, EXAMPLE, false)
  end)
end)

describe("the traceback of an exception", function()
  it("ends with the function that catches it", function()
    local first, last, exception
    local function thrower() first = line_of_caller() error(_thread.ValueError "no") end
    local function between() thrower() return 1 end
    local function catcher()
      last = line_of_caller() + 1
      exception = select(2, pcall(between))
    end
    catcher()
    local calls = calls_of(exception.traceback)
    assert.equal(4, #calls)
    assert.equal(("object/traceback_spec.lua:%d: in upvalue 'thrower'"):format(first), calls[1])
    assert.matches("^object/traceback_spec%.lua:%d+: in function <.*>$", calls[2])
    assert.equal("[C]: in function 'pcall'", calls[3])
    assert.matches(("^object/traceback_spec%%.lua:%d: in function <.*>$"):format(last), calls[4])
    assert.equal(("object/traceback_spec.lua:%d: "):format(first),
      exception.where:match "object/.*")
  end)

  it("tells who polls, also in a coroutine and by xpcall", function()
    local line = line_of_caller() + 1
    local function poll() return select(2, pcall(EXAMPLE.get, EXAMPLE, false)) end
    local function same(e) return e end
    local function by_xpcall() return select(2, xpcall(EXAMPLE.get, same, EXAMPLE, false)) end
    for name, f in pairs { pcall = poll, xpcall = by_xpcall } do
      for _, exception in ipairs { f(), coroutine.wrap(f)() } do
        local calls = calls_of(exception.traceback)
        assert.equal(2, #calls)
        assert.equal(("[C]: in function '%s'"):format(name), calls[1])
        local at = name == "pcall" and line or line + 2
        assert.matches(("^object/traceback_spec%%.lua:%d: in function <"):format(at), calls[2])
        assert.equal("", exception.where)
      end
    end
  end)

  it("is the same after a coroutine has yielded in between", function()
    local co = coroutine.wrap(function()
      return select(2, pcall(function()
        coroutine.yield()
        EXAMPLE:get(false)
      end))
    end)
    co()
    local calls = calls_of(co().traceback)
    assert.equal(3, #calls)
    assert.matches("^object/traceback_spec%.lua:%d+: in function <", calls[1])
    assert.equal("[C]: in function 'pcall'", calls[2])
    assert.matches("^object/traceback_spec%.lua:%d+: in function <", calls[3])
  end)

  it("is of the coroutine in which it was raised, for those who catch it outside", function()
    local function inside() EXAMPLE:get(false) return 1 end
    local ok, exception = coroutine.resume(coroutine.create(function() inside() return 1 end))
    assert.is_false(ok)
    assert.equal(2, #calls_of(exception.traceback))
    assert.matches("in upvalue 'inside'\n", exception.traceback, 1, true)
    exception = select(2, pcall(coroutine.wrap(function() inside() return 1 end)))
    assert.equal(2, #calls_of(exception.traceback))
  end)

  it("goes through protected calls that call one another", function()
    local _, _, _, exception = pcall(pcall, pcall, EXAMPLE.get, EXAMPLE, false)
    local calls = calls_of(exception.traceback)
    assert.equal(4, #calls)
    for i = 1, 3 do assert.equal("[C]: in function 'pcall'", calls[i]) end
    assert.matches("^object/traceback_spec%.lua:%d+: in function <", calls[4])
  end)

  it("has the names that Lua's has, but those of modules", function()
    local object = {}
    function object.field() return (_thread.ValueError "no") end
    function object:method() local e = self.field() return e end
    function _G.a_global() local e = object:method() return e end
    local exception = _G.a_global()
    _G.a_global = nil
    local text = exception.traceback
    assert.matches("in field 'field'\n", text, 1, true)
    assert.matches("in method 'method'\n", text, 1, true)
    assert.matches("in field 'a_global'\n", text, 1, true)
    local code = "function a_global(class) local e = class 'no' return e end "
      .. "local e = a_global(...) return e"
    local _, in_chunk = pcall(load(code, "=chunk"), _thread.ValueError)
    _G.a_global = nil
    assert.same({ "chunk:1: in function 'a_global'", "chunk:1: in main chunk" },
      { table.unpack(calls_of(in_chunk.traceback), 1, 2) })
    local after_tail = (function() return object.field() end)()
    assert.matches("\n\t(...tail calls...)\n", after_tail.traceback, 1, true)
  end)

  it("has the innermost twenty calls", function()
    local function nested(n)
      local exception = n == 0 and _thread.ValueError "no" or nested(n - 1)
      return exception
    end
    local calls = calls_of(nested(100).traceback)
    assert.equal(21, #calls)
    assert.equal("...", calls[21])
    for i = 1, 20 do assert.matches("in [a-z]+ 'nested'$", calls[i]) end
  end)

  it("of long names is cut between calls", function()
    local name = ("n"):rep(700)
    local code = "local function %s(f, n) local e = n == 0 and f 'no' or %s(f, n - 1) return e end "
      .. "return %s(...)"
    local make = load(code:gsub("%%s", name), "=long")
    local exception = make(_thread.ValueError, 15)
    local calls = calls_of(exception.traceback)
    assert.equal("...", calls[#calls])
    assert.is_true(#calls > 1 and #calls < 15)
    for i = 1, #calls - 1 do assert.matches("in [a-z]+ 'n+'$", calls[i]) end
  end)

  it("remains when it is raised again, and takes what the script gives it", function()
    local exception = _thread.ValueError "no"
    local before = exception.traceback
    for _ = 1, 3 do
      assert.is_true(rawequal(exception, raised(_thread.ValueError, error, exception)))
      assert.equal(before, exception.traceback)
    end
    exception.traceback = "mine"
    assert.equal("mine", exception.traceback)
  end)
end)

describe("the arguments of an exception of the library", function()
  it("are made once, from its message", function()
    local exception = raised(queue.Empty, EXAMPLE.get, EXAMPLE, false)
    local args = exception.args
    assert.same({ n = 1, "the queue is empty" }, args)
    assert.equal(args, exception.args)
    assert.same({ n = 0 }, raised(_thread.SystemExit, _thread.exit).args)
    assert.same({ n = 1, "" }, _thread.ValueError("").args)
    assert.same({ n = 1, 5 }, _thread.ValueError(5).args)
    exception.args = "mine"
    assert.equal("mine", exception.args)
  end)

  it("are among its fields", function()
    local fields = {}
    for name, value in pairs(raised(queue.Empty, EXAMPLE.get, EXAMPLE, false)) do
      fields[name] = value
    end
    assert.equal("the queue is empty", fields.message)
    assert.same({ n = 1, "the queue is empty" }, fields.args)
    assert.matches("^stack traceback:\n", fields.traceback)
  end)

  it("cross with it", function()
    _thread.set_excepthook(function() end)
    local handle = threads.start(function(q) q:get(false) end, EXAMPLE)
    assert.same({ n = 1, "the queue is empty" }, raised(queue.Empty, handle.result, handle).args)
    _thread.set_excepthook(nil)
  end)
end)

describe("the traceback of an error that leaves a thread", function()
  -- The text of the report of the thread that runs the code.
  local function report_of(code)
    return child("local _thread = require 'lthread'\n" .. code)
  end

  it("is the whole stack, with the names of modules", function()
    local output = report_of [[
      local function fail() error(_thread.ValueError "no") end
      local function deep(n)
        if n == 0 then string.gsub("x", "x", fail) end
        deep(n - 1)
        return 1
      end
      _thread.start_joinable_thread(function() deep(50) end):join()
    ]]
    assert.matches("in " .. GSUB, output, 1, true)
    assert.matches("%(skipping %d+ levels%)", output)
    assert.not_matches("raised at", output, 1, true)
    local _, times = output:gsub("stack traceback:", "")
    assert.equal(1, times)
  end)

  it("is that of the exception from then on", function()
    _thread.set_excepthook(function(args)
      args.exc_value.hook = args.exc_traceback
      assert(args.exc_value.traceback == args.exc_traceback)
    end)
    local handle = threads.start(function()
      local function deep_down(n)
        if n == 0 then error(_thread.ValueError "no") end
        deep_down(n - 1)
        return 1
      end
      deep_down(50)
    end)
    local exception = raised(_thread.ValueError, handle.result, handle)
    _thread.set_excepthook(nil)
    assert.matches("in upvalue 'deep_down'", exception.traceback, 1, true)
    assert.matches("levels)", exception.traceback, 1, true)
  end)

  it("tells where it was made and where it was raised", function()
    _thread.set_excepthook(function() end)
    local handle = threads.start(function()
      local function maker() local e = _thread.ValueError "no" return e end
      local e = maker()
      local function raiser() error(e) end
      raiser()
    end)
    local text = raised(_thread.ValueError, handle.result, handle).traceback
    _thread.set_excepthook(nil)
    assert.matches("^stack traceback:\n[^\n]* in local 'maker'\n", text)
    assert.matches("\nraised at:\n.*in local 'raiser'\n", text)
  end)

  it("is not what a table of the script has in that field", function()
    local output = report_of [[
      _thread.start_joinable_thread(function() error {traceback = "mine"} end):join()
    ]]
    assert.matches('{traceback = "mine"}\nstack traceback:\n\t[C]: in ' .. ERROR, output, 1, true)
  end)

  it("keeps that of another thread, and of a coroutine", function()
    local output = report_of [[
      local function worker() error(_thread.ValueError "no") end
      _thread.start_joinable_thread(function()
        local h = _thread.start_joinable_thread(function() worker() end)
        local function waiter() h:result() end
        waiter()
      end, {name = "waiting"}):join()
      _thread.start_joinable_thread(function()
        local function inside() error(_thread.ValueError "no") end
        local function outside() coroutine.wrap(function() inside() end)() end
        outside()
      end, {name = "resuming"}):join()
    ]]
    local waiting = output:match("Exception in thread waiting.*Exception in thread resuming")
    assert.matches("in upvalue 'worker'.*\nraised at:\n.*in local 'waiter'", waiting)
    local resuming = output:match("Exception in thread resuming.*")
    assert.matches("in upvalue 'inside'.*\nraised at:\n.*in local 'outside'", resuming)
  end)

  it("does not take the place of the error at the limit of the C stack", function()
    _thread.set_excepthook(function() end)
    local kinds = {}
    for depth = 180, 205 do
      local handle = threads.start(function()
        local function nest(n)
          if n == 0 then error(_thread.ValueError "deep") end
          string.gsub("x", "x", function() nest(n - 1) end)
        end
        nest(depth)
      end)
      local _, e = pcall(handle.result, handle)
      kinds[type(e)] = true
      if type(e) == "table" then
        assert.equal("deep", e.message)
      else
        assert.matches("C stack overflow", e, 1, true)
      end
    end
    _thread.set_excepthook(nil)
    assert.same({ string = true, table = true }, kinds)
  end)

  it("is no more than that of the making for SystemExit", function()
    local handle = threads.start(_thread.exit)
    assert.matches("^stack traceback:", raised(_thread.SystemExit, handle.result, handle).traceback)
  end)
end)

describe("the interpreter", function()
  local prelude = "local _thread = require 'lthread'\n"

  it("shows the traceback of an exception that ends the script", function()
    local output = child(prelude .. [[
      local function release() _thread.allocate_lock():release() end
      local function call() release() return 1 end
      call()
    ]])
    assert.matches(":2: RuntimeError: release unlocked lock\n"
      .. "stack traceback:\n\t[^\n]*in method 'release'\n[^\n]*:2: in [^\n]*'release'\n"
      .. "[^\n]*:3: in [^\n]*'call'\n[^\n]*:4: in main chunk\n", output)
    local _, times = output:gsub("stack traceback:", "")
    assert.equal(1, times)
    assert.matches("status 1\n$", output)
  end)

  it("shows it for error, an interrupt, and what a coroutine raises", function()
    assert.matches("ValueError: no\nstack traceback:\n\t%[C%]: in " .. ERROR .. "\n"
      .. "[^\n]*:2: in main chunk", child(prelude .. "error(_thread.ValueError 'no')"))
    assert.matches("KeyboardInterrupt\nstack traceback:\n[^\n]*:2: in main chunk",
      child(prelude .. "_thread.interrupt_main() while true do end"))
    assert.matches("ValueError: no\nstack traceback:\n.*\nraised at:\n.*:2: in main chunk",
      child(prelude .. "coroutine.wrap(function() error(_thread.ValueError 'no') end)()"))
  end)

  it("shows where a thread has raised what result raises", function()
    local output = child(prelude .. [[
      _thread.set_excepthook(function() end)
      local function worker() error(_thread.ValueError "no") end
      local handle = _thread.start_joinable_thread(function() worker() end)
      handle:result()
    ]])
    assert.matches("ValueError: no\nstack traceback:\n.*:3: in upvalue 'worker'.*\nraised at:\n"
      .. "[^\n]*in method 'result'\n[^\n]*:5: in main chunk", output)
  end)

  it("shows where result raises what has no place of its own", function()
    local output = child(prelude .. [[
      local handle = _thread.start_joinable_thread(function() return coroutine.create(print) end)
      handle:result()
    ]])
    assert.matches("TypeError: cannot transfer a coroutine %(result%[1%]%)[^\n]*\n"
      .. "stack traceback:\n[^\n]*in method 'result'\n", output)
  end)

  it("shows none for SystemExit", function()
    local output = child(prelude .. "_thread.exit()")
    assert.matches("SystemExit\nstatus 1\n$", output)
  end)

  it("shows it with arguments of the script, and after pcall", function()
    local output = child(prelude .. [[
      local ok, e = pcall(error, _thread.ValueError "no")
      print(e)
      error(e)
    ]], nil, "one two")
    assert.matches(":2: ValueError: no\n[^s]", output)
    assert.matches("raised at:\n\t%[C%]: in " .. ERROR .. "\n[^\n]*:4: in main chunk", output)
  end)
end)

describe("the string of an exception", function()
  it("has no traceback, whoever asks for it", function()
    local output = child [[
      local _thread = require "lthread"
      local function fail() error(_thread.ValueError "no") end
      local function show(e) io.stdout:write(tostring(e), "\n") end
      show(select(2, pcall(fail)))
      show(select(2, xpcall(fail, tostring)))
      show(select(2, xpcall(fail, function(e) return tostring(e) end)))
      show(select(2, xpcall(fail, function(e) return "" .. e end)))
      show(select(2, pcall(string.format, "%s", _thread.ValueError "no")))
      show(coroutine.wrap(tostring)(_thread.ValueError "no"))
      show((function() return tostring(_thread.ValueError "no") end)())
      xpcall(fail, print)
      print(_thread.ValueError "no")
      for _, e in ipairs { _thread.ValueError "no" } do print(e) end
      local _ <close> = setmetatable({}, {__close = function(_, e) print(e) end})
      error(_thread.SystemExit "the end")
    ]]
    assert.not_matches("stack traceback", output, 1, true)
    local _, times = output:gsub("ValueError: no\n", "")
    assert.equal(10, times)
  end)
end)
