-- try(f, ...): pcall for what a program is to handle.
local _thread = require "lthread"
local child = require "fixtures.child"
local raised = require "support.raised"
local setups = require "support.setups"
local threads = require "support.threads"
local try = _thread.try

setups.alone()
setups.quiet()

describe("try", function()
  it("returns true and the results", function()
    assert.same(table.pack(true, 1, nil, 3, nil), table.pack(try(function(...) return ... end,
      1, nil, 3, nil)))
    assert.same({ true }, { try(function() end) })
  end)

  it("returns false and the error", function()
    local value = {}
    assert.same({ false, value }, { try(error, value) })
    local no_error = _VERSION ~= "Lua 5.4" and "<no error object>" or nil
    assert.same({ false, no_error }, { try(error) })
    local ok, e = try(5)
    assert.is_false(ok)
    assert.truthy(e:find("attempt to call a number value", 1, true), e)
    for _, class in ipairs { _thread.Exception, _thread.ValueError,
      _thread.RuntimeError:subclass "Own" } do
      ok, e = try(error, class "no")
      assert.is_false(ok)
      assert.is_true(_thread.isinstance(e, class))
    end
  end)

  it("needs a value to call", function()
    local e = raised(_thread.TypeError, try)
    assert.equal("bad argument #1 to 'try' (value expected)", e.message)
  end)

  for _, class in ipairs { _thread.BaseException, _thread.SystemExit, _thread.KeyboardInterrupt,
    _thread.SystemExit:subclass "Quit", _thread.BaseException:subclass "Outside" } do
    it("lets " .. class.__name__ .. " pass, the same object", function()
      local exception = class "away"
      local ok, e = pcall(try, function()
        try(function() try(error, exception) end)
        return "not reached"
      end)
      assert.is_false(ok)
      assert.equal(exception, e)
    end)
  end

  it("lets what ends a thread end it", function()
    local there = threads.held()
    local handle = threads.start(function()
      there:release()
      while true do
        try(function() while true do end end)
        try(_thread.sleep, threads.LONG)
      end
    end)
    assert.is_true(threads.await(there))
    assert.is_true(handle:interrupt())
    threads.ended_by(_thread.SystemExit, handle)
  end)

  it("catches an interrupt that is an Exception", function()
    local there = threads.held()
    local handle = threads.start(function()
      return try(function()
        there:release()
        while true do end
      end)
    end)
    assert.is_true(threads.await(there))
    assert.is_true(handle:interrupt(_thread.RuntimeError "enough"))
    local ok, e = threads.result(handle)
    assert.is_false(ok)
    assert.equal("enough", e.message)
  end)

  it("lets yields through, and catches after them", function()
    local co = coroutine.wrap(function(...)
      return "end", try(function(...)
        local x = coroutine.yield(...)
        error(coroutine.yield(x), 0)
      end, ...)
    end)
    assert.same({ 1, 2 }, { co(1, 2) })
    assert.equal("x", co "x")
    assert.same({ "end", false, "y" }, { co "y" })
    co = coroutine.wrap(function()
      try(function() error(coroutine.yield()) end)
    end)
    co()
    raised(_thread.SystemExit, co, _thread.SystemExit())
    co = coroutine.wrap(function() return try(coroutine.yield) end)
    co()
    assert.same({ true, 1, nil, 2 }, { co(1, nil, 2) })
  end)

  it("lets an interrupt wait for a handler that runs after an error in it", function()
    local there, go = threads.held(), threads.held()
    local handle = threads.start(function()
      local seen = {}
      pcall(function()
        try(function()
          local _ <close> = setmetatable({}, { __close = function()
            there:release()
            go:acquire()
            for _ = 1, 10000 do end
            seen[#seen + 1] = "closed"
          end })
          local _ = nil + 1
        end)
        for _ = 1, 10000 do end
        seen[#seen + 1] = "not reached"
      end)
      return seen
    end)
    assert.is_true(threads.await(there))
    assert.is_true(handle:interrupt())
    go:release()
    assert.same({ "closed" }, threads.result(handle))
  end)

  it("is the end of an exception's traceback", function()
    local _, e = try(function() error(_thread.ValueError "no") end)
    local calls = "in function 'try'\n[^\n]*try_spec.lua:%d+: in function <[^\n]*$"
    assert.truthy(e.traceback:find(calls), e.traceback)
  end)

  it("catches as pcall does what only looks like the interpreter's error", function()
    for _, text in ipairs { "interrupted! ", "not interrupted!", "x: interrupted!",
      "1: interrupted!", ":: interrupted!", "interrupted" } do
      assert.same({ false, text }, { try(error, text, 0) })
    end
    local ok, e = threads.call(function() return try(error, "interrupted!", 0) end)
    assert.is_false(ok)
    assert.equal("interrupted!", e)
  end)
end)

describe("Ctrl-C", function()
  local function run(f)
    local code = ([[
      local _thread = require "lthread"
      local threads = require "support.threads"
      local ready = threads.held()
      threads.start(function()
        ready:acquire()
        assert(READY())
        io.popen("kill -INT $PPID"):close()
      end)
      local ok, e = pcall(function()
        _thread.try(function() _thread.try(function() %s end) end)
        print "not reached"
      end)
      print(ok, e)
    ]]):format(f):gsub("READY", f:find "sleep" and "threads.await_blocked" or "os.time")
    return child(code)
  end

  it("passes where a wait is tried", function()
    assert.matches("^false\t[^\n]*interrupted!\nstatus 0\n$",
      run "ready:release() _thread.sleep(1e6)")
  end)

  it("passes where a loop is tried", function()
    assert.matches("^false\t[^\n]*:%d+: interrupted!\nstatus 0\n$",
      run "(function() ready:release() while true do end end)()")
  end)
end)
