-- Event loops that others wrote, in threads: how they are interrupted and end with the program.
-- `make libraries` runs this.
local child = require "fixtures.child"

-- Runs the code in a thread; the main one ends when that has released 'there', or acts before.
local function run(code, act)
  return child(([[
    local _thread = require "lthread"
    local threads = require "support.threads"
    local there = threads.held()
    _thread.set_excepthook(function() end)
    local handle = threads.start(function()
      local _ <close> = setmetatable({}, {__close = function() print "closed" end})
      %s
    end)
    threads.await(there)
    %s
    MAIN = setmetatable({}, {__gc = function() print "main's finalizer" end})
    local _ <close> = setmetatable({}, {__close = function() print "main's __close" end})
  ]]):format(code, act or ""))
end

local main_ends = "main's __close\nmain's finalizer\n"
local left_alone = main_ends .. "status 0\n"
local at_end = main_ends .. "closed\nstatus 0\n"
local by_itself = main_ends .. "has ended by itself\nclosed\nstatus 0\n"

-- Timers whose callbacks compute, wait, make coroutines.
local timers = {
  ["do nothing"] = "function() end",
  ["compute"] = "function() for _ = 1, 1e5 do end end",
  ["wait"] = "function() _thread.sleep(0.001) end",
  ["make coroutines"] = "function() coroutine.wrap(function() for _ = 1, 1e5 do end end)() end",
  ["catch errors"] = "function() for _ = 1, 1000 do pcall(error, 'x') end end",
}

local runs = {
  ["run"] = "uv.run()",
  ["run again and again"] = "while true do uv.run() end",
  ["run once, again and again"] = "while true do uv.run('once') end",
  ["run without waiting, again and again"] = "while true do uv.run('nowait') end",
  ["run in a coroutine"] = "coroutine.wrap(function() while true do uv.run('once') end end)()",
}

describe("a loop of luv in a thread", function()
  for what, timer in pairs(timers) do
    for how, call in pairs(runs) do
      local code = ([[
        local uv = require "luv"
        uv.new_timer():start(1, 1, %s)
        there:release()
        %s
      ]]):format(timer, call)

      it(("whose callbacks %s ends with the program: %s"):format(what, how), function()
        assert.equal(at_end, run(code))
      end)

      it(("whose callbacks %s is interrupted: %s"):format(what, how), function()
        assert.equal("closed\nfalse\tValueError\n" .. left_alone, run(code, [[
          handle:interrupt(_thread.ValueError)
          local ok, e = pcall(handle.result, handle)
          print(ok, e.__class__.__name__)
        ]]))
      end)
    end
  end

  it("raises where it was run what a callback was not to raise", function()
    assert.equal("false\tthis\nclosed\n" .. left_alone, run([[
      local uv = require "luv"
      uv.new_timer():start(1, 1, function() end)
      local ok, e = pcall(function()
        there:release()
        local alive = uv.run()
        return alive
      end)
      print(ok, e.message)
    ]], [[
      handle:interrupt(_thread.ValueError "this")
      handle:join()
    ]]))
  end)

  for what, code in pairs {
    ["never comes back from a callback"] = [[
      uv.new_timer():start(1, 1, function() there:release() while true do end end)
    ]],
    ["waits in a callback for ever"] = [[
      uv.new_timer():start(1, 1, function() there:release() _thread.sleep(1e6) end)
    ]],
  } do
    it("is left alone if it " .. what, function()
      assert.equal(left_alone, run("local uv = require 'luv'" .. code .. "uv.run()"))
    end)
  end

  it("is left alone if it never has anything to do", function()
    assert.equal(left_alone, run([[
      local uv = require "luv"
      uv.new_timer():start(100000000, 1, function() end)
      there:release()
      uv.run()
    ]], "threads.await_system_call(threads.info_of(handle.ident).native_id)"))
  end)

  it("is interrupted in the main thread, too", function()
    assert.equal("KeyboardInterrupt\nstatus 0\n", child [[
      local _thread = require "lthread"
      local uv = require "luv"
      local begun = require "support.threads".held()
      _thread.start_new_thread(function() begun:acquire() _thread.interrupt_main() end, {})
      uv.new_timer():start(1, 1, function()
        if begun:locked() then begun:release() end
      end)
      local _, e = pcall(function()
        local alive = uv.run()
        return alive
      end)
      print(e.__class__.__name__)
    ]])
  end)

  it("has the end of the program in its callbacks by on_interrupt", function()
    local text = run [[
      local uv = require "luv"
      local timer = uv.new_timer()
      timer:start(1, 1, function() for _ = 1, 1000 do end end)
      _thread.on_interrupt(function(e)
        print(e.__class__.__name__)
        timer:close(function() print "all closed" end)
      end)
      there:release()
      uv.run()
    ]]
    assert.equal(main_ends .. "SystemExit\nall closed\nclosed\nstatus 0\n", text)
  end)

  it("goes on for the grace if on_interrupt does not stop it", function()
    assert.equal(at_end, run [[
      local uv = require "luv"
      uv.new_timer():start(1, 1, function() for _ = 1, 1000 do end end)
      _thread.on_interrupt(function() end)
      there:release()
      uv.run()
    ]])
  end)
end)

describe("an idle loop in a thread ends with the program:", function()
  local function run_idle(code)
    return run(code, "threads.await_system_call(threads.info_of(handle.ident).native_id)")
  end

  it("luv, by interrupt_fileno", function()
    assert.equal(at_end, run_idle [[
      local uv = require "luv"
      uv.new_poll(_thread.interrupt_fileno()):start("r", function() end)
      there:release()
      uv.run()
    ]])
  end)

  it("luv, by interrupt_fileno and on_interrupt", function()
    assert.equal(by_itself, run_idle [[
      local uv = require "luv"
      uv.new_poll(_thread.interrupt_fileno()):start("r", function() end)
      _thread.on_interrupt(uv.stop)
      there:release()
      uv.run()
      print "has ended by itself"
    ]])
  end)

  it("cqueues, by itself", function()
    assert.equal(at_end, run_idle [[
      local cqueues = require "cqueues"
      local loop = cqueues.new()
      loop:wrap(function() cqueues.sleep(1e6) end)
      there:release()
      assert(loop:loop())
    ]])
  end)

  it("cqueues, by interrupt_fileno and on_interrupt", function()
    assert.equal(by_itself, run_idle [[
      local cqueues = require "cqueues"
      local loop = cqueues.new()
      _thread.on_interrupt(function() end)
      loop:wrap(function() cqueues.poll { pollfd = _thread.interrupt_fileno(), events = "r" } end)
      there:release()
      assert(loop:loop())
      print "has ended by itself"
    ]])
  end)

  it("cqueues, while its coroutines compute", function()
    assert.equal(at_end, run_idle [[
      local cqueues = require "cqueues"
      local loop = cqueues.new()
      for _ = 1, 3 do
        loop:wrap(function()
          while true do
            cqueues.sleep(0.001)
            for _ = 1, 1e4 do end
          end
        end)
      end
      there:release()
      assert(loop:loop())
    ]])
  end)

  it("copas, by interrupt_fileno", function()
    assert.equal(at_end, run_idle [[
      local copas = require "copas"
      local socket = require "socket"
      copas.addserver(assert(socket.bind("127.0.0.1", 0)), function() end)
      local number = _thread.interrupt_fileno()
      copas.addserver({
        getfd = function() return number end,
        settimeout = function() end,
        accept = function() end,
      }, function() end)
      there:release()
      copas.loop()
    ]])
  end)
end)

describe("wait_fd", function()
  it("waits for sockets", function()
    assert.equal("true\tr\tr\thello\tr\tnil\nstatus 0\n", child [[
      local _thread = require "lthread"
      local socket = require "socket"
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      local idle = _thread.wait_fd(server, "r", 0) == nil
      _thread.start_new_thread(function()
        local client = assert(require "socket".connect("127.0.0.1", port))
        client:send "hello\nyou"
        client:close()
      end, {})
      local ready = _thread.wait_fd(server, "r")
      local peer = server:accept()
      local has = _thread.wait_fd(peer, "r")
      local line = peer:receive()
      local dirty = _thread.wait_fd(peer, "r")
      print(idle, ready, has, line, dirty, (peer:receive()))
    ]])
  end)

  it("waits for what cqueues polls", function()
    assert.equal("r\nstatus 0\n", child [[
      local _thread = require "lthread"
      local socket = require "cqueues.socket"
      local one, other = socket.pair()
      one:write "x\n"
      one:flush()
      print(_thread.wait_fd(other, "r"))
    ]])
  end)
end)

describe("examples/luv.lua", function()
  it("does all jobs, and its threads leave their loops", function()
    local text = child("return dofile 'examples/luv.lua'", nil, "3 300")
    for i = 1, 3 do
      assert.matches(("thread %d has done 100 jobs\n"):format(i), text)
      assert.matches(("thread %d has left its loop\n"):format(i), text)
    end
    assert.matches("status 0\n$", text)
  end)
end)
