-- The examples that serve: each is run, used, and ended by Ctrl-C.
local socket = require "socket"
local watched = require "support.watched"

-- Runs the example on a port that is free, calls use(port) once it tells that, and interrupts it.
-- Returns what it wrote, with its status, and what 'use' returned.
local function serve(example, use)
  local answers
  local text = watched {
    code = ("arg = { [0] = %q, '0' } dofile(%q)"):format(example, example),
    ready = function(so_far) return so_far:find "\n" end,
    act = function(process, so_far)
      answers = table.pack(pcall(use, tonumber(so_far:match "127%.0%.0%.1[: ](%d+)")))
      os.execute("kill -INT " .. process)
    end,
  }
  assert.is_true(answers[1], answers[2])
  return text, table.unpack(answers, 2, answers.n)
end

local function connect(port)
  local client = assert(socket.connect("127.0.0.1", port))
  client:settimeout(20)
  return client
end

local function get(port, request)
  local client <close> = setmetatable({ socket = connect(port) }, {
    __close = function(self) self.socket:close() end,
  })
  client.socket:send(request)
  return client.socket:receive "*a"
end

describe("examples/httpd.lua", function()
  it("answers 100 requests, one of which is none, and ends at once on Ctrl-C", function()
    local text, pages, refusal = serve("examples/httpd.lua", function(port)
      local pages = {}
      for i = 1, 99 do pages[i] = get(port, "GET / HTTP/1.0\r\n\r\n") end
      return pages, get(port, "PUT / HTTP/1.0\r\n\r\n")
    end)
    for i = 1, 99 do
      assert.matches("^HTTP/1.0 200 OK\r\n.*Content%-Length: (%d+)\r\n\r\n", pages[i])
      assert.equal(tonumber(pages[i]:match "Content%-Length: (%d+)"),
        #pages[i]:match "\r\n\r\n(.*)$")
    end
    assert.matches("^HTTP/1.0 405 ", refusal)
    assert.matches("^http://127%.0%.0%.1:%d+/ with 2 threads\nstatus 0\n$", text)
  end)
end)

describe("examples/chat.lua", function()
  local function join(port, name)
    local guest = connect(port)
    assert.equal("Your name? ", guest:receive(#"Your name? "))
    guest:send(name .. "\n")
    return guest
  end

  it("tells all what one says, and ends at once on Ctrl-C", function()
    local text, heard = serve("examples/chat.lua", function(port)
      local heard = {}
      local ann = join(port, "Ann")
      assert.equal("Welcome, Ann", ann:receive "*l")
      local bob = join(port, "Ann")
      heard[1] = bob:receive(#"Ann is here already. Your name? ")
      bob:send "Bob\n"
      assert.equal("Welcome, Bob", bob:receive "*l")
      heard[2] = ann:receive "*l"
      ann:send "hello\n"
      heard[3] = bob:receive "*l"
      bob:send "hi\n"
      heard[4] = ann:receive "*l"
      bob:close()
      heard[5] = ann:receive "*l"
      ann:close()
      return heard
    end)
    assert.same({ "Ann is here already. Your name? ", "Bob comes in", "Ann: hello", "Bob: hi",
      "Bob leaves" }, heard)
    assert.matches("^nc 127%.0%.0%.1 %d+\nstatus 0\n$", text)
  end)
end)

describe("examples/loops.lua", function()
  local function run(...)
    local pipe <close> = io.popen(("timeout 60 %s examples/loops.lua %s 2>&1"):format(
      os.getenv "LTHREAD_LUA" or "lua5.4", table.concat({ ... }, " ")))
    return pipe:read "a"
  end

  for _, kind in ipairs { "luv", "cqueues", "copas" } do
    it("is told in a loop of " .. kind .. " what a pool has computed", function()
      local output = run(kind, 10)
      for job = 1, 10 do
        assert.truthy(output:find(("job %d is done\n"):format(job), 1, true), output)
      end
      assert.matches("\n5133 primes below 50000; the loop ticked on: yes\n$", output)
    end)
  end

  it("says which loops there are", function()
    assert.equal("loops: which loop, luv, cqueues or copas? There is no qt\n", run "qt")
  end)
end)

describe("examples/mandelbrot.lua", function()
  it("draws a picture, the same with one thread and with several", function()
    local path = os.tmpname()
    local pipe <close> = io.popen(("%s examples/mandelbrot.lua %s 60 2>&1"):format(
      os.getenv "LTHREAD_LUA" or "lua5.4", path))
    assert.matches(": 60 x 40 points; one thread took", pipe:read "a")
    local picture <close> = assert(io.open(path, "rb"))
    assert.matches("^\137PNG\r\n\26\n.*IEND", picture:read "a")
    os.remove(path)
  end)
end)
