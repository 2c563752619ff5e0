-- What specs with several threads share; the threads that they start may use it too.
local _thread = require "lthread"

local threads = { LONG = 300 } -- seconds, for what never takes so long, on a busy machine either

-- A lock that is locked: released by one thread, it wakes another.
function threads.held()
  local lock = _thread.allocate_lock()
  lock:acquire()
  return lock
end

-- Acquires such a lock; false if that takes too long.
function threads.await(lock)
  return lock:acquire(true, threads.LONG)
end

function threads.eventually(condition)
  local limit = _thread.monotonic() + threads.LONG
  while not condition() do
    if _thread.monotonic() > limit then
      return false
    end
    _thread.sleep(0.001)
  end
  return true
end

function threads.info_of(ident)
  for _, info in ipairs(_thread.enumerate()) do
    if info.ident == ident then
      return info
    end
  end
end

function threads.state(ident)
  local info = threads.info_of(ident)
  return info and info.state
end

-- Waits until a thread, by default the main one, is blocked in a wait of the library.
function threads.await_blocked(ident)
  ident = ident or _thread._get_main_thread_ident()
  return threads.eventually(function() return threads.state(ident) == "blocked" end)
end

-- The part of a dump that is of one thread.
function threads.part_of_dump(text, ident)
  local from = text:find("Thread [^\n(]*%(ident " .. ident .. "%)")
  return from and text:sub(from, text:find("\nThread ", from, true) or -1)
end

-- For how many seconds a thread has been blocked; 0 if it is not.
function threads.blocked_for(ident)
  local text = ""
  _thread.dump_traceback { write = function(_, more) text = text .. more end }
  local part = threads.part_of_dump(text, ident)
  return part and tonumber(part:match ", blocked on [^\n]* for (%d+%.%d+) s:\n") or 0
end

-- Waits until an OS thread, of this process by default, sleeps in the system, in whatever call. At
-- once where there is no /proc.
function threads.await_system_call(native_id, process)
  local path = ("/proc/%s/task/%d/stat"):format(process or "self", native_id)
  return threads.eventually(function()
    local file <close> = io.open(path)
    return file == nil or file:read("a"):match("%) (%a)") == "S"
  end)
end

function threads.start(f, ...)
  return _thread.start_joinable_thread(f, { args = table.pack(...) })
end

function threads.call(f, ...)
  return threads.start(f, ...):result()
end

-- Calls f(...), which must raise an exception of the class with this text in its message.
function threads.raises(class, text, f, ...)
  local assert = require "luassert"
  local ok, e = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(_thread.isinstance(e, class), tostring(e))
  assert.truthy(e.message:find(text, 1, true), e.message)
  return e
end

-- Joins a thread that must have ended by an exception of the class; returns that.
function threads.ended_by(class, handle)
  if not handle:join(threads.LONG) then
    error("the thread has not ended", 2)
  end
  return threads.raises(class, "", handle.result, handle)
end

function threads.quiet(finally)
  _thread.set_excepthook(function() end)
  finally(function()
    _thread.set_excepthook(nil)
  end)
end

-- What a thread returns, which must end before long.
function threads.result(handle)
  if not handle:join(threads.LONG) then
    error("the thread has not ended", 2)
  end
  return handle:result()
end

return threads
