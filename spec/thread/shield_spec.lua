-- shield(f, ...): interrupts are held while f runs.
local _thread = require "lthread"
local child = require "fixtures.child"
local raised = require "support.raised"
local setups = require "support.setups"
local threads = require "support.threads"
local with_fifo = require "support.with_fifo"
local held, await, start = threads.held, threads.await, threads.start
local shield = _thread.shield

setups.alone()
setups.quiet()

local Strike = _thread.Exception:subclass "Strike"

-- Calls f(there, go) in a thread, which releases 'there' when it is where the interrupt is to find
-- it, and may wait for 'go'; returns what the thread does.
local function struck(f, ...)
  local there, go = held(), held()
  local handle = start(f, there, go, ...)
  assert.is_true(await(there))
  assert.is_true(handle:interrupt(Strike "now"))
  go:release()
  return threads.result(handle)
end

-- What a shielded function may be doing, until 'go'.
local inside = {
  ["computes"] = function(go) while not go:acquire(false) do end end,
  ["waits for a lock"] = function(go) go:acquire() end,
  ["waits with a timeout"] = function(go) assert(go:acquire(true, threads.LONG)) end,
  ["catches errors"] = function(go) repeat pcall(error, "x") until go:acquire(false) end,
  ["computes in a coroutine"] = function(go)
    coroutine.wrap(function() while not go:acquire(false) do end end)()
  end,
  ["goes in and out of coroutines"] = function(go)
    local step = coroutine.wrap(function() while true do coroutine.yield(go:acquire(false)) end end)
    repeat until step()
  end,
  ["is in a shield within"] = function(go)
    shield(function() go:acquire() end)
    for _ = 1, 10000 do end
  end,
  ["is deep in a recursion"] = function(go)
    local function down(depth)
      if depth > 0 then return (down(depth - 1)) end
      while not go:acquire(false) do end
      for _ = 1, 10000 do end
    end
    down(3000)
  end,
  ["closes and collects"] = function(go)
    do local _ <close> = setmetatable({}, { __close = function() go:acquire() end }) end
    collectgarbage()
  end,
}

describe("shield", function()
  it("returns what the function returns, and passes arguments on", function()
    assert.same(table.pack(1, nil, 3, nil), table.pack(shield(function(...) return ... end,
      1, nil, 3, nil)))
    assert.equal(0, select("#", shield(function() end)))
    assert.equal(5, shield(math.max, 3, 5))
    assert.equal("called", shield(setmetatable({}, { __call = function() return "called" end })))
  end)

  it("lets errors pass as they are, with the stack of the function", function()
    local value = {}
    local ok, e = pcall(shield, error, value)
    assert.is_false(ok)
    assert.equal(value, e)
    local function failing() local _ = nil + 1 return 1 end
    local _, traceback = xpcall(shield, debug.traceback, failing)
    assert.truthy(traceback:find("shield_spec.lua:%d+: in [^\n]*failing") or
      traceback:find("shield_spec.lua:%d+: in function <"), traceback)
  end)

  it("refuses what is no function", function()
    local e = raised(_thread.TypeError, shield, 5)
    assert.equal("bad argument #1 to 'shield' (function expected, got number)", e.message)
    raised(_thread.TypeError, shield)
  end)

  it("can't be yielded out of", function()
    local co = coroutine.wrap(function() return pcall(shield, coroutine.yield, 1) end)
    local ok, e = co()
    assert.is_false(ok)
    assert.truthy(e:find("yield across a C-call boundary", 1, true), e)
  end)

  it("returns as many results as Lua's stack holds", function()
    local list = {}
    for i = 1, 100000 do list[i] = i end
    assert.equal(100000, select("#", shield(table.unpack, list)))
    local count, ok, e = 1000000
    repeat -- as many as unpack itself has room for
      count = count - 10
      ok, e = pcall(shield, table.unpack, {}, 1, count)
    until not tostring(e):find("to unpack", 1, true)
    -- after unpack's errors the stack of later releases has room for all of them
    assert.truthy(ok
      or tostring(e):find("ValueError: too many results (" .. count .. ")", 1, true), e)
    raised(_thread.KeyboardInterrupt, function()
      _thread.interrupt_main()
      for _ = 1, 1000000 do end
    end)
  end)

  for what, f in pairs(inside) do
    it("holds an interrupt while the function " .. what, function()
      local result = struck(function(there, go)
        local seen = {}
        local ok, e = pcall(function()
          shield(function()
            there:release()
            f(go)
            for _ = 1, 10000 do end
            seen[#seen + 1] = "finished"
          end)
          seen[#seen + 1] = "not reached"
        end)
        seen[#seen + 1] = not ok and _thread.isinstance(e, Strike) and e.message or tostring(e)
        return seen
      end)
      assert.same({ "finished", "now" }, result)
    end)
  end

  it("raises itself where the function has returned nothing", function()
    local ok, e = struck(function(there, go)
      return pcall(shield, function()
        there:release()
        go:acquire()
      end)
    end)
    assert.is_false(ok)
    assert.is_true(_thread.isinstance(e, Strike))
  end)

  it("lets results reach a variable before", function()
    local result, reached, is_strike = struck(function(there, go)
      local result, reached
      local _, e = pcall(function()
        result = shield(function()
          there:release()
          go:acquire()
          return "result"
        end)
        reached = true
        reached = true
      end)
      return result, reached, _thread.isinstance(e, Strike)
    end)
    assert.equal("result", result)
    assert.is_nil(reached)
    assert.is_true(is_strike)
  end)

  it("lets an error reach who catches it before", function()
    local e, is_strike = struck(function(there, go)
      local ok, first
      local _, second = pcall(function()
        ok, first = pcall(shield, function()
          there:release()
          go:acquire()
          error("its own", 0)
        end)
        ok = nil
        ok = ok or "never"
      end)
      return ok or first, _thread.isinstance(second, Strike)
    end)
    assert.equal("its own", e)
    assert.is_true(is_strike)
  end)

  it("raises after it what an error that nobody catches leaves pending", function()
    local there, go = held(), held()
    local handle = start(function()
      shield(function()
        there:release()
        go:acquire()
        error("its own", 0)
      end)
    end)
    assert.is_true(await(there))
    assert.is_true(handle:interrupt(Strike))
    go:release()
    assert.is_true(handle:join(threads.LONG))
    local ok, e = pcall(handle.result, handle)
    assert.is_false(ok)
    assert.equal("its own", e)
  end)

  it("raises what was pending before it without calling the function", function()
    local called = struck(function(there, go)
      local called = false
      pcall(function()
        local _ <close> = setmetatable({}, { __close = function() end })
        do
          -- The handler holds the interrupt back until the shield is all that is left to run.
          local _ <close> = setmetatable({}, { __close = function()
            there:release()
            go:acquire()
          end })
        end
        shield(function() called = true end)
      end)
      return called
    end)
    assert.is_false(called)
  end)

  it("raises all that came, one after the other, SystemExit first", function()
    local there, go = held(), held()
    local handle = start(function()
      local seen = {}
      local function recording(f)
        pcall(function()
          local _ <close> = setmetatable({}, { __close = function(_, e)
            seen[#seen + 1] = tostring(e):match "SystemExit" or e.message
          end })
          f()
          for _ = 1, 10000 do end
        end)
      end
      recording(function()
        recording(function()
          recording(function()
            shield(function()
              there:release()
              go:acquire()
            end)
          end)
        end)
      end)
      return seen
    end)
    assert.is_true(await(there))
    for _, e in ipairs { Strike "one", Strike "two", _thread.SystemExit } do
      assert.is_true(handle:interrupt(e))
    end
    go:release()
    assert.same({ "SystemExit", "one", "two" }, threads.result(handle))
  end)

  it("holds an interrupt of the main thread, by itself too", function()
    local finished = false
    raised(_thread.KeyboardInterrupt, shield, function()
      _thread.interrupt_main()
      for _ = 1, 10000 do end
      _thread.sleep(0.001)
      finished = true
    end)
    assert.is_true(finished)
  end)

  it("holds it in the outermost one only until that ends", function()
    local seen = {}
    raised(_thread.KeyboardInterrupt, shield, function()
      shield(function() _thread.interrupt_main() end)
      seen[#seen + 1] = "outer"
      seen[#seen + 1] = pcall(shield, error)
      seen[#seen + 1] = shield(function() return "inner" end)
    end)
    assert.same({ "outer", false, "inner" }, seen)
  end)

  it("leaves nothing behind when an error has passed many", function()
    local function nest(depth)
      if depth == 0 then error "deep" end
      shield(nest, depth - 1)
    end
    assert.is_false(pcall(nest, 50))
    assert.is_false(pcall(nest, 1000)) -- C stack overflow
    raised(_thread.KeyboardInterrupt, function()
      _thread.interrupt_main()
      for _ = 1, 1000000 do end
    end)
  end)

  it("holds it in a finalizer, too", function()
    local seen = struck(function(there, go)
      local seen = {}
      pcall(function()
        setmetatable({}, { __gc = function()
          shield(function()
            there:release()
            go:acquire()
          end)
          for _ = 1, 10000 do end
          seen[#seen + 1] = "finalized"
        end })
        collectgarbage()
        seen[#seen + 1] = "not reached"
      end)
      return seen
    end)
    assert.same({ "finalized" }, seen)
  end)

  it("holds none back in a coroutine that was left before it", function()
    raised(_thread.KeyboardInterrupt, function()
      local co = coroutine.wrap(function()
        shield(function() end)
        coroutine.yield()
      end)
      co()
      _thread.interrupt_main()
      for _ = 1, 1000000 do end
    end)
  end)

  it("loses nothing that moves from one queue to another", function()
    local queue = require "lthread.queue"
    local COUNT <const> = os.getenv "LTHREAD_SANITIZER" and 2000 or 10000
    local from, to = queue.Queue(), queue.SimpleQueue()
    local function move()
      while true do
        shield(function() to:put(from:get()) end)
      end
    end
    local movers, ends, count = { start(move), start(move), start(move) }, 0, 0
    repeat
      count = count + 1
      from:put(count)
      local place = count % #movers + 1
      if not movers[place]:interrupt(Strike) then
        movers[place] = start(move)
        ends = ends + 1
      end
    until count >= COUNT and ends >= 20
    from:shutdown()
    for _, mover in ipairs(movers) do assert.is_true(mover:join(threads.LONG)) end
    local seen = {}
    for _, rest in ipairs { to, from } do
      for _ = 1, rest:qsize() do
        local i = rest:get(false)
        assert.is_nil(seen[i])
        seen[i] = true
      end
    end
    assert.equal(count, #seen)
  end)
end)

if io.open("/proc/self/stat") then
  describe("a system call in a shield", function()
    it("goes on", function()
      with_fifo(function(path)
        local there = held()
        local handle = start(function()
          local file <close> = io.open(path, "r+")
          there:release()
          local line
          local ok, e = pcall(function()
            line = shield(file.read, file)
            _thread.sleep(threads.LONG)
          end)
          return line, ok, e
        end)
        assert.is_true(await(there))
        local native_id
        for _, info in ipairs(_thread.enumerate()) do
          if info.ident == handle.ident then native_id = info.native_id end
        end
        assert.is_true(threads.await_system_call(native_id))
        for _ = 1, 5 do
          handle:interrupt(Strike)
          _thread.sleep(0.002) -- some reminders come meanwhile, too
        end
        local file <close> = io.open(path, "r+")
        file:write "line\n"
        file:flush()
        local line, ok, e = threads.result(handle)
        assert.equal("line", line)
        assert.is_false(ok)
        assert.is_true(_thread.isinstance(e, Strike))
      end)
    end)

    it("is ended where it comes right after the shield", function()
      with_fifo(function(path)
        local ok, e = struck(function(there, go)
          local file <close> = io.open(path, "r+")
          return pcall(function()
            file.read(shield(function()
              there:release()
              go:acquire()
              return file
            end))
            for _ = 1, 10000 do end
          end)
        end)
        assert.is_false(ok)
        assert.is_true(_thread.isinstance(e, Strike))
      end)
    end)
  end)
end

describe("a shield at the end of the main state", function()
  local function run(f)
    return child(([[
      local _thread = require "lthread"
      local there = _thread.allocate_lock()
      there:acquire()
      _thread.start_new_thread(function()
        local closed <close> = setmetatable({}, { __close = function() print "closed" end })
        _thread.shield(function() %s end)
      end, {})
      there:acquire()
    ]]):format(f))
  end

  it("holds SystemExit for what ends soon", function()
    assert.equal("finished\nclosed\nstatus 0\n", run [[
      there:release()
      while _thread.enumerate()[1].state ~= "stopping" do end
      for _ = 1, 10000 do end
      print "finished"
    ]])
  end)

  local endless = {
    ["waits"] = "there:release() _thread.sleep(1e6)",
    ["computes"] = "there:release() while true do end",
    ["catches errors"] = "there:release() while true do pcall(_thread.sleep, 1e6) end",
  }

  for what, code in pairs(endless) do
    it("does not keep it up where it " .. what, function()
      assert.equal("status 0\n", run(code)) -- where it must end, no handler goes on either
    end)
  end

  it("only calls the function in a finalizer of a state that is being closed", function()
    assert.equal("1\t2\nstatus 0\n", child [[
      KEPT = setmetatable({}, { __gc = function() print(THREAD.shield(math.max, 1), 2) end })
      THREAD = require "lthread"
    ]])
  end)
end)

describe("Ctrl-C in a shield", function()
  it("does not end a wait, and is raised after it", function()
    assert.matches("^finished\nfalse\t[^\n]*interrupted!\nstatus 0\n$", child [[
      local _thread = require "lthread"
      local threads = require "support.threads"
      local done = threads.held()
      threads.start(function()
        assert(threads.await_blocked())
        io.popen("kill -INT $PPID"):close()
        _thread.sleep(0.05)
        done:release()
      end)
      local ok, e = pcall(function()
        _thread.shield(function()
          done:acquire()
          for _ = 1, 10000 do end
          print "finished"
        end)
        print "not reached"
      end)
      print(ok, e)
    ]])
  end)
end)
