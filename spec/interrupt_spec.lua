local _thread = require "lthread"
local child = require "fixtures.child"
local raised = require "support.raised"
local threads = require "support.threads"
local held, await, start = threads.held, threads.await, threads.start

-- Threads that nobody joins may still be on their way out when a test has ended.
before_each(function()
  assert.is_true(threads.eventually(function() return _thread._count() == 0 end))
end)

setup(function() _thread.set_excepthook(function() end) end)
teardown(function() _thread.set_excepthook(nil) end)

-- Joins a thread that must have ended by an exception of the class; returns that.
local function ended_by(class, handle)
  assert.is_true(handle:join(threads.LONG), "the thread has not ended")
  return raised(class, handle.result, handle)
end

-- What a thread may be doing when it is interrupted; each says first that it is there.
local computing = {
  ["an empty loop"] = function(there)
    there:release()
    while true do end
  end,
  ["a numeric loop"] = function(there)
    there:release()
    for _ = 1, math.maxinteger do end
  end,
  ["a loop with goto"] = function(there)
    there:release()
    ::again::
    goto again
  end,
  ["a loop that makes garbage"] = function(there)
    there:release()
    while true do local _ = { {} } end
  end,
  ["an endless recursion of tail calls"] = function(there)
    local function again() return again() end
    there:release()
    again()
  end,
  ["calls of a C function"] = function(there)
    there:release()
    while true do (" "):rep(100):gsub(" ", "x") end
  end,
  ["a C function that calls back"] = function(there)
    there:release()
    table.sort(setmetatable({}, { __len = function() return 1 << 30 end, __index = function()
      return 1
    end, __newindex = function() end }), function() return false end)
  end,
  ["a coroutine that never yields"] = function(there)
    coroutine.wrap(function()
      there:release()
      while true do end
    end)()
  end,
  ["a coroutine of a coroutine"] = function(there)
    coroutine.wrap(function()
      coroutine.wrap(function()
        coroutine.wrap(function()
          there:release()
          while true do end
        end)()
      end)()
    end)()
  end,
  ["coroutines that take turns"] = function(there)
    local function turn() while true do coroutine.yield() end end
    local one, other = coroutine.wrap(turn), coroutine.wrap(turn)
    there:release()
    while true do one() other() end
  end,
  ["new coroutines all the time"] = function(there)
    there:release()
    while true do coroutine.wrap(function() coroutine.wrap(function() end)() end)() end
  end,
  ["a deep nest of pcalls that pass it on"] = function(there)
    local function nest(depth)
      if depth == 0 then
        there:release()
        while true do end
      end
      local ok, e = pcall(nest, depth - 1)
      if not ok then error(e, 0) end
    end
    nest(150)
  end,
}

local waiting = {
  ["acquire"] = function(never) never:acquire() end,
  ["acquire with a timeout"] = function(never) never:acquire(true, 1e6) end,
  ["acquire in a coroutine"] = function(never)
    coroutine.wrap(function() coroutine.wrap(function() never:acquire() end)() end)()
  end,
  ["hold"] = function(never) local _ <close> = never:hold() end,
  ["with"] = function(never) never:with(print) end,
  ["__enter__"] = function(never) never:__enter__() end,
  ["RLock.acquire"] = function(_, _, rlock) rlock:acquire() end,
  ["RLock.hold"] = function(_, _, rlock) local _ <close> = rlock:hold() end,
  ["RLock._acquire_restore"] = function(_, _, rlock) rlock:_acquire_restore(2) end,
  ["join"] = function(_, endless) endless:join() end,
  ["join with a timeout"] = function(_, endless) endless:join(1e6) end,
  ["result"] = function(_, endless) endless:result() end,
  ["sleep"] = function() _thread.sleep(1e6) end,
  ["sleep in a coroutine"] = function() coroutine.wrap(_thread.sleep)(1e6) end,
}

describe("interrupt", function()
  for what, f in pairs(computing) do
    it("breaks " .. what, function()
      local there = held()
      local handle = start(f, there)
      assert.is_true(await(there))
      assert.is_true(_thread.interrupt(handle.ident, _thread.ValueError))
      ended_by(_thread.ValueError, handle)
    end)
  end

  for what, f in pairs(waiting) do
    it("breaks " .. what, function()
      local never, rlock = held(), _thread.RLock()
      local endless = start(function() _thread.sleep(1e6) end)
      rlock:acquire()
      local handle = start(f, never, endless, rlock)
      assert.is_true(threads.await_blocked(handle.ident))
      assert.is_true(_thread.interrupt(handle.ident, _thread.ValueError))
      ended_by(_thread.ValueError, handle)
      -- Nobody has got the lock, and everything still works.
      assert.is_true(never:locked())
      never:release()
      assert.is_true(never:acquire(false))
      assert.is_true(rlock:_is_owned())
      assert.equal(1, rlock:_recursion_count())
      rlock:release()
      assert.is_false(rlock:locked())
      assert.is_false(endless:is_done())
      endless:interrupt()
      ended_by(_thread.SystemExit, endless)
    end)
  end

  it("raises SystemExit by default, which ends the thread silently", function()
    local text = child [[
      local _thread = require "lthread"
      local handle = _thread.start_joinable_thread(function() while true do end end)
      print(_thread.interrupt(handle.ident))
      handle:join()
      local ok, e = pcall(handle.result, handle)
      print(ok, _thread.isinstance(e, _thread.SystemExit))
    ]]
    assert.equal("true\nfalse\ttrue\nstatus 0\n", text)
  end)

  it("goes to the excepthook with any other exception", function()
    local text = child [[
      local _thread = require "lthread"
      local there = _thread.allocate_lock()
      there:acquire()
      local handle = _thread.start_joinable_thread(function()
        there:release()
        while true do end
      end, {name = "spinner"})
      there:acquire()
      handle:interrupt(_thread.KeyboardInterrupt)
      handle:join()
    ]]
    assert.truthy(text:find("spinner", 1, true), text)
    assert.truthy(text:find("KeyboardInterrupt", 1, true), text)
    assert.truthy(text:find("stack traceback:", 1, true), text)
    assert.truthy(text:find("status 0\n", 1, true), text)
  end)

  it("raises a copy of an exception object", function()
    local Stop = _thread.Exception:subclass "Stop"
    local there, list = held(), { 1, 2 }
    local handle = start(computing["an empty loop"], there)
    assert.is_true(await(there))
    assert.is_true(_thread.interrupt(handle.ident, Stop("enough", list)))
    local e = ended_by(Stop, handle)
    assert.equal("enough", e.message)
    assert.same(list, e.args[2])
  end)

  it("tells where a class was raised", function()
    local there = held()
    local handle = start(function()
      there:release()
      while true do end
    end)
    local line = debug.getinfo(1, "l").currentline - 2
    assert.is_true(await(there))
    handle:interrupt(_thread.ValueError)
    local e = ended_by(_thread.ValueError, handle)
    -- release() may not have returned yet
    assert.truthy(e.where:find(":" .. line .. ": ", 1, true) or
                  e.where:find(":" .. line - 1 .. ": ", 1, true), e.where)
    assert.truthy(e.traceback:find("interrupt_spec.lua", 1, true), e.traceback)
  end)

  it("reaches the calling thread at once", function()
    local reached = false
    raised(_thread.ValueError, function()
      _thread.interrupt(_thread.get_ident(), _thread.ValueError)
      reached = true
    end)
    assert.is_false(reached)
  end)

  it("returns false for a thread that has ended, and for idents of none", function()
    local handle = start(function() end)
    handle:join()
    assert.is_false(_thread.interrupt(handle.ident))
    assert.is_false(handle:interrupt())
    assert.is_false(_thread.interrupt(0))
    assert.is_false(_thread.interrupt(-1))
    assert.is_false(_thread.interrupt(math.maxinteger))
    assert.is_false(_thread._ThreadHandle():interrupt())
    assert.is_false(_thread._make_thread_handle(handle.ident):interrupt())
  end)

  it("refuses what is no exception", function()
    local me = _thread.get_ident()
    for _, value in ipairs { 42, "no", {}, print, true, _thread.lock, _thread.allocate_lock() } do
      local e = raised(_thread.TypeError, function() _thread.interrupt(me, value) end)
      assert.truthy(e.message:find("bad argument #2 to 'interrupt'", 1, true), e.message)
      assert.truthy(e.message:find("exception", 1, true), e.message)
    end
    raised(_thread.TypeError, _thread.interrupt, "me")
    raised(_thread.TypeError, _thread.interrupt)
    local co = coroutine.create(print)
    local e = raised(_thread.TypeError, _thread.interrupt, me, _thread.ValueError("x", co))
    assert.truthy(e.message:find("cannot transfer a coroutine (exception.args[2])", 1, true),
      e.message)
  end)

  it("also reaches a thread that has not run its first instruction", function()
    for _ = 1, 50 do
      local ran = held()
      local handle = start(function() ran:release() while true do end end)
      assert.is_true(handle:interrupt(_thread.ValueError))
      ended_by(_thread.ValueError, handle)
    end
  end)

  it("that was accepted comes to pass, also when the thread is just ending", function()
    local accepted = 0
    for round = 1, 300 do
      local go = held()
      local handle = start(function() go:acquire(true, 60) return 1 end)
      go:release()
      for _ = 1, round % 20 * 20 do end
      if handle:interrupt(_thread.ValueError) then
        accepted = accepted + 1
        ended_by(_thread.ValueError, handle)
      else
        assert.equal(1, handle:result())
      end
    end
    assert.is_true(accepted > 0)
  end)

  it("that comes during the thread's last call of C is its end", function()
    local path = os.tmpname()
    local handle = start(os.execute, ("rm '%s'; exec sleep 0.5"):format(path))
    assert.is_true(threads.eventually(function()
      local file = io.open(path)
      return file == nil or not file:close()
    end))
    assert.is_true(handle:interrupt(_thread.ValueError))
    ended_by(_thread.ValueError, handle)
  end)

  it("may be caught, and the thread goes on", function()
    local there, go = held(), held()
    local handle = start(function()
      local caught = {}
      for i = 1, 100 do
        local ok, e = pcall(function()
          there:release()
          while true do end
        end)
        caught[i] = not ok and e.args[1]
        go:acquire()
      end
      return caught
    end)
    for i = 1, 100 do
      assert.is_true(await(there))
      assert.is_true(handle:interrupt(_thread.ValueError(i)))
      -- It is delivered before the loop is left, so the next one is not mistaken for it.
      assert.is_true(threads.await_blocked(handle.ident))
      go:release()
    end
    local caught = threads.result(handle)
    for i = 1, 100 do
      assert.equal(i, caught[i])
    end
  end)

  it("that is caught leaves a later wait alone", function()
    local first, never, last = held(), held(), held()
    local handle = start(function()
      local caught = not pcall(first.acquire, first)
      return caught, never:acquire(true, 0.01), last:acquire()
    end)
    assert.is_true(threads.await_blocked(handle.ident))
    handle:interrupt(_thread.ValueError)
    assert.is_true(threads.await_blocked(handle.ident))
    last:release()
    assert.same({ true, false, true }, { threads.result(handle) })
  end)
end)

describe("handle:interrupt", function()
  it("raises in the handle's thread", function()
    local there = held()
    local handle = start(computing["an empty loop"], there)
    assert.is_true(await(there))
    assert.is_true(handle:interrupt(_thread.KeyboardInterrupt("stop")))
    assert.equal("stop", ended_by(_thread.KeyboardInterrupt, handle).message)
  end)

  it("refuses what is no exception, or no handle", function()
    local handle = _thread._ThreadHandle()
    local e = raised(_thread.TypeError, handle.interrupt, handle, 42)
    assert.truthy(e.message:find("exception", 1, true), e.message)
    raised(_thread.TypeError, handle.interrupt, 42)
  end)
end)

-- A thread within a __close handler, so that requests pile up; then it collects 'count' of them.
-- Message handlers collect them, since one may come as soon as a pcall has caught another.
local function collect(count, there, go)
  local order = {}
  local function keep(e)
    order[#order + 1] = e
  end
  local function nest(depth)
    if depth > 0 then
      xpcall(nest, keep, depth - 1)
    else
      local _ <close> = setmetatable({}, { __close = function()
        there:release()
        go:acquire()
      end })
    end
    while #order < count do end
  end
  xpcall(nest, keep, count)
  for i, e in ipairs(order) do
    order[i] = e.args[1] or e.__class__.__name__
  end
  return order
end

local function order_of(count, requests)
  local there, go = held(), held()
  local handle = start(collect, count, there, go)
  assert.is_true(await(there))
  for _, request in ipairs(requests) do
    assert.is_true(handle:interrupt(request))
  end
  go:release()
  assert.is_true(handle:join(threads.LONG))
  return handle:result()
end

describe("interrupts that are pending together", function()
  local Exit = _thread.SystemExit:subclass "Exit"
  local Key = _thread.KeyboardInterrupt:subclass "Key"

  it("come by rank: SystemExit, KeyboardInterrupt, the others", function()
    assert.same({ "SystemExit", "KeyboardInterrupt", "ValueError" }, order_of(3, {
      _thread.ValueError, _thread.KeyboardInterrupt, _thread.SystemExit }))
    assert.same({ "SystemExit", "KeyboardInterrupt", "ValueError" }, order_of(3, {
      _thread.SystemExit, _thread.KeyboardInterrupt, _thread.ValueError }))
    assert.same({ "Exit", "Key", "BaseException" }, order_of(3, {
      _thread.BaseException, Key, Exit }))
  end)

  it("come within a rank in the order in which they came", function()
    assert.same({ "Exit", "SystemExit", "Key", "KeyboardInterrupt", "ValueError", "TypeError" },
      order_of(6, { _thread.ValueError, Key, Exit, _thread.TypeError, _thread.SystemExit,
        _thread.KeyboardInterrupt }))
    assert.same({ 1, 2, 3, 4 }, order_of(4, { _thread.ValueError(1), _thread.TypeError(2),
      _thread.ValueError(3), _thread.TypeError(4) }))
  end)

  it("merge when they are the same class, but not objects", function()
    assert.same({ "SystemExit", "ValueError", "TypeError" }, order_of(3, {
      _thread.ValueError, _thread.ValueError, _thread.SystemExit, _thread.TypeError,
      _thread.ValueError, _thread.SystemExit }))
    local same = _thread.ValueError("twice")
    assert.same({ "twice", "twice", "ValueError" }, order_of(3, { same, same, _thread.ValueError }))
  end)

  it("of one class are one for each time that it was delivered", function()
    assert.same({ "ValueError" }, order_of(1, { _thread.ValueError, _thread.ValueError }))
  end)
end)

-- Ways to get into a handler that must finish. Each calls body() in it.
local closers = {
  ["a __close handler at the end of a scope"] = function(body)
    do local _ <close> = setmetatable({}, { __close = body }) end
  end,
  ["a __close handler at a break"] = function(body)
    while true do
      local _ <close> = setmetatable({}, { __close = body })
      if body then break end
    end
  end,
  ["a __close handler at a return"] = function(body)
    local function f()
      local _ <close> = setmetatable({}, { __close = body })
      return 1
    end
    f()
  end,
  ["the __close handler of a generic for"] = function(body)
    for _ in next, {}, nil, setmetatable({}, { __close = body }) do _ = nil end
  end,
  ["a __close handler after an error in pcall"] = function(body)
    pcall(function()
      local _ <close> = setmetatable({}, { __close = body })
      error "x"
    end)
  end,
  ["a __close handler after an error in pcall with arguments"] = function(body)
    pcall(function()
      local _ <close> = setmetatable({}, { __close = body })
      local _ = nil + 1
    end, 1, 2, 3)
  end,
  ["a __close handler after an error in xpcall"] = function(body)
    xpcall(function()
      local _ <close> = setmetatable({}, { __close = body })
      error "x"
    end, function(e) return e end, 1)
  end,
  ["a __close handler after an error in pcall in a coroutine"] = function(body)
    coroutine.wrap(function()
      pcall(function()
        local _ <close> = setmetatable({}, { __close = body })
        error "x"
      end)
    end)()
  end,
  ["a __close handler of a coroutine that ends"] = function(body)
    coroutine.wrap(function()
      local _ <close> = setmetatable({}, { __close = body })
    end)()
  end,
  ["a __close handler in coroutine.close"] = function(body)
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = body })
      coroutine.yield()
    end)
    coroutine.resume(co)
    coroutine.close(co)
  end,
  ["a __close handler in coroutine.close after an error"] = function(body)
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = body })
      error "x"
    end)
    coroutine.resume(co)
    coroutine.close(co)
  end,
  ["a __close handler of a wrapped coroutine that fails"] = function(body)
    pcall(coroutine.wrap(function()
      local _ <close> = setmetatable({}, { __close = body })
      error "x"
    end))
  end,
  ["a __gc handler"] = function(body)
    setmetatable({}, { __gc = body })
    collectgarbage()
  end,
  ["a coroutine resumed by a __close handler"] = function(body)
    do local _ <close> = setmetatable({}, { __close = function() coroutine.wrap(body)() end }) end
  end,
  ["a function called by pcall in a __close handler"] = function(body)
    do local _ <close> = setmetatable({}, { __close = function() assert(pcall(body)) end }) end
  end,
  ["a handler within a handler"] = function(body)
    do
      local _ <close> = setmetatable({}, { __close = function()
        do local _ <close> = setmetatable({}, { __close = body }) end
      end })
    end
  end,
}

-- What it does there when the interrupt comes: 'at' says so, 'go' lets it go on.
local inside = {
  ["computes"] = function(there, go)
    there:release()
    while not go:acquire(false) do end
    for _ = 1, 10000 do end
  end,
  ["waits"] = function(there, go)
    there:release()
    go:acquire()
    for _ = 1, 10000 do end
  end,
  ["catches errors"] = function(there, go)
    there:release()
    repeat
      pcall(error, "x")
    until go:acquire(false)
  end,
}

describe("an interrupt", function()
  for where, enter in pairs(closers) do
    for what, body in pairs(inside) do
      it("lets finish " .. where .. " that " .. what, function()
        local there, go = held(), held()
        local handle = start(function()
          local finished = false
          local ok, e = pcall(function()
            enter(function()
              body(there, go)
              finished = true
            end)
            while true do end
          end)
          return finished, ok, tostring(e)
        end)
        assert.is_true(await(there))
        assert.is_true(handle:interrupt(_thread.ValueError))
        go:release()
        local finished, ok, e = threads.result(handle)
        assert.is_true(finished, e)
        assert.is_false(ok)
        assert.truthy(e:find("ValueError", 1, true), e)
      end)
    end
  end

  for what, body in pairs(inside) do
    it("lets finish a handler that " .. what .. " while an error ends the thread", function()
      local there, go, finished = held(), held(), held()
      local handle = start(function()
        local _ <close> = setmetatable({}, { __close = function()
          body(there, go)
          finished:release()
        end })
        error(_thread.RuntimeError("first"))
      end)
      assert.is_true(await(there))
      handle:interrupt(_thread.ValueError)
      go:release()
      assert.is_true(handle:join(threads.LONG))
      assert.is_false(finished:locked())
    end)
  end

  it("lets all handlers finish that it makes run itself", function()
    local there, go = held(), held()
    local handle = start(function()
      local order = {}
      local function closer(name, body)
        return setmetatable({}, { __close = function()
          body()
          order[#order + 1] = name
        end })
      end
      local ok = pcall(function()
        local _ <close> = closer("outer", function() for _ = 1, 10000 do end end)
        local _ <close> = closer("inner", function()
          there:release()
          go:acquire()
        end)
        there:release()
        while true do end
      end)
      return ok, order
    end)
    assert.is_true(await(there))
    handle:interrupt(_thread.ValueError)
    assert.is_true(await(there))
    handle:interrupt(_thread.TypeError)
    go:release()
    -- The second one comes after pcall has returned, and ends the thread.
    ended_by(_thread.TypeError, handle)
  end)

  it("is raised again and again when the main state closes, also in a handler", function()
    local text = child [[
      local _thread = require "lthread"
      local there = _thread.allocate_lock()
      local never = _thread.allocate_lock()
      there:acquire()
      never:acquire()
      for _, body in ipairs {
        function() never:acquire() end,
        function() while true do end end,
        function() while true do pcall(never.acquire, never) end end,
      } do
        _thread.start_new_thread(function()
          local ended <const> = setmetatable({}, {__gc = function() print "ended" end})
          do local _ <close> = setmetatable({}, {__close = function()
            there:release()
            body()
          end}) end
        end, {})
        there:acquire()
      end
    ]]
    assert.equal(("ended\n"):rep(3) .. "status 0\n", text)
  end)
end)

describe("a lock that is held", function()
  local function strike(work)
    for _ = 1, 8 do
      local lock, rlock = _thread.allocate_lock(), _thread.RLock()
      local ready, stop = held(), held()
      local handle = start(work, lock, rlock, ready, stop)
      assert.is_true(await(ready))
      local struck = 0
      while struck < 100 and handle:interrupt(_thread.ValueError(struck)) do
        struck = struck + 1
        if struck % 5 == 0 then
          for _, each in ipairs { lock, rlock } do
            assert.is_true(each:acquire(true, threads.LONG), "it is still locked")
            each:release()
          end
        end
      end
      stop:release()
      assert.is_true(handle:join(threads.LONG))
      assert.is_false(lock:locked())
      assert.is_false(rlock:locked())
    end
  end

  -- pcalls within one another: each interrupt that comes between takes away only one.
  local function stubborn(f, stop, depth)
    repeat
      if depth == 0 then f() else pcall(stubborn, f, stop, depth - 1) end
    until not stop:locked()
  end

  it("by hold is released however often interrupts strike", function()
    strike(function(lock, rlock, ready, stop)
      ready:release()
      stubborn(function()
        local _ <close> = lock:hold()
        local _ <close> = rlock:hold()
        local _ <close> = rlock:hold()
      end, stop, 50)
    end)
  end)

  it("by with is released however often interrupts strike", function()
    strike(function(lock, rlock, ready, stop)
      ready:release()
      stubborn(function()
        lock:with(rlock.with, rlock, function() rlock:with(function() end) end)
      end, stop, 50)
    end)
  end)

  it("by hold in a coroutine is released however often interrupts strike", function()
    strike(function(lock, rlock, ready, stop)
      ready:release()
      stubborn(function()
        coroutine.wrap(function()
          local _ <close> = lock:hold()
          local _ <close> = rlock:hold()
        end)()
      end, stop, 50)
    end)
  end)
end)

describe("interrupt_main", function()
  local function main_raises(f, prepare)
    local done = held()
    local handle = start(function()
      if not prepare() then error "the main thread did not come" end
      _thread.interrupt_main()
      done:acquire()
    end)
    raised(_thread.KeyboardInterrupt, f)
    done:release()
    handle:result()
  end

  local blocked = function() return threads.await_blocked() end

  it("breaks an acquire", function()
    local never = held()
    main_raises(function() never:acquire(true, threads.LONG) end, blocked)
    assert.is_true(never:locked())
  end)

  it("breaks a sleep", function()
    main_raises(function() _thread.sleep(threads.LONG) end, blocked)
  end)

  it("breaks a join", function()
    local never = held()
    local endless = start(function() never:acquire() end)
    main_raises(function() endless:join(threads.LONG) end, blocked)
    never:release()
    endless:result()
  end)

  it("breaks _shutdown", function()
    local never = held()
    local endless = _thread.start_joinable_thread(function() never:acquire() end,
      { daemon = false })
    main_raises(function() _thread._shutdown() end, blocked)
    never:release()
    endless:result()
  end)

  for what, f in pairs(computing) do
    it("breaks " .. what, function()
      local there = held()
      main_raises(function() f(there) end, function() return there:acquire(true, 60) end)
    end)
  end

  it("in the main thread raises at once", function()
    local reached = false
    raised(_thread.KeyboardInterrupt, function()
      _thread.interrupt_main()
      reached = true
    end)
    assert.is_false(reached)
    raised(_thread.KeyboardInterrupt, function() _thread.interrupt_main { signum = 2 } end)
  end)

  it("refuses numbers that no signal has", function()
    for _, number in ipairs { 0, -1, 1000, math.maxinteger, math.mininteger } do
      local e = raised(_thread.ValueError, _thread.interrupt_main, number)
      assert.truthy(e.message:find("signal number " .. number .. " out of range", 1, true),
        e.message)
    end
    raised(_thread.TypeError, _thread.interrupt_main, "INT")
    raised(_thread.TypeError, _thread.interrupt_main, 1.5)
  end)

  it("does nothing with a signal that is ignored or has its default", function()
    for _, number in ipairs { 1, 10, 12, 15, 17 } do
      _thread.interrupt_main(number)
    end
    start(function() _thread.interrupt_main(15) end):result()
  end)
end)
