-- A chat: what one says, all others read. `nc 127.0.0.1 8081` joins it.
--
--     lua5.4 examples/chat.lua [PORT]
--
-- Each guest has two threads: one reads from the socket, one writes what is in the guest's queue.
-- So a guest whose line is slow holds up nobody: what does not fit into the queue is not sent.

local _thread = require "lthread"
local queue = require "lthread.queue"
local socket = require "socket"
require "lthread.transfer.socket"

local guests = _thread.shared {}

local function say(text, speaker)
  for name, lines in pairs(guests) do
    if name ~= speaker then pcall(lines.put_nowait, lines, text) end
  end
end

local function write(client, lines)
  for _, line in lines:each() do
    if not client:send(line .. "\n") then break end
  end
  client:shutdown "both"
end

-- The name is the guest's from the moment on in which nobody else has it.
local function ask_name(client, lines)
  local name
  client:send "Your name? "
  repeat
    name = client:receive "*l"
    local taken = name and not _thread.cas(guests, name, nil, lines)
    if taken then client:send(name .. " is here already. Your name? ") end
  until not taken
  return name
end

local function read(client)
  local lines <const> = queue.Queue(100)
  local name = ask_name(client, lines)
  if not name then return end
  lines:put("Welcome, " .. name)
  _thread.start_new_thread(write, { client, lines })
  say(name .. " comes in", name)
  for line in function() return client:receive "*l" end do say(name .. ": " .. line, name) end
  guests[name] = nil
  lines:shutdown()
  say(name .. " leaves", name)
end

local server = assert(socket.bind("127.0.0.1", tonumber(arg[1]) or 8081))
server:settimeout(0)
print("nc 127.0.0.1 " .. select(2, server:getsockname()))
io.stdout:flush()

local _, problem = pcall(function()
  while true do
    _thread.wait_fd(server, "r")
    local client = server:accept()
    if client then _thread.start_new_thread(read, { client }) end
  end
end)
if problem ~= "interrupted!" then error(problem, 0) end
