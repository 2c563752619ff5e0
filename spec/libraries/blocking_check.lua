-- The example of a C module that waits in libraries of others: examples/blocking.c.
local _thread = require "lthread"
local blocking = require "blocking"
local child = require "fixtures.child"
local socket = require "socket"
local threads = require "support.threads"

local Enough = _thread.Exception:subclass "Enough"
local ENDLESS <const> = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
  .. "SELECT count(*) FROM n"

-- Waits until the thread is in the section, as dumps tell.
local function await_section(handle, name)
  assert.is_true(threads.eventually(function()
    local text = ""
    _thread.dump_traceback { write = function(_, more) text = text .. more end }
    local part = threads.part_of_dump(text, handle.ident)
    return part and part:find(", in " .. name .. " for ", 1, true) ~= nil
  end))
end

local waits = {
  sqlite3_step = function() blocking.query(":memory:", ENDLESS) end,
  curl_multi_poll = function()
    local server <close> = setmetatable({ assert(require "socket".bind("127.0.0.1", 0)) }, {
      __close = function(self) self[1]:close() end,
    })
    local _, port = server[1]:getsockname()
    blocking.fetch(("http://127.0.0.1:%d/"):format(port)) -- nobody accepts
  end,
  uv_run = function()
    local uv = require "luv"
    blocking.run(uv.run, uv.new_async(function() end))
  end,
}

-- Where the wait may be.
local places = {
  ["in the main coroutine"] = function(f) f() end,
  ["in a coroutine"] = function(f) coroutine.wrap(f)() end,
}

describe("a module with blocking sections", function()
  before_each(function() _thread.set_excepthook(function() end) end)
  after_each(function() _thread.set_excepthook(nil) end)

  for name, wait in pairs(waits) do
    for where, place in pairs(places) do
      it("is interrupted in " .. name .. " " .. where, function()
        local handle = threads.start(function() place(wait) end)
        await_section(handle, name)
        handle:interrupt(Enough)
        threads.ended_by(Enough, handle)
      end)
    end
  end

  it("returns rows and raises what is wrong with a statement", function()
    assert.same({ "1", "2" }, blocking.query(":memory:", "VALUES (1), (2)"))
    assert.has_error(function() blocking.query(":memory:", "SELECT") end, "incomplete input")
    assert.same({ "1", "2" }, threads.call(function()
      return blocking.query(":memory:", "VALUES (1), (2)")
    end))
  end)

  it("returns a body and raises what is wrong with a transfer", function()
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local handle = threads.start(function()
      return blocking.fetch(("http://127.0.0.1:%d/"):format(port))
    end)
    local client = assert(server:accept())
    repeat until client:receive "*l" == ""
    client:send "HTTP/1.0 200 OK\r\n\r\nhello"
    client:close()
    server:close()
    assert.equal("hello", threads.result(handle))
    assert.has_error(function() blocking.fetch "nothing://x" end)
  end)

  it("runs a loop of luv, which ends by itself", function()
    assert.equal("done", threads.call(function()
      local uv = require "luv"
      local async, result = uv.new_async(function() end), nil
      local timer = uv.new_timer()
      timer:start(1, 0, function()
        result = "done"
        timer:close()
        async:close()
      end)
      blocking.run(uv.run, async)
      return result
    end))
  end)

  it("works without lthread", function()
    local text = child [[
      print(table.concat(require "blocking".query(":memory:", "VALUES (1), (2)"), " "))
    ]]
    assert.equal("1 2\nstatus 0\n", text)
  end)
end)

describe("examples/blocking.lua", function()
  it("brings back all its threads", function()
    local text = child [[dofile "examples/blocking.lua"]]
    for _, name in ipairs { "curl", "luv", "sqlite" } do
      assert.matches(name .. " was interrupted\n", text)
    end
    assert.matches("status 0\n$", text)
  end)
end)
