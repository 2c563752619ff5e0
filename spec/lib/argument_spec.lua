-- Arguments that are wrong: the error names the argument, or the field, the value and the way out.
local _thread = require "lthread"
local queue = require "lthread.queue"
local setups = require "support.setups"
local threads = require "support.threads"

local raises = threads.raises
local TypeError, ValueError = _thread.TypeError, _thread.ValueError

setups.alone()

local function f() end

-- Calls that must raise a TypeError with this message, which is all that there is.
local function refuses(message, g, ...)
  assert.equal(message, raises(TypeError, "", g, ...).message)
end

-- The same for a message that begins with "bad argument" and says this.
local function refuses_argument(number, text, g, ...)
  local message = raises(TypeError, "", g, ...).message
  local told, rest = message:match "^bad argument #(%d) to '[%w_]+' %((.*)%)$"
  assert.same({ number, text }, { math.tointeger(told), rest }, message)
end

describe("the start of a thread", function()
  local start = _thread.start_joinable_thread

  it("says where the function's arguments go", function()
    for _, list in ipairs { { 1, 2 }, { n = 2 }, { 1, args = {} }, { nil, 2 } } do
      refuses("bad argument #2 to 'start_joinable_thread' "
        .. "(the function's arguments go into the field args: {args = {1, 2}})", start, f, list)
    end
  end)

  it("names the field that is wrong, and its value", function()
    refuses_argument(2, "field 'args': table expected, got number 1", start, f, { args = 1 })
    refuses_argument(2, "field 'kwargs': table expected, got string 'x'", start, f,
      { kwargs = "x" })
    refuses_argument(2, "field 'name': string expected, got number 5", start, f, { name = 5 })
    refuses_argument(2, "field 'name': string expected, got boolean true", start, f,
      { name = true })
    refuses_argument(2, "field 'daemon': true, false, 1 or 0 expected, got string 'no'", start, f,
      { daemon = "no" })
    refuses_argument(2, "field 'handle': _thread._ThreadHandle expected, got table", start, f,
      { handle = {} })
    refuses_argument(2, "field 'args': field 'n' must be a count, got x", start, f,
      { args = { n = "x" } })
    refuses_argument(2, "unexpected keyword argument 'timeout'", start, f, { timeout = "x" })
  end)

  it("names a long value, or one that can't be shown, by its type", function()
    refuses_argument(2, "field 'args': table expected, got string", start, f,
      { args = ("x"):rep(100000) })
    refuses_argument(2, "field 'args': table expected, got string", start, f, { args = "a\0b" })
    refuses_argument(2, "field 'args': table expected, got coroutine", start, f,
      { args = coroutine.create(f) })
    refuses_argument(2, "field 'args': table expected, got _thread.lock", start, f,
      { args = _thread.allocate_lock() })
  end)
end)

describe("a shared table", function()
  local t = _thread.shared { 1, 2 }
  local told = "plain table expected, got a shared one: use _thread.copy(t)"

  it("is told from a plain one where that is wanted", function()
    local start, q = _thread.start_joinable_thread, queue.Queue()
    refuses_argument(2, told, _thread.start_new_thread, f, t)
    refuses_argument(3, told, _thread.start_new_thread, f, {}, t)
    refuses_argument(2, told, start, f, t)
    refuses_argument(2, "field 'args': " .. told, start, f, { args = t })
    refuses_argument(2, "field 'kwargs': " .. told, start, f, { kwargs = t })
    refuses_argument(1, told, function() q:put_many(t) end)
    refuses_argument(1, told, function() q:get(t) end)
    refuses_argument(1, told, _thread._excepthook, t)
    refuses_argument(1, told, _thread._ExceptHookArgs, t)
  end)

  it("has no coroutine as a key, and says so", function()
    local co = coroutine.create(f)
    refuses("a coroutine cannot be a key of a shared table", function() t[co] = 1 end)
    refuses("a coroutine cannot be a key of a shared table", _thread.add, t, co, 1)
    refuses("a coroutine cannot be a key of a shared table (in value.x)", _thread.shared,
      { x = { [co] = 1 } })
    refuses_argument(1, "number expected, got coroutine", _thread.sleep, co)
  end)
end)

describe("a flag", function()
  local q, lock = queue.Queue(), _thread.allocate_lock()

  it("is true, false, 1 or 0, or nothing", function()
    for _, yes in ipairs { true, 1, 1.0 } do
      q:put("x", yes)
      assert.equal("x", q:get(yes))
      assert.is_true(lock:acquire(yes))
      lock:release()
    end
    q:put("x", nil)
    assert.equal("x", q:get(nil))
    for _, no in ipairs { 0, 0.0, -0.0 } do
      raises(queue.Empty, "", q.get, q, no)
      raises(queue.Empty, "", q.get, q, { block = no })
    end
    raises(queue.Empty, "", q.get, q, false)
  end)

  it("is nothing else", function()
    for _, wrong in ipairs { "", "x", "id", "0", "1", "false" } do
      local told = ("true, false, 1 or 0 expected, got string '%s'"):format(wrong)
      refuses_argument(1, told, function() q:get(wrong) end)
      refuses_argument(2, told, function() q:put("name", wrong) end)
      refuses_argument(2, told, function() q:put_many({ "name" }, wrong) end)
      refuses_argument(1, told, function() q:shutdown(wrong) end)
      refuses_argument(1, told, function() lock:acquire(wrong) end)
      refuses_argument(1, told, _thread.set_deadlock_check, wrong)
      refuses_argument(2, told, _thread.dump_traceback_later, 1000, wrong)
      refuses_argument(1, "field 'waitflag': " .. told,
        function() lock:acquire { waitflag = wrong } end)
      refuses_argument(1, "field 'repeat': " .. told, _thread.dump_traceback_later,
        { timeout = 1000, ["repeat"] = wrong })
    end
    for _, wrong in ipairs { setmetatable({}, {}), f, coroutine.create(f), lock } do
      raises(TypeError, "true, false, 1 or 0 expected", q.get, q, wrong)
      raises(TypeError, "true, false, 1 or 0 expected", lock.acquire, lock, wrong)
    end
    assert.is_true(q:empty())
    assert.is_false(lock:locked())
  end)

  it("is no timeout, which is told how to be given", function()
    for _, seconds in ipairs { 0.2, 5, -1, 1e300, 2 ^ 53 } do
      local told = ("true, false, 1 or 0 expected, got number %s; "
        .. "a timeout is given as {timeout = %s}"):format(seconds, seconds)
      refuses_argument(1, told, function() q:get(seconds) end)
      refuses_argument(2, told, function() q:put("name", seconds) end)
      refuses_argument(1, told, function() lock:acquire(seconds) end)
    end
    raises(TypeError, "got number", q.get, q, 0 / 0)
    assert.is_true(q:empty())
  end)
end)

describe("a field", function()
  local q, lock, handle = queue.Queue(), _thread.allocate_lock(), _thread._ThreadHandle()

  it("that is wrong is named, with its value", function()
    local told = "field 'timeout': number expected, got string 'x'"
    local wrong = { timeout = "x" }
    refuses_argument(1, told, function() q:get(wrong) end)
    refuses_argument(2, told, function() q:put(1, wrong) end)
    refuses_argument(2, told, function() q:put_many({ 1 }, wrong) end)
    refuses_argument(1, told, function() q:get_many { max = 1, timeout = "x" } end)
    refuses_argument(1, told, function() q:join(wrong) end)
    refuses_argument(1, told, function() lock:acquire(wrong) end)
    refuses_argument(1, told, function() handle:join(wrong) end)
    refuses_argument(1, told, function() handle:result(wrong) end)
    refuses_argument(1, told, _thread.dump_traceback_later, wrong)
    refuses_argument(1, "field 'maxsize': number expected, got string 'x'", queue.Queue,
      { maxsize = "x" })
    refuses_argument(1, "field 'signum': number expected, got table", _thread.interrupt_main,
      { signum = {} })
    raises(ValueError, "field 'timeout'", q.get, q, { timeout = -1 })
    raises(ValueError, "field 'timeout'", lock.acquire, lock, { timeout = 0 / 0 })
    raises(_thread.OverflowError, "field 'timeout'", lock.acquire, lock, { timeout = 1e300 })
  end)

  it("that is missing is named", function()
    local missing = "field '%s' is missing, number expected"
    for _, options in ipairs { {}, { ["repeat"] = true } } do
      refuses_argument(1, missing:format "timeout", _thread.dump_traceback_later, options)
    end
    refuses_argument(1, "number expected, got no value", _thread.dump_traceback_later)
  end)

  it("may be a numeric string, as in Lua", function()
    raises(queue.Empty, "", q.get, q, { timeout = "0" })
    assert.equal(0, q:get_many({ max = "3", timeout = "0" }).n)
    assert.is_true(lock:acquire(true, "0"))
    lock:release()
  end)

  it("of a table with a metatable is not looked at, and nothing is taken for one", function()
    local strange = setmetatable({ timeout = 1 }, {})
    refuses_argument(1, "true, false, 1 or 0 expected, got table",
      function() lock:acquire(strange) end)
    refuses_argument(1, "number expected, got table", function() handle:join(strange) end)
    refuses_argument(1, "number expected, got class", function()
      handle:join(setmetatable({}, { __name = "class" }))
    end)
  end)
end)

describe("what takes no arguments", function()
  it("refuses them", function()
    for name, make in pairs {
      SimpleQueue = queue.SimpleQueue, lock = _thread.lock, RLock = _thread.RLock,
      _local = _thread._local, _ThreadHandle = _thread._ThreadHandle,
    } do
      refuses(name .. " takes no arguments (1 given)", make, 10)
      refuses(name .. " takes no arguments (1 given)", make, nil)
      refuses(name .. " takes no arguments (3 given)", make, 1, 2, 3)
      assert.truthy(make())
    end
    refuses("allocate_lock takes no arguments (1 given)", function() _thread.allocate_lock(1) end)
    local q = queue.Queue()
    refuses("get_nowait takes no arguments (1 given)", function() q:get_nowait(0.5) end)
    refuses("put_nowait takes at most 1 argument (2 given)",
      function() q:put_nowait("name", "id") end)
    assert.is_true(q:empty())
  end)
end)

describe("an error", function()
  it("calls a class by its name, however it is called", function()
    local told = "bad argument #1 to '%s' (number expected, got string)"
    for _, name in ipairs { "Queue", "LifoQueue", "PriorityQueue" } do
      refuses(told:format(name), queue[name], "x")
      refuses(told:format(name), function() queue[name]("x") end)
      refuses(told:format(name), coroutine.wrap(function() queue[name]("x") end))
    end
    refuses("bad argument #1 to 'shared' (table expected, got number)", _thread.shared, 1)
    refuses("bad argument #2 to 'subclass' (string expected, got number)",
      _thread.Exception.subclass, _thread.Exception, 5)
  end)

  it("of interrupt tells how a handle is interrupted", function()
    refuses_argument(1, "number expected, got a handle: use handle:interrupt()", _thread.interrupt,
      _thread._ThreadHandle())
  end)
end)

describe("handle:result with a timeout", function()
  it("raises TimeoutError when the thread has not ended, and waits again", function()
    local lock = threads.held()
    local handle = threads.start(function()
      threads.await(lock)
      return "done", 2
    end)
    for _, timeout in ipairs { 0, 0.001, { timeout = 0 }, { timeout = 0.001 } } do
      local e = raises(_thread.TimeoutError, "the thread has not ended", handle.result, handle,
        timeout)
      assert.is_true(_thread.isinstance(e, _thread.Exception))
    end
    lock:release()
    assert.same({ "done", 2 }, { handle:result(threads.LONG) })
    assert.same({ "done", 2 }, { handle:result { timeout = 0 } })
    assert.same({ "done", 2 }, { handle:result(0) })
    assert.same({ "done", 2 }, { handle:result(-1) })
  end)

  it("checks it", function()
    local handle = _thread._ThreadHandle()
    refuses_argument(1, "number expected, got string", function() handle:result("x") end)
    refuses("result takes at most 1 argument (2 given)", function() handle:result(1, 2) end)
    raises(ValueError, "not a number", handle.result, handle, 0 / 0)
    raises(_thread.RuntimeError, "thread not started", handle.result, handle, 0)
  end)
end)
