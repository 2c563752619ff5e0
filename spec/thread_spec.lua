local _thread = require "lthread"
local child = require "fixtures.child"

local LONG = 30

local function held()
  local lock = _thread.allocate_lock()
  lock:acquire()
  return lock
end

local function call(f, ...)
  return _thread.start_joinable_thread(f, { args = table.pack(...) }):result()
end

local function raises(class, text, f, ...)
  local ok, e = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(_thread.isinstance(e, class), tostring(e))
  assert.truthy(e.message:find(text, 1, true), e.message)
  return e
end

local function eventually(condition)
  local limit = _thread.monotonic() + LONG
  while not condition() do
    if _thread.monotonic() > limit then
      return false
    end
    _thread.sleep(0.001)
  end
  return true
end

local function info_of(ident)
  for _, info in ipairs(_thread.enumerate()) do
    if info.ident == ident then
      return info
    end
  end
end

local function quiet()
  _thread.set_excepthook(function() end)
  finally(function()
    _thread.set_excepthook(nil)
  end)
end

-- Threads that nobody joins may still be on their way out when a test has ended.
before_each(function()
  assert.is_true(eventually(function() return _thread._count() == 0 end))
end)

describe("start_new_thread", function()
  it("runs ten tasks", function()
    local done = {}
    for i = 1, 10 do
      done[i] = held()
      _thread.start_new_thread(function(lock)
        lock:release()
      end, { done[i] })
    end
    for i = 1, 10 do
      assert.is_true(done[i]:acquire(true, LONG))
    end
  end)

  it("returns the ident of the thread", function()
    local go, right = held(), held()
    local ident = _thread.start_new_thread(function(expect)
      go:acquire()
      local lock = expect()
      if lock == _thread.get_ident() then
        right:release()
      end
    end, { function() return 0 end })
    go:release()
    assert.equal("integer", math.type(ident))
    assert.is_true(eventually(function() return info_of(ident) == nil end))
    assert.is_true(right:locked())
  end)

  it("gives the function its arguments, holes and all", function()
    local handle = _thread.start_joinable_thread(function(...)
      return select("#", ...), ...
    end, { args = table.pack(nil, 2, nil) })
    assert.same(table.pack(3, nil, 2, nil), table.pack(handle:result()))
    local right = held()
    _thread.start_new_thread(function(...)
      local a, b = ...
      if select("#", ...) == 2 and a == nil and b == 2 then
        right:release()
      end
    end, table.pack(nil, 2))
    assert.is_true(right:acquire(true, LONG))
  end)

  it("counts the arguments by n rather than by length", function()
    local count = function(...) return select("#", ...) end
    local function result(args)
      return (_thread.start_joinable_thread(count, { args = args }):result())
    end
    assert.equal(0, result({}))
    assert.equal(0, result(nil))
    assert.equal(1, result({ 1, 2, n = 1 }))
    assert.equal(5, result({ 1, n = 5 }))
    assert.equal(3, result({ 1, 2, 3 }))
  end)

  it("passes the keyword arguments as the last one", function()
    local right = held()
    _thread.start_new_thread(function(...)
      local a, kwargs = ...
      if select("#", ...) == 2 and a == 1 and kwargs.x == "y" then
        right:release()
      end
    end, { 1 }, { x = "y" })
    assert.is_true(right:acquire(true, LONG))
    local n, a, kwargs = _thread.start_joinable_thread(function(...)
      return select("#", ...), ...
    end, { args = { 5 }, kwargs = { z = 7 } }):result()
    assert.equal(2, n)
    assert.equal(5, a)
    assert.same({ z = 7 }, kwargs)
  end)

  it("refuses arguments of the wrong type", function()
    local f = function() end
    local count = _thread._count()
    local start = _thread.start_new_thread
    raises(_thread.TypeError, "function expected, got number", start, 1, {})
    raises(_thread.TypeError, "function expected, got nil", start)
    raises(_thread.TypeError, "table expected, got nil", start, f)
    raises(_thread.TypeError, "table expected, got number", start, f, 1)
    raises(_thread.TypeError, "table expected, got string", start, f, {}, "k")
    raises(_thread.TypeError, "'n' must be a count", start, f, { n = "many" })
    raises(_thread.TypeError, "'n' must be a count", start, f, { n = -1 })
    raises(_thread.ValueError, "too many arguments", start, f, { n = math.maxinteger })
    assert.equal(count, _thread._count())
  end)

  it("calls a value that has __call", function()
    local callable = setmetatable({ base = 40 }, {
      __call = function(self, n)
        return self.base + n
      end,
    })
    assert.equal(42, (call(callable, 2)))
  end)

  it("has the old names too", function()
    local done = _thread.allocate()
    done:acquire_lock()
    assert.equal("integer", math.type(_thread.start_new(function()
      done:release_lock()
    end, {})))
    assert.is_true(done:acquire(true, LONG))
    raises(_thread.SystemExit, "", _thread.exit_thread)
  end)
end)

describe("start_joinable_thread", function()
  it("refuses arguments of the wrong type", function()
    local start = _thread.start_joinable_thread
    local f = function() end
    raises(_thread.TypeError, "function expected", start)
    raises(_thread.TypeError, "function expected", start, {})
    raises(_thread.TypeError, "unexpected keyword argument 'arg'", start, f, { arg = {} })
    raises(_thread.TypeError, "table expected", start, f, { args = 1 })
    raises(_thread.TypeError, "table expected", start, f, { kwargs = 1 })
    raises(_thread.TypeError, "string expected", start, f, { name = 1 })
    raises(_thread.ValueError, "zero", start, f, { name = "a\0b" })
    raises(_thread.TypeError, "_ThreadHandle expected", start, f, { handle = held() })
  end)

  it("uses an unstarted handle, once", function()
    local lock = held()
    local handle = _thread._ThreadHandle()
    local same = _thread.start_joinable_thread(function() lock:acquire() end, { handle = handle })
    assert.equal(handle, same)
    raises(_thread.RuntimeError, "thread already started", _thread.start_joinable_thread,
      function() end, { handle = handle })
    lock:release()
    assert.is_true(handle:join())
    raises(_thread.RuntimeError, "thread already started", _thread.start_joinable_thread,
      function() end, handle)
  end)

  it("takes the handle and the daemon flag by position", function()
    local lock, handle = held(), _thread._ThreadHandle()
    _thread.start_joinable_thread(function() lock:acquire() end, handle, false)
    assert.is_false(info_of(handle.ident).daemon)
    lock:release()
    assert.is_true(handle:join())
  end)

  it("takes nil for no handle", function()
    assert.is_true(_thread.start_joinable_thread(function() end, nil):join())
  end)

  it("makes a daemon unless told otherwise", function()
    local lock = held()
    local wait = function() lock:acquire() lock:release() end
    local daemon = _thread.start_joinable_thread(wait)
    local other = _thread.start_joinable_thread(wait, { daemon = false })
    assert.is_true(info_of(daemon.ident).daemon)
    assert.is_false(info_of(other.ident).daemon)
    lock:release()
    assert.is_true(daemon:join() and other:join())
  end)

  it("leaves a handle unstarted when the start is refused", function()
    local handle = _thread._ThreadHandle()
    raises(_thread.TypeError, "cannot transfer a coroutine", _thread.start_joinable_thread,
      function() end, { handle = handle, args = { coroutine.create(print) } })
    raises(_thread.RuntimeError, "thread not started", handle.join, handle)
    _thread.start_joinable_thread(function() return "now" end, { handle = handle })
    assert.equal("now", (handle:result()))
  end)
end)

describe("a handle", function()
  it("joins and knows the ident", function()
    local handle = _thread.start_joinable_thread(_thread.get_ident)
    assert.is_true(handle:join())
    assert.is_true(handle:is_done())
    assert.equal(handle.ident, (handle:result()))
    assert.truthy(tostring(handle):find(tostring(handle.ident), 1, true))
  end)

  it("joins a thread that has long exited, several times", function()
    local handle = _thread.start_joinable_thread(function() end)
    assert.is_true(eventually(function() return handle:is_done() end))
    assert.is_true(handle:join())
    assert.is_true(handle:join())
    assert.is_true(handle:join(0))
  end)

  it("may be dropped without a join", function()
    local go, done = held(), held()
    do
      local handle = _thread.start_joinable_thread(function()
        go:acquire()
        done:release()
      end)
      assert.is_false(handle:is_done())
    end
    collectgarbage()
    collectgarbage()
    go:release()
    assert.is_true(done:acquire(true, LONG))
  end)

  it("can't join its own thread", function()
    local given, tried = held(), held()
    local box = _thread._ThreadHandle()
    local handle = _thread.start_joinable_thread(function(mine)
      given:acquire()
      local ok, e = pcall(mine.join, mine)
      local is = _thread.isinstance(e, _thread.RuntimeError)
      tried:release()
      return ok, is, e.message
    end, { handle = box, args = { box } })
    given:release()
    assert.is_true(tried:acquire(true, LONG))
    assert.same({ false, true, "Cannot join current thread" }, { handle:result() })
  end)

  it("refuses to join itself also while another thread joins it", function()
    local go, handle = held(), _thread._ThreadHandle()
    _thread.start_joinable_thread(function(mine)
      go:acquire()
      return select(2, pcall(mine.join, mine)).message
    end, { handle = handle, args = { handle } })
    local joiner = _thread.start_joinable_thread(function() return handle:join() end)
    assert.is_true(eventually(function()
      return info_of(joiner.ident).state == "blocked"
    end))
    go:release()
    assert.is_true(handle:join())
    assert.is_true((joiner:result()))
    assert.equal("Cannot join current thread", (handle:result()))
  end)

  it("joins with a timeout", function()
    local lock = held()
    local handle = _thread.start_joinable_thread(function() lock:acquire() end)
    assert.is_false(handle:join(0.01))
    assert.is_false(handle:join{ timeout = 0 })
    assert.is_false(handle:is_done())
    lock:release()
    assert.is_true(handle:join(-1))
    assert.is_true(handle:is_done())
  end)

  it("refuses a wrong timeout", function()
    local handle = _thread.start_joinable_thread(function() end)
    raises(_thread.ValueError, "nan", handle.join, handle, 0 / 0)
    raises(_thread.OverflowError, "too large", handle.join, handle, math.huge)
    raises(_thread.TypeError, "number expected", handle.join, handle, "soon")
    assert.is_true(handle:join())
  end)

  it("of no thread yet can't be joined", function()
    local handle = _thread._ThreadHandle()
    assert.equal(0, handle.ident)
    assert.is_false(handle:is_done())
    raises(_thread.RuntimeError, "thread not started", handle.join, handle)
    raises(_thread.RuntimeError, "thread not started", handle.result, handle)
  end)

  it("is joined from several threads at once", function()
    local go = held()
    local handle = _thread.start_joinable_thread(function()
      go:acquire()
      return "shared"
    end)
    local joiners = {}
    for i = 1, 5 do
      joiners[i] = _thread.start_joinable_thread(function()
        return handle:join(), handle:result()
      end)
    end
    go:release()
    for i = 1, 5 do
      assert.same({ true, "shared" }, { joiners[i]:result() })
    end
    assert.equal("shared", (handle:result()))
  end)

  it("crosses states by reference", function()
    local go = held()
    local handle = _thread.start_joinable_thread(function() go:acquire() end)
    local ident, done, back = call(function(h)
      return h.ident, h:is_done(), { h, h }
    end, handle)
    assert.equal(handle.ident, ident)
    assert.is_false(done)
    assert.equal(handle, back[1])
    assert.equal(back[1], back[2])
    go:release()
    assert.is_true(back[1]:join())
    assert.is_true(handle:is_done())
  end)

  it("returns all results of the function, each time a new copy", function()
    local handle = _thread.start_joinable_thread(function() return nil, { 1 }, nil end)
    local first, second = table.pack(handle:result()), table.pack(handle:result())
    assert.equal(3, first.n)
    assert.same({ nil, { 1 }, nil, n = 3 }, first)
    assert.same(first, second)
    assert.are_not.equal(first[2], second[2])
    assert.equal(0, select("#", _thread.start_joinable_thread(function() end):result()))
  end)

  it("raises from result what the thread raised", function()
    quiet()
    local typed = _thread.start_joinable_thread(function()
      error(_thread.ValueError("task failed"))
    end)
    local e = raises(_thread.ValueError, "task failed", typed.result, typed)
    assert.equal("task failed", e.message)
    local plain = _thread.start_joinable_thread(function() error("plain", 0) end)
    local other = _thread.start_joinable_thread(function() error({ code = 7 }) end)
    for _ = 1, 2 do
      assert.same({ false, "plain" }, { pcall(plain.result, plain) })
      assert.same({ false, { code = 7 } }, { pcall(other.result, other) })
    end
    assert.is_true(plain:join())
  end)

  it("says from result what can't be transferred", function()
    local handle = _thread.start_joinable_thread(function() return 1, coroutine.create(print) end)
    raises(_thread.TypeError, "cannot transfer a coroutine (result[2])", handle.result, handle)
  end)

  it("is made from an ident", function()
    local go = held()
    local handle = _thread.start_joinable_thread(function() go:acquire() end)
    local made = _thread._make_thread_handle(handle.ident)
    assert.equal(handle, made)
    assert.is_false(made:is_done())
    go:release()
    assert.is_true(made:join())
    local ident = handle.ident
    local late = _thread._make_thread_handle(ident)
    assert.is_true(late:is_done())
    assert.is_true(late:join())
    assert.equal(ident, late.ident)
    raises(_thread.ValueError, "no thread has the ident", _thread._make_thread_handle, -5)
    raises(_thread.ValueError, "no thread has the ident", _thread._make_thread_handle,
      math.maxinteger)
    raises(_thread.TypeError, "expected, got string", _thread._make_thread_handle, "x")
  end)

  it("has nothing to set or to call but its methods", function()
    local handle = _thread._ThreadHandle()
    assert.is_nil(handle.nothing)
    assert.is_false(pcall(function() handle.ident = 5 end))
    assert.equal(0, handle.ident)
    raises(_thread.TypeError, "_ThreadHandle expected", handle.join, {})
    raises(_thread.TypeError, "_ThreadHandle expected", handle.is_done)
    assert.is_true(_thread.isinstance(handle, _thread._ThreadHandle))
  end)
end)

describe("threads", function()
  it("start threads that start threads", function()
    local function tree(depth)
      if depth == 0 then
        return 1
      end
      local left = _thread.start_joinable_thread(tree, { args = { depth - 1 } })
      local right = _thread.start_joinable_thread(tree, { args = { depth - 1 } })
      return left:result() + right:result()
    end
    assert.equal(16, (call(tree, 4)))
  end)

  it("meet at a barrier again and again", function()
    local THREADS, TRIPS = 10, 3
    -- coming[i][j] is how i tells j that it is there, leaving[i][j] that it has seen all others;
    -- arrived[trip][i] is unlocked before that.
    local coming, leaving, arrived, handles = {}, {}, {}, {}
    for i = 1, THREADS do
      coming[i], leaving[i] = {}, {}
      for j = 1, THREADS do
        coming[i][j], leaving[i][j] = held(), held()
      end
    end
    for trip = 1, TRIPS do
      arrived[trip] = {}
      for i = 1, THREADS do
        arrived[trip][i] = held()
      end
    end
    local function meet(turn, me)
      for other = 1, THREADS do
        turn[me][other]:release()
      end
      for other = 1, THREADS do
        turn[other][me]:acquire()
      end
    end
    local function task(me)
      local early = 0
      for trip = 1, TRIPS do
        arrived[trip][me]:release()
        meet(coming, me)
        for other = 1, THREADS do
          if arrived[trip][other]:locked() then
            early = early + 1
          end
        end
        meet(leaving, me)
      end
      return early
    end
    for i = 1, THREADS do
      handles[i] = _thread.start_joinable_thread(task, { args = { i } })
    end
    for i = 1, THREADS do
      assert.equal(0, (handles[i]:result()))
    end
  end)

  it("are counted", function()
    local before = _thread._count()
    local started, go = held(), held()
    local function task()
      started:release()
      go:acquire()
      go:release()
    end
    local handle = _thread.start_joinable_thread(task)
    started:acquire()
    assert.equal(before + 1, _thread._count())
    _thread.start_new_thread(task, {})
    started:acquire()
    assert.equal(before + 2, _thread._count())
    assert.equal(before + 3, (call(_thread._count)))
    go:release()
    assert.is_true(handle:join())
    assert.is_true(eventually(function() return _thread._count() == before end))
  end)

  it("have left the count when they are joined", function()
    local before = _thread._count()
    for _ = 1, 50 do
      _thread.start_joinable_thread(function() end):join()
      assert.equal(before, _thread._count())
    end
  end)

  it("end silently by exit, in the middle of a call", function()
    local before = held()
    local handle = _thread.start_joinable_thread(function()
      local function inner()
        before:release()
        _thread.exit()
      end
      inner()
      return "not reached"
    end)
    raises(_thread.SystemExit, "", handle.result, handle)
    assert.is_false(before:locked())
    raises(_thread.SystemExit, "", _thread.exit)
  end)

  it("close their variables and run their finalizers before they are done", function()
    local closed, collected = held(), held()
    local handle = _thread.start_joinable_thread(function()
      KEPT = setmetatable({}, { __gc = function() collected:release() end }) -- luacheck: ignore
      local _ <close> = setmetatable({}, { __close = function() closed:release() end })
      _thread.exit()
    end)
    assert.is_true(handle:join())
    assert.is_false(closed:locked())
    assert.is_false(collected:locked())
  end)
end)

describe("identity", function()
  it("tells threads apart by ident and native id", function()
    local main = _thread.get_ident()
    assert.equal("integer", math.type(main))
    assert.equal(main, _thread.get_ident())
    assert.equal(main, _thread._get_main_thread_ident())
    local go, handles, seen = held(), {}, { [main] = true }
    local native, main_native = {}, _thread.get_native_id()
    for i = 1, 5 do
      handles[i] = _thread.start_joinable_thread(function()
        go:acquire()
        go:release()
        return _thread.get_ident(), _thread.get_native_id(), _thread._get_main_thread_ident()
      end)
    end
    assert.is_true(eventually(function()
      for i = 1, 5 do
        if info_of(handles[i].ident).state ~= "blocked" then
          return false
        end
      end
      return true
    end))
    go:release()
    for i = 1, 5 do
      local ident, id, main_ident = handles[i]:result()
      assert.equal(handles[i].ident, ident)
      assert.equal(main, main_ident)
      assert.is_nil(seen[ident])
      assert.equal("integer", math.type(id))
      assert.are_not.equal(main_native, id)
      assert.is_nil(native[id])
      native[id] = true
      seen[ident] = true
    end
  end)

  it("never gives an ident again", function()
    local seen = {}
    for _ = 1, 100 do
      local ident = call(_thread.get_ident)
      assert.is_nil(seen[ident])
      seen[ident] = true
    end
  end)

  it("is the same in a coroutine", function()
    local inside, main_ident = coroutine.wrap(function()
      return _thread.get_ident(), _thread._get_main_thread_ident()
    end)()
    assert.equal(_thread.get_ident(), inside)
    assert.equal(_thread._get_main_thread_ident(), main_ident)
  end)

  it("answers what kind of process this is", function()
    assert.is_true(_thread.daemon_threads_allowed())
    assert.equal("boolean", type(_thread._is_main_interpreter()))
    assert.equal(_thread._is_main_interpreter(), (call(_thread._is_main_interpreter)))
    assert.is_true(_thread.cpu_count() >= 1)
  end)
end)

describe("enumerate", function()
  it("lists what is alive, the main thread first, in the order of starting", function()
    local go, idents, handles = held(), {}, {}
    for i = 1, 3 do
      handles[i] = _thread.start_joinable_thread(function()
        go:acquire()
        go:release()
      end, { name = "worker " .. i })
      idents[i] = handles[i].ident
    end
    assert.is_true(eventually(function()
      for i = 1, 3 do
        if info_of(idents[i]).state ~= "blocked" then
          return false
        end
      end
      return true
    end))
    local list = _thread.enumerate()
    assert.equal(_thread.get_ident(), list[1].ident)
    assert.equal(_thread.get_native_id(), list[1].native_id)
    assert.equal("running", list[1].state)
    assert.is_false(list[1].daemon)
    assert.equal(_thread._count() + 1, #list)
    for i = 1, 3 do
      local info = list[#list - 3 + i]
      assert.equal(idents[i], info.ident)
      assert.equal("worker " .. i, info.name)
      assert.equal("integer", math.type(info.native_id))
      assert.is_true(info.daemon)
    end
    go:release()
    for i = 1, 3 do
      handles[i]:join()
      assert.is_nil(info_of(idents[i]))
    end
  end)
end)

describe("set_name", function()
  it("names the calling thread", function()
    local name = call(function()
      _thread.set_name("the calling thread")
      for _, info in ipairs(_thread.enumerate()) do
        if info.ident == _thread.get_ident() then
          return info.name
        end
      end
    end)
    assert.equal("the calling thread", name)
  end)

  it("takes a long name and refuses what is none", function()
    local ok, name = call(function(long)
      local set = pcall(_thread.set_name, long)
      for _, info in ipairs(_thread.enumerate()) do
        if info.ident == _thread.get_ident() then
          return set, info.name
        end
      end
    end, ("n"):rep(5000))
    assert.is_true(ok)
    assert.truthy(name:match("^n+$"))
    raises(_thread.ValueError, "zero", _thread.set_name, "a\0b")
    raises(_thread.TypeError, "string expected", _thread.set_name, 12)
    raises(_thread.TypeError, "string expected", _thread.set_name)
  end)
end)

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

  it("that the system can't give makes a start fail and nothing else", function()
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
        quiet()
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

describe("excepthook", function()
  local path

  before_each(function()
    path = os.tmpname()
  end)

  after_each(function()
    _thread.set_excepthook(nil)
    os.remove(path)
  end)

  local function content()
    local file <close> = io.open(path)
    return file:read("a")
  end

  it("gets the class, the error, the traceback and the thread", function()
    local where = path
    _thread.set_excepthook(function(args)
      local file <close> = io.open(where, "w")
      file:write(tostring(args.exc_type == _thread.ValueError), "\n", args.exc_value.message, "\n",
        tostring(args.thread.ident == _thread.get_ident()), "\n", args.exc_traceback)
    end)
    local function failing_task() error(_thread.ValueError("task failed")) end
    local handle = _thread.start_joinable_thread(failing_task)
    assert.is_true(handle:join())
    local kind, message, own, traceback = content():match("^(.-)\n(.-)\n(.-)\n(.*)$")
    assert.equal("true", kind)
    assert.equal("task failed", message)
    assert.equal("true", own)
    assert.truthy(traceback:find("stack traceback", 1, true))
    assert.truthy(traceback:find("thread_spec.lua", 1, true))
  end)

  it("has no class for an error that is any Lua value", function()
    local where = path
    _thread.set_excepthook(function(args)
      local file <close> = io.open(where, "w")
      file:write(tostring(args.exc_type), " ", args.exc_value.code)
    end)
    _thread.start_joinable_thread(function() error({ code = 12 }) end):join()
    assert.equal("nil 12", content())
  end)

  it("is called for threads of start_new_thread too, in the thread", function()
    local called = held()
    _thread.set_excepthook(function() called:release() end)
    _thread.start_new_thread(function() error("uncaught") end, {})
    assert.is_true(called:acquire(true, LONG))
  end)

  it("is not called for SystemExit and for a normal end", function()
    local called = held()
    _thread.set_excepthook(function() called:release() end)
    _thread.start_joinable_thread(_thread.exit):join()
    _thread.start_joinable_thread(function() error(_thread.SystemExit("bye")) end):join()
    _thread.start_joinable_thread(function() end):join()
    assert.is_true(called:locked())
    _thread.start_joinable_thread(function() error("x") end):join()
    assert.is_false(called:locked())
  end)

  it("refuses what is no function and what can't be transferred", function()
    local co = coroutine.create(print)
    local called = held()
    _thread.set_excepthook(function() called:release() end)
    raises(_thread.TypeError, "function expected", _thread.set_excepthook, 5)
    raises(_thread.TypeError, "cannot transfer a coroutine", _thread.set_excepthook, function()
      return co
    end)
    _thread.start_joinable_thread(function() error("x") end):join()
    assert.is_false(called:locked())
  end)

  it("names its arguments", function()
    local handle = _thread._ThreadHandle()
    local args = _thread._ExceptHookArgs{ _thread.ValueError, "value", "traceback", handle }
    assert.equal(_thread.ValueError, args.exc_type)
    assert.equal("value", args.exc_value)
    assert.equal("traceback", args.exc_traceback)
    assert.equal(handle, args.thread)
    raises(_thread.TypeError, "table expected", _thread._ExceptHookArgs)
    raises(_thread.TypeError, "table expected", _thread._excepthook, 1)
  end)

  it("by default writes the thread, the error and the traceback, and others go on", function()
    local output = child([[
      local _thread = require "lthread"
      local function failing_task() error(_thread.ValueError("task failed")) end
      local h = _thread.start_joinable_thread(failing_task, {name = "the worker"})
      h:join()
      _thread.start_joinable_thread(function() error({}) end):join()
      print("ident " .. h.ident, _thread.start_joinable_thread(function() return "on" end):result())
    ]])
    local ident = output:match("ident (%d+)\ton\n")
    assert.truthy(ident, output)
    assert.truthy(output:find("ValueError: task failed", 1, true), output)
    assert.truthy(output:find("stack traceback", 1, true), output)
    assert.truthy(output:find("the worker", 1, true), output)
    assert.truthy(output:match("^[^\n]*" .. ident), output)
    assert.truthy(output:find("status 0\n$"), output)
  end)

  it("that fails itself is reported with the error it was for", function()
    local output = child([[
      local _thread = require "lthread"
      _thread.set_excepthook(function() error("the hook fails") end)
      _thread.start_joinable_thread(function() error("the task fails") end):join()
      _thread.set_excepthook(nil)
      _thread.start_joinable_thread(function() error("without the hook") end):join()
    ]])
    assert.truthy(output:find("the hook fails", 1, true), output)
    assert.truthy(output:find("the task fails", 1, true), output)
    assert.truthy(output:find("without the hook", 1, true), output)
    assert.truthy(output:find("status 0\n$"), output)
  end)
end)

describe("time", function()
  it("never goes back", function()
    local last = _thread.monotonic()
    assert.equal("float", math.type(last))
    for _ = 1, 1000 do
      local now = _thread.monotonic()
      assert.is_true(now >= last)
      last = now
    end
  end)

  it("is the same in all threads", function()
    local before = _thread.monotonic()
    local inside = call(_thread.monotonic)
    assert.is_true(before <= inside and inside <= _thread.monotonic())
  end)

  it("passes at least as long as a sleep lasts", function()
    for _, seconds in ipairs{ 0, 0.001, 0.02 } do
      local before = _thread.monotonic()
      _thread.sleep(seconds)
      assert.is_true(_thread.monotonic() - before >= seconds)
    end
  end)

  it("refuses a wrong length of sleep", function()
    raises(_thread.ValueError, "non-negative", _thread.sleep, -1)
    raises(_thread.ValueError, "nan", _thread.sleep, 0 / 0)
    raises(_thread.OverflowError, "too large", _thread.sleep, math.huge)
    raises(_thread.TypeError, "number expected", _thread.sleep, "long")
    raises(_thread.TypeError, "number expected, got no value", _thread.sleep)
    raises(_thread.TypeError, "number expected, got nil", _thread.sleep, nil)
  end)
end)
