-- A web server: the main thread accepts, N threads answer.
--
--     lua5.4 examples/httpd.lua [PORT] [THREADS]
--
-- `ab -n 2000 -c 8 http://127.0.0.1:8080/` tells how many pages a second it makes. Ctrl-C ends it
-- at once: nobody polls, everybody waits for a descriptor or a queue.

local _thread = require "lthread"
local queue = require "lthread.queue"
local socket = require "socket"
local transfer = require "lthread.transfer.socket"

local port, threads = tonumber(arg[1]) or 8080, tonumber(arg[2]) or 2

-- A page that takes about a millisecond to make: a part of the Mandelbrot set.
local function render()
  local lines = {}
  for y = -12, 12 do
    local line = {}
    for x = -45, 20 do
      local a, b, n = 0, 0, 0
      while a * a + b * b < 4 and n < 40 do
        a, b, n = a * a - b * b + x / 25, 2 * a * b + y / 10, n + 1
      end
      line[#line + 1] = n == 40 and "#" or n > 5 and "+" or " "
    end
    lines[#lines + 1] = table.concat(line)
  end
  return table.concat(lines, "\n") .. "\n"
end

local function answer(client)
  client:settimeout(5)
  local request = client:receive "*l"
  local line = request
  while line and line ~= "" do line = client:receive "*l" end
  if line then
    local status = request:match "^GET " and "200 OK" or "405 Method Not Allowed"
    local page = status == "200 OK" and render() or ""
    client:send(("HTTP/1.0 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s"):format(
      status, #page, page))
  end
  client:close()
end

-- A client that goes away in the middle ends its own answer, and nothing else.
local function work(clients)
  for _, client in clients:each() do
    local answered, problem = _thread.try(answer, client)
    if not answered then io.stderr:write(tostring(problem), "\n") end
  end
end

local server = assert(socket.bind("127.0.0.1", port))
server:settimeout(0)
local clients = queue.Queue(64)
for _ = 1, threads do _thread.start_new_thread(work, { clients }) end
print(("http://127.0.0.1:%d/ with %d threads"):format(select(2, server:getsockname()), threads))
io.stdout:flush()

local _, problem = pcall(function()
  while true do
    _thread.wait_fd(server, "r")
    local client = server:accept()
    if client then clients:put(transfer.move(client)) end
  end
end)
if problem ~= "interrupted!" then error(problem, 0) end
