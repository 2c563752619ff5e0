-- What a host does with its process: signals of its own, several main states, states that move.
local child = require "fixtures.child"

local prelude = [[
local native = require "support.native"
local URG, WINCH = native.SIGURG, native.SIGWINCH
local _thread, threads

-- As late as a script wants it.
local function open()
  _thread = require "lthread"
  threads = require "support.threads"
end

local function interrupted()
  local there = threads.held()
  local handle = threads.start(function() there:release() while true do end end)
  assert(threads.await(there))
  assert(handle:interrupt(_thread.SystemExit))
  return handle:join(threads.LONG)
end

local function dumped()
  local there, text = threads.held(), ""
  local handle = threads.start(function() there:release() while true do end end)
  assert(threads.await(there))
  local answered = threads.eventually(function() -- on a busy machine one may come too late
    text = ""
    _thread.dump_traceback { write = function(_, more) text = text .. more end }
    return not text:find("does not come back to Lua", 1, true)
  end)
  handle:interrupt(_thread.SystemExit)
  assert(handle:join(threads.LONG))
  return answered
end

local function counted(signal, count)
  return threads.eventually(function() return native.handled(signal) == count end)
    or native.handled(signal)
end
]]

local function run(code, interpreter)
  return child(prelude .. code, nil, nil, interpreter)
end

describe("a signal of ours that the host uses too", function()
  it("reaches a handler that was there before", function()
    assert.equal("true\ttrue\ttrue\ttrue\ttrue\nstatus 0\n", run [[
      native.handle(URG, "count")
      native.handle(WINCH, "count")
      open()
      for _, signal in ipairs { URG, WINCH } do
        native.send(signal, "thread")
        native.send(signal, "process")
      end
      local before, other = counted(URG, 2), counted(WINCH, 2)
      print(before, other, interrupted(), dumped(), counted(URG, 2) and counted(WINCH, 2))
    ]])
  end)

  for _, how in ipairs { "count", "ignore", "default" } do
    it("serves us after another action (" .. how .. ") was installed", function()
      assert.equal("true\ttrue\ntrue\ttrue\ntrue\ttrue\nstatus 0\n", run([[
        open()
        for _ = 1, 3 do
          native.handle(URG, "]] .. how .. [[")
          native.handle(WINCH, "]] .. how .. [[")
          print(interrupted(), dumped())
        end
      ]]))
    end)
  end

  it("reaches a handler that was installed later, and is not called by what is ours", function()
    assert.equal("0\t0\n1\t1\n2\t2\n3\t3\nstatus 0\n", run [[
      open()
      native.handle(URG, "count")
      native.handle(WINCH, "count")
      assert(interrupted() and dumped())
      print(native.handled(URG), native.handled(WINCH))
      for round, how in ipairs { "count too", "count", "count too" } do
        native.send(URG, "process")
        native.send(WINCH, "thread")
        assert(counted(URG, round) and counted(WINCH, round))
        native.handle(URG, how)
        native.handle(WINCH, how)
        assert(interrupted() and dumped())
        print(native.handled(URG), native.handled(WINCH))
      end
    ]])
  end)
end)

-- Another copy of the library: the file that Lua loads, and another one of the same content.
local second_copy = [[
  local path = assert(package.searchpath("lthread", package.cpath))
  local copy = os.tmpname()
  local from, to = io.open(path, "rb"), io.open(copy, "wb")
  to:write(from:read "a")
  from:close()
  to:close()
]]

local use_copy = [[
  local T = ...
  local there = T.allocate_lock()
  there:acquire()
  local h = T.start_joinable_thread(function() there:release() while true do end end)
  there:acquire()
  local text, limit = nil, T.monotonic() + 60
  repeat -- on a busy machine an answer may come too late
    text = ""
    T.dump_traceback { write = function(_, more) text = text .. more end }
    assert(T.monotonic() < limit, text)
  until not text:find("does not come back to Lua", 1, true)
  assert(h:interrupt() and h:join(60))
  local get_ident = function() return require "lthread".get_ident() end
  local ident = T.start_joinable_thread(get_ident):result()
  assert(ident == h.ident + 1, ident)
  assert(T._count() == 0)
]]

-- What a read of the main thread gives that a SIGURG strikes: "text", or the error.
local read_struck = [[
  local fifo = os.tmpname()
  os.remove(fifo)
  assert(os.execute("mkfifo '" .. fifo .. "'"))
  local pipe = io.open(fifo, "r+")

  local function read_struck()
    local there = threads.held()
    local before = native.handled(URG)
    local main = _thread.get_native_id()
    local sender = threads.start(function(counts)
      local other_end <close> = io.open(fifo, "r+")
      assert(threads.await(there))
      assert(threads.await_system_call(main))
      native.send(URG, "process")
      local came = not counts
        or threads.eventually(function() return native.handled(URG) > before end)
      other_end:write(came and "text\n" or "lost\n")
    end, counts)
    there:release()
    local text, e = pipe:read()
    sender:join()
    if text == nil then pipe:read() end
    return text or e
  end
]]

if io.open "/proc/self/stat" then
  describe("a SIGURG of others that finds the main thread in a read", function()
    local broken = "Interrupted system call"

    for how, expected in pairs { ignore = "text", default = "text" } do
      it("does nothing where the host's action is to " .. how .. " it", function()
        assert.equal((expected .. "\n"):rep(40) .. "status 0\n", run([[
          native.handle(URG, "]] .. how .. [[")
          open() ]] .. read_struck .. [[
          for _ = 1, 20 do print(read_struck()) end
          native.handle(URG, "]] .. how .. [[")
          for _ = 1, 20 do
            assert(interrupted())
            print(read_struck())
          end
          os.remove(fifo)
        ]]))
      end)
    end

    -- The thread sanitizer holds a handler of the host back until the read has ended.
    for what, case in pairs(os.getenv "LTHREAD_SANITIZER" ~= "tsan" and {
      ["breaks it off where the host's handler does"] = { "false", broken },
      ["lets it go on where the host's handler does"] = { "true", "text" },
    } or {}) do
      local restarts, expected = table.unpack(case)
      it(what, function()
        assert.equal((expected .. "\n"):rep(20) .. "status 0\n", run([[
          local counts = true
          native.handle(URG, "count", ]] .. restarts .. [[)
          open() ]] .. read_struck .. [[
          for _ = 1, 10 do print(read_struck()) end
          native.handle(URG, "count too", ]] .. restarts .. [[)
          for _ = 1, 10 do
            assert(interrupted())
            print(read_struck())
          end
          os.remove(fifo)
        ]]))
      end)
    end

    it("does nothing where another copy of the library is loaded", function()
      local text = run(([[
        open() %s
        %s
        local use = %q
        local other = native.state()
        assert(other:run(("package.loaded.lthread = "
          .. "assert(package.loadlib(%%q, 'luaopen_lthread'))()"):format(copy)))
        for _ = 1, 5 do
          print(read_struck())
          assert(other:run(("load(%%q)(require 'lthread')"):format(use)))
          print(read_struck())
          load(use)(_thread)
        end
        other:close()
        print(read_struck())
        os.remove(copy)
        os.remove(fifo)
      ]]):format(read_struck, second_copy, use_copy))
      assert.equal(("text\n"):rep(11) .. "status 0\n", text)
    end)
  end)
end

describe("a handler of the host that lets system calls go on", function()
  for what, code in pairs {
    ["an acquire"] = "lock:acquire()", ["a join"] = "endless:join()",
    ["a sleep"] = "_thread.sleep(1e6)",
    ["a get"] = "require 'lthread.queue'.SimpleQueue():get()",
  } do
    it("breaks " .. what .. " with its hook", function()
      assert.equal("false\ttrue\nstatus 0\n", run([[
        open()
        native.handle(native.SIGUSR1, "hook", true)
        local lock = threads.held()
        local endless = threads.start(function() lock:acquire() end)
        local pid = io.open("/proc/self/stat"):read("n")
        threads.start(function()
          assert(threads.await_blocked())
          _thread.sleep(0.1) -- at its beginning a wait looks by itself
          os.execute("kill -USR1 " .. pid)
        end)
        local ok, e = pcall(function() ]] .. code .. [[ end)
        print(ok, (e:find("struck!", 1, true)) ~= nil)
        lock:release()
      ]]))
    end)
  end
end)

describe("two copies of the library in one process", function()
  for name, interpreter in pairs {
    ["both loaded"] = os.getenv "LTHREAD_LUA" or "lua5.4",
    ["one of them in the program"] = os.getenv "LTHREAD_FAILING",
  } do
    it("leave one another working: " .. name, function()
      local text = run(([[
        open()
        %s
        local use = %q
        local other = native.state()
        local open_copy =
          "package.loaded.lthread = assert(package.loadlib(%%q, 'luaopen_lthread'))()"
        assert(other:run(open_copy:format(copy)))
        for _ = 1, 2 do
          load(use)(_thread)
          print(other:run(("load(%%q)(require 'lthread')"):format(use)))
        end
        other:close()
        load(use)(_thread)
        os.remove(copy)
      ]]):format(second_copy, use_copy), interpreter)
      assert.equal("true\tnil\ntrue\tnil\nstatus 0\n", text)
    end)
  end
end)

describe("a main state that goes on in another OS thread", function()
  for _, first in ipairs { "T.monotonic()", "T.get_native_id()", "T.get_ident()", "T.sleep(0)" } do
    it("is interrupted there once it has called " .. first, function()
      local text = run(([[
        local state = native.state()
        assert(state:run("T = require 'lthread'", true))
        assert(state:run("H = T.start_joinable_thread(function() "
          .. "local go = require 'lthread'.globals while not go.on do end "
          .. "require 'lthread'.interrupt_main() end)", true))
        local ok, e = state:run("local on = T.globals %s on.on = true while true do end", true)
        print(ok, (e:match "KeyboardInterrupt"))
        state:close(true)
      ]]):format(first))
      assert.equal("false\tKeyboardInterrupt\nstatus 0\n", text)
    end)
  end

  for what, code in pairs {
    ["computes"] = "there:release() while true do end",
    ["waits"] = "there:release() T.sleep(1e6)",
  } do
    it("is interrupted there, where it " .. what, function()
      local text = run(([[
        local code = %q
        local state = native.state()
        assert(state:run("T = require 'lthread'", true))
        for i = 1, 6 do
          local ok, e = state:run(code, i %% 3 > 0)
          print(ok, (e:match "KeyboardInterrupt"))
        end
        state:close(true)
      ]]):format([[
        local there = T.allocate_lock()
        there:acquire()
        T.start_joinable_thread(function()
          there:acquire()
          require "lthread".interrupt_main()
        end)
      ]] .. code))
      assert.equal(("false\tKeyboardInterrupt\n"):rep(6) .. "status 0\n", text)
    end)
  end

  it("gets what came while it had none", function()
    local text = run [[
      open()
      local state = native.state()
      local path = os.tmpname()
      assert(state:run(([=[
        T = require "lthread"
        T.start_joinable_thread(function(path)
          repeat local file = io.open(path) until file and file:read() and file:close()
          require "lthread".interrupt_main()
          os.remove(path)
        end, {args = {%q}})
      ]=]):format(path), true))
      local go <close> = io.open(path, "w")
      go:write "go\n"
      go:flush()
      assert(threads.eventually(function()
        local file = io.open(path)
        return not (file and file:close())
      end))
      local caught = select(2, state:run([=[
        local ok, e = pcall(function() while true do T.get_ident() end end)
        return tostring(e)
      ]=], true))
      print((caught:match "KeyboardInterrupt"))
      state:close()
    ]]
    assert.equal("KeyboardInterrupt\nstatus 0\n", text)
  end)

  it("answers dumps there, and runs handlers of signals there", function()
    local text = run [[
      local state = native.state()
      assert(state:run("T = require 'lthread'", true))
      print(state:run([=[
        local there, text = T.allocate_lock(), ""
        there:acquire()
        local h = T.start_joinable_thread(function()
          there:acquire()
          local T, text = require "lthread", nil
          local limit = T.monotonic() + 60
          repeat -- on a busy machine an answer may come too late
            text = ""
            T.dump_traceback { write = function(_, more) text = text .. more end }
          until not text:find("does not come back to Lua", 1, true) or T.monotonic() > limit
          T.interrupt_main()
          return text
        end)
        pcall(function() there:release() while true do end end)
        return tostring(not h:result():find("does not come back to Lua", 1, true))
      ]=], true))
      state:close(true)
    ]]
    assert.equal("true\ttrue\nstatus 0\n", text)
  end)
end)
