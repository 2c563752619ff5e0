local _thread = require "lthread"
local child = require "fixtures.child"
local raised = require "support.raised"
local setups = require "support.setups"
local threads = require "support.threads"
local watched = require "support.watched"
local held, await, start = threads.held, threads.await, threads.start

-- A file that keeps what is written.
local function new_file()
  return { text = "", write = function(self, text) self.text = self.text .. text end }
end

local function dump()
  local file = new_file()
  _thread.dump_traceback(file)
  return file.text
end

-- The part of a dump that is of one thread.
local function part_of(text, ident)
  local part = threads.part_of_dump(text, ident)
  assert.is_truthy(part, text)
  return part
end

local NO_ANSWER <const> = "in C code that does not come back to Lua"

-- A dump in which all have answered: on a busy machine one may come too late for it.
local function answered_dump()
  local text
  assert.is_true(threads.eventually(function()
    text = dump()
    return not text:find(NO_ANSWER, 1, true)
  end))
  return text
end

setups.alone()
setups.quiet()

local function count_of(text, what)
  return select(2, text:gsub(what, ""))
end

local function stop(handle)
  handle:interrupt()
  assert.is_true(handle:join(threads.LONG))
end

describe("dump_traceback", function()
  it("tells the calling thread's name, ids and stack", function()
    local text = dump()
    local me = part_of(text, _thread.get_ident())
    assert.truthy(me:find("^Thread MainThread %(ident %d+%), native id %d+, running:\n"), me)
    assert.truthy(me:find("spec/diagnose/dump_spec.lua:%d+: in upvalue 'dump'"), me)
  end)

  it("tells what a thread computes, and it goes on", function()
    local there, stop_it = held(), held()
    local function spin()
      there:release()
      local count = 0
      repeat count = count + 1 until not stop_it:locked()
      return count
    end
    local handle = start(function() local count = spin() return count, "whole" end)
    assert.is_true(await(there))
    for _ = 1, 100 do
      local part = part_of(answered_dump(), handle.ident)
      assert.truthy(part:find(", running:\n", 1, true), part)
      assert.truthy(part:find("in upvalue 'spin'", 1, true), part)
      assert.truthy(part:find("dump_spec.lua:%d+: in function <"), part)
    end
    stop_it:release()
    assert.equal("whole", select(2, handle:result()))
  end)

  it("tells what a thread is blocked on, and for how long", function()
    local never, rlock, there = held(), _thread.RLock(), held()
    local owner = start(function()
      rlock:acquire()
      there:release()
      _thread.sleep(1e6)
    end)
    assert.is_true(await(there))
    local on_lock = start(function() never:acquire() end)
    local on_rlock = start(function() rlock:acquire() end)
    local on_join = start(function() owner:join(1e6) end)
    for _, handle in ipairs { owner, on_lock, on_rlock, on_join } do
      assert.is_true(threads.await_blocked(handle.ident))
    end
    local text = answered_dump()
    local function says(handle, pattern)
      local part = part_of(text, handle.ident)
      assert.truthy(part:find(", native id %d+, blocked on " .. pattern .. " for %d+%.%d%d%d s:\n"),
        part)
      return part
    end
    says(on_lock, "lock 0?x?%x+")
    assert.truthy(says(on_lock, "lock 0?x?%x+"):find("in method 'acquire'", 1, true))
    local owners = "thread Thread%-%d+ %(ident " .. owner.ident .. "%)"
    says(on_rlock, "lock 0?x?%x+ held by " .. owners)
    says(on_join, "join of " .. owners)
    says(owner, "sleep")
    for _, handle in ipairs { on_lock, on_rlock, on_join, owner } do
      stop(handle)
    end
    assert.is_true(never:locked())
  end)

  it("tells of coroutines: running, waiting, suspended", function()
    local there, never = held(), held()
    local function suspend() coroutine.yield() end
    local handle = start(function()
      local suspended = coroutine.create(function() suspend() end)
      coroutine.resume(suspended)
      local finished = coroutine.create(function() end)
      coroutine.resume(finished)
      local function wait() there:release() never:acquire() end
      coroutine.wrap(function() coroutine.wrap(function() wait() end)() end)()
      return suspended
    end)
    assert.is_true(await(there))
    assert.is_true(threads.await_blocked(handle.ident))
    local part = part_of(answered_dump(), handle.ident)
    assert.truthy(part:find("coroutine 0?x?%x+, running\n[^\n]*in method 'acquire'[^\n]*\n"
      .. "[^\n]*in upvalue 'wait'"), part)
    assert.equal(1, select(2, part:gsub("waits for the one that it has resumed", "")), part)
    assert.truthy(part:find("coroutine 0?x?%x+, suspended\n[^\n]*yield[^\n]*\n[^\n]*'suspend'"),
      part)
    assert.equal(1, select(2, part:gsub(", suspended\n", "")), part)
    stop(handle)
  end)

  it("shortens a deep stack", function()
    local there, never = held(), held()
    local handle = start(function()
      local function deep(n)
        if n > 0 then deep(n - 1) else there:release() never:acquire() end
        return n
      end
      deep(10000)
    end)
    assert.is_true(await(there))
    assert.is_true(threads.await_blocked(handle.ident))
    local part = part_of(answered_dump(), handle.ident)
    assert.truthy(part:find("%.%.%.\t%(%d+ levels%)"), part)
    assert.is_true(#part < 10000)
    stop(handle)
  end)

  it("lists a thread in foreign C code without waiting for it", function()
    local path = os.tmpname()
    os.remove(path)
    assert(os.execute("mkfifo '" .. path .. "'"))
    finally(function() os.remove(path) end)
    local handle = start(function()
      os.execute("read line <'" .. path .. "'")
      return "read"
    end)
    -- It may still be on its way into the call.
    assert.is_true(threads.eventually(function()
      return part_of(dump(), handle.ident):find(NO_ANSWER, 1, true)
    end))
    assert.is_false(handle:is_done())
    io.open(path, "w"):close()
    assert.equal("read", threads.result(handle))
  end)

  it("lists threads that are starting and ending", function()
    for _ = 1, 50 do
      local handles = {}
      for i = 1, 4 do handles[i] = start(function() end) end
      assert.truthy(dump():find("MainThread", 1, true))
      for i = 1, 4 do handles[i]:join() end
    end
  end)

  it("does not end a wait, nor lengthen it", function()
    local never = held()
    local handle = start(function()
      local begin = _thread.monotonic()
      local acquired = never:acquire(true, 0.2)
      return acquired, _thread.monotonic() - begin >= 0.2
    end)
    while not handle:is_done() do dump() end
    assert.same({ false, true }, { handle:result() })
  end)

  it("by several threads at once answers all of them", function()
    local go, askers = held(), {}
    local busy = start(function() while true do end end)
    local blocked = start(function() _thread.sleep(1e6) end)
    for i = 1, 12 do
      askers[i] = start(function()
        go:acquire()
        go:release()
        local complete = 0
        for _ = 1, 20 do
          local text = ""
          _thread.dump_traceback { write = function(_, more) text = text .. more end }
          if select(2, text:gsub("%f[%a]Thread [^\n]*%(ident %d+%), native id", "")) >= 3 then
            complete = complete + 1
          end
        end
        return complete
      end)
    end
    go:release()
    for i = 1, 12 do
      assert.is_true(askers[i]:join(threads.LONG))
      assert.equal(20, askers[i]:result())
    end
    stop(busy)
    stop(blocked)
  end)

  it("goes with interrupts, and loses none of them", function()
    for _ = 1, 50 do
      local there = held()
      local handle = start(function() there:release() while true do end end)
      assert.is_true(await(there))
      local dumper = start(dump)
      assert.is_true(handle:interrupt(_thread.ValueError))
      assert.is_true(handle:join(threads.LONG))
      raised(_thread.ValueError, handle.result, handle)
      dumper:join()
    end
  end)

  it("writes to a file", function()
    local path = os.tmpname()
    local file = io.open(path, "w")
    _thread.dump_traceback(file)
    file:close()
    file = io.open(path)
    assert.truthy(file:read("a"):find("^Thread MainThread"))
    file:close()
    os.remove(path)
  end)

  it("writes to the error stream by default", function()
    local text = child [[
      local function f() require "lthread".dump_traceback() end
      f()
    ]]
    assert.truthy(text:find("^Thread MainThread %(ident 1%), native id %d+, running:\n"), text)
    assert.truthy(text:find("in local 'f'", 1, true), text)
    assert.truthy(text:find("status 0\n$"), text)
  end)

  it("refuses what is no file", function()
    for _, value in ipairs { 42, true, print } do
      local e = raised(_thread.TypeError, function() _thread.dump_traceback(value) end)
      assert.truthy(e.message:find("bad argument #1 to 'dump_traceback'", 1, true), e.message)
    end
    for _, value in ipairs { {}, { write = 1 }, "text", setmetatable({}, { __index = {} }) } do
      local e = raised(_thread.TypeError, _thread.dump_traceback, value)
      assert.equal(("bad argument #1 to 'dump_traceback' (file expected, got %s without a "
        .. "method write)"):format(type(value)), e.message)
    end
  end)

  it("writes to what can be called", function()
    local text = ""
    local write = setmetatable({}, { __call = function(_, _, more) text = text .. more end })
    _thread.dump_traceback(setmetatable({}, { __index = { write = write } }))
    assert.matches("^Thread MainThread", text)
  end)

  it("works while the main state closes", function()
    local text = child [[
      local _thread = require "lthread"
      local there = _thread.allocate_lock()
      there:acquire()
      for _ = 1, 4 do
        _thread.start_new_thread(function()
          there:release()
          while true do _thread.dump_traceback {write = function() end} end
        end, {})
        there:acquire()
      end
    ]]
    assert.equal("status 0\n", text)
  end)
end)

describe("dump_traceback_later", function()
  local prelude = [[
    local _thread = require "lthread"
  ]]

  -- Runs the code until so many dumps have been written, in which this is found, then sends Ctrl-C.
  local function dumped(count, code, what)
    return watched {
      code = prelude .. code,
      ready = function(text)
        return count_of(text, "Timeout") >= count and (not what or text:find(what, 1, true))
      end,
      act = function(process) os.execute("kill -INT " .. process) end,
    }
  end

  it("dumps once after the time", function()
    local text = dumped(1, [[
      _thread.dump_traceback_later(0.02)
      print(pcall(function() while true do end end))
      local limit = _thread.monotonic() + 0.1
      while _thread.monotonic() < limit do end
    ]])
    assert.truthy(text:find("^Timeout %(0%.020 s%)!\nThread MainThread"), text)
    assert.equal(1, count_of(text, "Timeout"), text)
    assert.truthy(text:find("interrupted!\nstatus 0\n$"), text)
  end)

  it("dumps again and again with repeat", function()
    local text = dumped(3, [[
      _thread.dump_traceback_later{timeout = 0.05, ["repeat"] = true}
      print(pcall(function() while true do _thread.sleep(0.001) end end))
    ]], "blocked on sleep")
    assert.truthy(text:find("blocked on sleep", 1, true), text)
    assert.truthy(text:find("interrupted!\n", 1, true), text)
    assert.truthy(text:find("status 0\n$"), text)
  end)

  -- The same, with a dump that is asked for in some seconds and taken back by the code before they
  -- have passed; with more seconds, if it was not as quick as that.
  local function taken_back(code)
    local seconds = 0.5
    local text
    repeat
      text = dumped(1, ([[
        local begin = _thread.monotonic()
        _thread.dump_traceback_later(%f, true)
        CODE
        if _thread.monotonic() - begin >= %f then print "late" end
        print(pcall(function() while true do end end))
      ]]):format(seconds, seconds):gsub("CODE", code:format(seconds + 0.1)))
      seconds = seconds * 2
    until not text:find("late", 1, true)
    assert.truthy(text:find(("Timeout (%.3f s)!\n"):format(seconds / 2 + 0.1), 1, true), text)
    assert.equal(1, count_of(text, "Timeout"), text)
  end

  it("is taken back by cancel_dump_traceback_later", function()
    taken_back [[
      _thread.cancel_dump_traceback_later()
      _thread.cancel_dump_traceback_later()
      _thread.dump_traceback_later(%f)
    ]]
  end)

  it("replaces the one before", function()
    taken_back "_thread.dump_traceback_later(%f)"
  end)

  it("of the longest time dumps nothing now", function()
    for _, arguments in ipairs { "", ", true" } do
      local text = child(([[
        local _thread = require "lthread"
        _thread.dump_traceback_later(_thread.TIMEOUT_MAX%s)
        _thread.sleep(0.1)
        _thread.cancel_dump_traceback_later()
      ]]):format(arguments))
      assert.equal("status 0\n", text)
    end
  end)

  it("does not keep the process", function()
    local text = child [[require "lthread".dump_traceback_later(1e6)]]
    assert.equal("status 0\n", text)
  end)

  it("dumps while the end waits for threads", function()
    local path = os.tmpname()
    local text = watched {
      code = prelude .. ([[
        local path = "%s"
        local function is_there()
          local file = io.open(path)
          return file ~= nil and file:close()
        end
        _thread.start_joinable_thread(function()
          while is_there() do _thread.sleep(0.001) end
        end, {daemon = false})
        _thread.dump_traceback_later(0.1, true)
      ]]):format(path),
      ready = function(text)
        return text:find "Thread MainThread [^\n]*, blocked on the end of the other threads for"
      end,
      act = function() os.remove(path) end,
    }
    assert.truthy(text:find("Timeout (0.100 s)!\nThread MainThread", 1, true), text)
    assert.truthy(text:find("status 0\n$"), text)
  end)

  it("refuses times that are none", function()
    raised(_thread.ValueError, _thread.dump_traceback_later, 0)
    raised(_thread.ValueError, _thread.dump_traceback_later, -1)
    raised(_thread.ValueError, _thread.dump_traceback_later, 0 / 0)
    raised(_thread.OverflowError, _thread.dump_traceback_later, 1e300)
    raised(_thread.TypeError, _thread.dump_traceback_later)
  end)
end)
