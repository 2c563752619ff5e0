-- Threads that come to wait.
local _thread = require "lthread"

local waiting = {}

-- Starts f(...) in a thread; returns its handle.
function waiting.start(f, ...)
  return _thread.start_joinable_thread(f, { args = table.pack(...) })
end

local function state_of(handle)
  for _, info in ipairs(_thread.enumerate()) do
    if info.ident == handle.ident then
      return info.state
    end
  end
  return "done"
end

-- Whether the thread comes to wait for something before it ends.
function waiting.blocks(handle)
  for _ = 1, 20000 do
    if state_of(handle) == "blocked" then
      return true
    end
    if handle:join(0.001) then
      return false
    end
  end
  return false
end

return waiting
