-- Threads that wait in SQLite, libcurl and luv, and are brought back by an interrupt.
--
--     lua5.4 examples/blocking.lua
--
-- examples/blocking.c is the module, and says how it is made.

local _thread = require "lthread"
local socket = require "socket"

-- A server that never answers.
local server = assert(socket.bind("127.0.0.1", 0))
local _, port = server:getsockname()

local waits = {
  sqlite = function()
    require "blocking".query(":memory:",
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
  end,
  curl = function()
    require "blocking".fetch(("http://127.0.0.1:%d/"):format(port))
  end,
  luv = function()
    local uv = require "luv"
    require "blocking".run(uv.run, uv.new_async(function() end))
  end,
}

local Enough = _thread.Exception:subclass "Enough"

local handles = {}
for name, wait in pairs(waits) do
  handles[name] = _thread.start_joinable_thread(function()
    local ok, reason = pcall(function()
      wait()
      return "has come back by itself"
    end)
    if not ok and _thread.isinstance(reason, Enough) then return "was interrupted" end
    return tostring(reason)
  end, { name = name })
end

-- What they wait in is what a dump tells, too.
local function is_waiting(handle)
  local text = ""
  _thread.dump_traceback { write = function(_, more) text = text .. more end }
  return text:find("%(ident " .. handle.ident .. "%)[^\n]*, in [%w_]+ for ")
end

for name, handle in pairs(handles) do
  while not is_waiting(handle) do _thread.sleep(0.01) end
  handle:interrupt(Enough)
  print(name .. " " .. handle:result())
end
