local _thread = require "lthread"
local child = require "fixtures.child"
local setups = require "support.setups"
local threads = require "support.threads"

local held, call, raises = threads.held, threads.call, threads.raises
local quiet = threads.quiet

setups.alone()

describe("stack_size", function()
  after_each(function()
    _thread.stack_size(0)
  end)

  it("is 0 at first and returns what it was", function()
    assert.equal(0, _thread.stack_size())
    assert.equal(0, _thread.stack_size(262144))
    assert.equal(262144, _thread.stack_size(0x100000))
    assert.equal(0x100000, _thread.stack_size())
    assert.equal(0x100000, _thread.stack_size(0))
    assert.equal(0, _thread.stack_size())
  end)

  it("is unchanged after an error", function()
    _thread.stack_size(65536)
    local sizes = { 1, 4096, 32767, -1, math.mininteger, math.maxinteger }
    for _, size in ipairs(sizes) do
      raises(_thread.ValueError, "size not valid", _thread.stack_size, size)
      assert.equal(65536, _thread.stack_size())
    end
    for _, size in ipairs{ "big", 65536.5, {}, true } do
      raises(_thread.TypeError, "bad argument #1", _thread.stack_size, size)
      assert.equal(65536, _thread.stack_size())
    end
  end)

  it("is the same for all threads", function()
    local previous = call(_thread.stack_size, 131072)
    assert.equal(0, previous)
    assert.equal(131072, _thread.stack_size())
  end)

  for _, size in ipairs{ 32768, 32769, 262144, 0x100000 } do
    it("of " .. size .. " lets ten threads run", function()
      _thread.stack_size(size)
      local handles = {}
      for i = 1, 10 do
        handles[i] = _thread.start_joinable_thread(function(n)
          return (("x"):rep(n):gsub("x", string.upper))
        end, { args = { i } })
      end
      for i = 1, 10 do
        assert.equal(("X"):rep(i), (handles[i]:result()))
      end
    end)
  end

  -- With 32 bits, what is accepted may well be there.
  local it_with_64_bits = string.packsize "T" == 8 and it or function() end

  it_with_64_bits("that the system can't give makes a start fail and nothing else", function()
    local count = _thread._count()
    local handle = _thread._ThreadHandle()
    _thread.stack_size(1 << 47)
    local f = function() return "started" end
    raises(_thread.RuntimeError, "can't start new thread: ", _thread.start_new_thread, f, {})
    raises(_thread.RuntimeError, "can't start new thread: ", _thread.start_joinable_thread, f,
      { handle = handle })
    _thread.stack_size(0)
    assert.equal(count, _thread._count())
    raises(_thread.RuntimeError, "thread not started", handle.join, handle)
    _thread.start_joinable_thread(f, { handle = handle })
    assert.equal("started", (handle:result()))
  end)

  -- A sanitizer needs more address space than any limit would leave.
  local it = os.getenv("LTHREAD_SANITIZER") and function() end or it

  it("that is there no more makes a start fail, until threads have ended", function()
    local output = child([[
      local _thread = require "lthread"
      local gate = _thread.allocate_lock()
      local function wait(text) local _ <close> = gate:hold() return #text end
      gate:acquire()
      _thread.stack_size(300 << 20)
      local text, handles, unstarted = ("x"):rep(1 << 20), {}, _thread._ThreadHandle()
      local ok, e
      repeat
        ok, e = pcall(_thread.start_joinable_thread, wait, {args = {text}})
        if ok then handles[#handles + 1] = e end
      until not ok
      local count = #handles
      print(count > 0, _thread.isinstance(e, _thread.RuntimeError), e.message)
      -- more than the limit, if what was packed for a start were kept
      for _ = 1, 1500 do
        ok, e = pcall(_thread.start_joinable_thread, wait, {args = {text}, handle = unstarted})
        assert(not ok and e.message:find("can't start new thread: ", 1, true), tostring(e))
        ok, e = pcall(_thread.start_new_thread, wait, {text})
        assert(not ok and e.message:find("can't start new thread: ", 1, true), tostring(e))
      end
      print(_thread._count() == count, #_thread.enumerate() == count + 1)
      print(select(2, pcall(unstarted.join, unstarted)).message)
      gate:release()
      for i = 1, count do assert(handles[i]:result() == #text) end
      print(_thread._count(), #_thread.enumerate())
      _thread.start_joinable_thread(wait, {args = {text}, handle = unstarted})
      print(unstarted:result() == #text, unstarted.ident > count)
    ]], "ulimit -v 1500000 &&")
    assert.equal("true\ttrue\tcan't start new thread: Resource temporarily unavailable\n"
      .. "true\ttrue\nthread not started\n0\t1\ntrue\ttrue\nstatus 0\n", output)
  end)
end)

describe("deep recursion", function()
  local kinds = {
    ["string.gsub callbacks"] = function()
      local function f() return (string.gsub("x", "x", f)) end
      return f()
    end,
    ["__index functions"] = function()
      return setmetatable({}, { __index = function(t, k) return t[k + 1] end })[1]
    end,
    ["__concat and __eq metamethods"] = function()
      local meta = {}
      local function new() return setmetatable({}, meta) end
      meta.__concat = function() return new() == new() end
      meta.__eq = function() return new() .. new() end
      return new() .. new()
    end,
    ["pcall"] = function()
      local function f()
        local ok, e = pcall(f)
        if not ok then
          error(e, 0)
        end
      end
      return f()
    end,
    ["table.sort comparators"] = function()
      local function less(a, b)
        table.sort({ 1, 2, 3 }, less)
        return a < b
      end
      return less(1, 2)
    end,
    ["a pattern of optional characters"] = function()
      return ("a"):rep(300):find(("a?"):rep(300) .. "b")
    end,
    ["a pattern of captures"] = function()
      return ("a"):rep(300):find(("("):rep(300) .. "a")
    end,
    ["string.format with __tostring"] = function()
      local meta = {}
      meta.__tostring = function(value) return string.format("%s", value) end
      return tostring(setmetatable({}, meta))
    end,
    ["coroutine.wrap"] = function()
      local function f() return coroutine.wrap(f)() end
      return f()
    end,
    ["load of nested parentheses"] = function()
      error(select(2, load("return " .. ("("):rep(10000) .. "1")), 0)
    end,
    ["plain Lua calls"] = function()
      local function f(n) return 1 + f(n + 1) end
      return f(1)
    end,
    ["__tostring and string.gsub in turn"] = function()
      local function f()
        return (string.gsub("x", ".", function() return tostring(setmetatable({}, {
          __tostring = f, __name = "deep",
        })) end))
      end
      return f()
    end,
  }
  local names = {}
  for name in pairs(kinds) do
    names[#names + 1] = name
  end
  table.sort(names)

  for _, size in ipairs{ 32768, 262144, 0 } do
    for _, name in ipairs(names) do
      it(("of %s ends in an error with a stack of %d"):format(name, size), function()
        quiet(finally)
        finally(function()
          _thread.set_excepthook(nil)
          _thread.stack_size(0)
        end)
        _thread.stack_size(size)
        local go = held()
        local other = _thread.start_joinable_thread(function()
          go:acquire()
          return "alive"
        end)
        local handle = _thread.start_joinable_thread(kinds[name])
        local ok, e = pcall(handle.result, handle)
        assert.is_false(ok)
        e = tostring(e)
        assert.truthy(e:find("overflow") or e:find("too complex") or e:find("too many captures"), e)
        go:release()
        assert.equal("alive", (other:result()))
        assert.equal("well", (call(function() return "well" end)))
      end)
    end
  end
end)
