-- Spans, and what happens to a trace when something goes wrong.
local _thread = require "lthread"
local child = require "fixtures.child"
local threads = require "support.threads"
local traces = require "support.traces"
local with_fifo = require "support.with_fifo"

local function traced(f)
  local path = os.tmpname()
  _thread.trace_start(path)
  local ok, problem = pcall(f)
  _thread.trace_stop()
  local trace = traces.read(path)
  os.remove(path)
  if not ok then error(problem, 0) end
  return trace
end

local function pack_of(...)
  return table.concat(table.pack(select("#", ...), ...), " ", 1, select("#", ...) + 1)
end

describe("a span", function()
  it("calls its function and returns what that returns, with a trace and without", function()
    local function echo(...) return ... end
    local function check()
      assert.equal("0", pack_of(_thread.span("none", echo)))
      assert.equal("3 1 2 3", pack_of(_thread.span("three", echo, 1, 2, 3)))
    end
    check()
    local trace = traced(check)
    assert.equal(1, #traces.slices(trace, "MainThread", "none"))
    assert.equal(1, #traces.slices(trace, "MainThread", "three"))
  end)

  it("nests with others and with waits", function()
    local trace = traced(function()
      _thread.span("outer", function()
        _thread.span("inner", _thread.sleep, 0.001)
      end)
    end)
    local outer = traces.slices(trace, "MainThread", "outer")[1]
    local inner = traces.slices(trace, "MainThread", "inner")[1]
    local sleep = traces.slices(trace, "MainThread", "sleep")[1]
    assert.is_true(outer.begin <= inner.begin and inner.begin <= sleep.begin)
    assert.is_true(sleep.ending <= inner.ending and inner.ending <= outer.ending)
  end)

  it("ends with an error, which passes as it is", function()
    local problem = {}
    local trace = traced(function()
      local ok, e = pcall(_thread.span, "failing", error, problem)
      assert.is_false(ok)
      assert.equal(problem, e)
      _thread.span("next", function() end)
    end)
    local failing = traces.slices(trace, "MainThread", "failing")[1]
    assert.equal("error", failing.args.outcome)
    assert.is_true(failing.ending <= traces.slices(trace, "MainThread", "next")[1].begin)
  end)

  it("may yield in a coroutine, where it is not nested", function()
    local function loose()
      local first = coroutine.wrap(function()
        return _thread.span("first", function(n) return n + coroutine.yield(n) end, 1)
      end)
      local second = coroutine.wrap(function() _thread.span("second", coroutine.yield) end)
      assert.equal(1, first())
      second()
      assert.equal(11, first(10))
      second()
    end
    loose()
    local trace = traced(loose)
    local phases = ""
    for _, event in ipairs(trace.events) do
      if event.cat == "span" then phases = phases .. event.name .. event.ph .. " " end
    end
    assert.equal("firstb secondb firste seconde ", phases)
  end)

  it("refuses what can't be called, and names that are none", function()
    threads.raises(_thread.TypeError, "string expected", _thread.span, {}, print)
    threads.raises(_thread.TypeError, "", _thread.span, "name", 1)
  end)

  it("shows as much of its name as there is room for", function()
    local name = ("ä"):rep(100)
    local trace = traced(function() _thread.span(name, function() end) end)
    assert.equal(1, #traces.slices(trace, "MainThread", ("ä"):rep(35)))
  end)

  it("that a thread dies in is ended with the thread", function()
    threads.quiet(finally)
    local trace = traced(function()
      local victim = _thread.start_joinable_thread(function()
        _thread.span("deadly", function()
          pcall(_thread.span, "survived", error, "an error")
          _thread.sleep(threads.LONG)
        end)
      end, { name = "victim" })
      threads.await_blocked(victim.ident)
      victim:interrupt()
      victim:join()
    end)
    assert.equal("error", traces.slices(trace, "victim", "survived")[1].args.outcome)
    local deadly = traces.slices(trace, "victim", "deadly")[1]
    assert.is_true(deadly.ending <= traces.slices(trace, "victim", "victim")[1].ending)
  end)

  it("is ended only once, and by no trace but its own", function()
    local path = os.tmpname()
    _thread.trace_start "/dev/null"
    _thread.span("of the first", function()
      _thread.trace_stop()
      _thread.trace_start(path)
      _thread.span("of the second", function() end)
    end)
    _thread.trace_stop()
    local trace = traces.read(path)
    os.remove(path)
    assert.equal(1, #traces.slices(trace, "MainThread", "of the second"))
    assert.equal(0, #traces.slices(trace, "MainThread", "of the first"))
  end)
end)

describe("a trace", function()
  it("loses the oldest events where they are not written in time, and says so", function()
    with_fifo(function(path)
      local written = os.tmpname()
      local reader = io.popen(("sh -c 'sleep 1; cat >%s' <%s"):format(written, path))
      _thread.trace_start(path)
      for i = 1, 20000 do _thread.span("span " .. i, function() end) end
      _thread.trace_stop()
      reader:close()
      local trace = traces.read(written)
      os.remove(written)
      assert.is_true(trace.lost > 0)
      local told = 0
      for _, event in ipairs(trace.events) do
        if event.name == "events lost" then told = told + event.args.lost end
      end
      assert.equal(trace.lost, told)
      local slices = trace.slices[trace.rows.MainThread]
      assert.equal("span 20000", slices[#slices].name)
      assert.equal(20001, #slices + trace.lost)
    end)
  end)

  it("ends with the main state, with what was said about its threads", function()
    local path = os.tmpname()
    assert.equal("status 0\n", child(([[
      local _thread = require "lthread"
      _thread.start_joinable_thread(function()
        _thread.span("for ever", function() while true do end end)
      end, { name = "computing" })
      _thread.trace_start(%q)
      _thread.sleep(0.05)
    ]]):format(path)))
    local trace = traces.read(path)
    os.remove(path)
    assert.equal(1, #traces.slices(trace, "MainThread", "sleep"))
    assert.equal(1, #traces.slices(trace, "computing", "SystemExit"))
  end)

  if not os.getenv "LTHREAD_SANITIZER" then
    it("is the parent's: the child of a fork writes nothing, and may begin its own", function()
      local path, own = os.tmpname(), os.tmpname()
      local output = child(([[
        local _thread = require "lthread"
        local native = require "support.native"
        _thread.trace_start(%q)
        _thread.contention_start()
        _thread.profile_start()
        _thread.start_joinable_thread(function() while true do _thread.sleep(0.001) end end)
        _thread.sleep(0.01)
        local process = native.fork()
        if process == 0 then
          local ok, problem = pcall(_thread.trace_stop)
          assert(not ok and tostring(problem):find "no trace", problem)
          assert(not pcall(_thread.profile_stop, "/dev/null"))
          _thread.trace_start(%q)
          _thread.span("in the child", _thread.sleep, 0.001)
          _thread.trace_stop()
          os.exit(3)
        end
        print(native.wait(process))
        _thread.span("in the parent", _thread.sleep, 0.001)
        _thread.trace_stop()
        _thread.profile_stop "/dev/null"
      ]]):format(path, own))
      assert.matches("3\nstatus 0\n$", output)
      local parent, of_child = traces.read(path), traces.read(own)
      os.remove(path)
      os.remove(own)
      assert.equal(1, #traces.slices(parent, "MainThread", "in the parent"))
      assert.equal(0, #traces.slices(parent, "MainThread", "in the child"))
      assert.equal(1, #traces.slices(of_child, "MainThread", "in the child"))
    end)
  end
end)
