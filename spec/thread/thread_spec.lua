local _thread = require "lthread"
local child = require "fixtures.child"
local setups = require "support.setups"
local threads = require "support.threads"

local LONG, held, call = threads.LONG, threads.held, threads.call
local raises, eventually, info_of = threads.raises, threads.eventually, threads.info_of

setups.alone()

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
    raises(_thread.TypeError, "function expected, got no value", start)
    raises(_thread.TypeError, "table expected, got no value", start, f)
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
    raises(_thread.TypeError, "exit takes no arguments (1 given)", _thread.exit, 3)
    raises(_thread.TypeError, "exit takes no arguments (2 given)", _thread.exit_thread, nil, nil)
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

describe("a name", function()
  it("is made of the ident, unless one is given", function()
    local function name()
      return info_of(_thread.get_ident()).name
    end
    for _ = 1, 3 do
      local handle = _thread.start_joinable_thread(name)
      assert.equal("Thread-" .. handle.ident, (handle:result()))
    end
    local named = _thread.start_joinable_thread(name, { name = "a name" })
    assert.equal("a name", (named:result()))
    local go, seen = held(), held()
    local ident = _thread.start_new_thread(function()
      go:acquire()
      seen:release()
    end, {})
    assert.equal("Thread-" .. ident, info_of(ident).name)
    go:release()
    assert.is_true(seen:acquire(true, LONG))
    assert.equal("MainThread", info_of(_thread._get_main_thread_ident()).name)
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

  it("cuts a long name at a character", function()
    local function names()
      local file <close> = io.open("/proc/self/task/" .. _thread.get_native_id() .. "/comm")
      for _, info in ipairs(_thread.enumerate()) do
        if info.ident == _thread.get_ident() then
          return info.name, file and file:read "l"
        end
      end
    end
    for name, expected in pairs {
      [("ö"):rep(40)] = { ("ö"):rep(31), ("ö"):rep(7) },
      ["x" .. ("ö"):rep(40)] = { "x" .. ("ö"):rep(31), "x" .. ("ö"):rep(7) },
      [("€"):rep(40)] = { ("€"):rep(21), ("€"):rep(5) },
      [("𝄞"):rep(40)] = { ("𝄞"):rep(15), ("𝄞"):rep(3) },
      [("\255"):rep(80)] = { ("\255"):rep(63), ("\255"):rep(15) },
    } do
      local long, short = call(function(text)
        _thread.set_name(text)
        return names()
      end, name)
      assert.equal(expected[1], long)
      assert.equal(short and expected[2], short)
      long, short = _thread.start_joinable_thread(names, { name = name }):result()
      assert.equal(expected[1], long)
      assert.equal(short and expected[2], short)
    end
  end)
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

  it("by default writes nothing for SystemExit", function()
    local output = child([[
      local _thread = require "lthread"
      local function call(class)
        _thread._excepthook(_thread._ExceptHookArgs{ class, class("text") })
      end
      call(_thread.SystemExit)
      call(_thread.SystemExit:subclass "Quit")
      print("nothing")
      call(_thread.KeyboardInterrupt)
    ]])
    assert.matches("^nothing\n.*KeyboardInterrupt: text.*status 0\n$", output)
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
