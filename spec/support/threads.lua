-- What specs with several threads need; threads that are started may use it too.
local _thread = require "lthread"

local threads = { LONG = 60 }

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

function threads.state(ident)
  for _, info in ipairs(_thread.enumerate()) do
    if info.ident == ident then
      return info.state
    end
  end
end

-- Waits until a thread, by default the main one, is blocked in a wait of the library.
function threads.await_blocked(ident)
  ident = ident or _thread._get_main_thread_ident()
  return threads.eventually(function() return threads.state(ident) == "blocked" end)
end

function threads.start(f, ...)
  return _thread.start_joinable_thread(f, { args = table.pack(...) })
end

return threads
