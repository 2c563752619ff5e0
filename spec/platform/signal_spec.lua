-- Real signals to real processes. A thread of the process sends them, when the main one is there.
local child = require "fixtures.child"
local watched = require "support.watched"
local with_fifo = require "support.with_fifo"

-- kill(name) sends a signal to this process, 'seen' prints how the main thread's function ended.
local prelude = [[
local _thread = require "lthread"
local threads = require "support.threads"
local held, await = threads.held, threads.await

local function kill(signal)
  io.popen("kill -" .. signal .. " $PPID"):close()
end

-- Calls f in the main thread, and sends the signal when 'ready' says true in another one.
local function struck(signal, ready, f, ...)
  local handle = threads.start(function()
    assert(ready(), "the main thread did not come")
    kill(signal)
  end)
  local ok, e = pcall(f, ...)
  print(ok, tostring(e))
  handle:join()
end

local function is_there(path)
  local file = io.open(path)
  return file ~= nil and file:close()
end

-- Waits until a thread, by its place in the list of all, sleeps in the system.
local function await_system_call(place)
  return threads.await_system_call(_thread.enumerate()[place].native_id)
end
]]

local function run(code, environment, input)
  return child(prelude .. code, environment, input)
end

local has_proc = io.open("/proc/self/stat") ~= nil

-- A pipe that is open and in which nothing ever comes.
local function with_empty_pipe(f)
  with_fifo(function(path) f("<>'" .. path .. "'") end)
end

local waits = {
  ["acquire"] = "never:acquire()",
  ["acquire with a timeout"] = "never:acquire(true, 1e6)",
  ["hold"] = "local _ <close> = never:hold()",
  ["with"] = "never:with(print)",
  ["RLock.acquire"] = "rlock:acquire()",
  ["join"] = "endless:join()",
  ["result"] = "endless:result()",
  ["sleep"] = "_thread.sleep(1e6)",
  ["_shutdown"] = "_thread._shutdown()",
}

local in_coroutines = {
  [""] = "%s",
  [" in a coroutine"] = "coroutine.wrap(function() %s end)()",
  [" in a coroutine of a coroutine"] =
    "coroutine.wrap(function() coroutine.wrap(function() %s end)() end)()",
}

describe("Ctrl-C", function()
  for what, code in pairs(waits) do
    for where, wrap in pairs(in_coroutines) do
      it("breaks " .. what .. where, function()
        local text = run([[
          local never, rlock, ready, go = held(), _thread.RLock(), held(), held()
          local endless = _thread.start_joinable_thread(function()
            rlock:acquire()
            ready:release()
            go:acquire()
          end, {daemon = false})
          await(ready)
          struck("INT", threads.await_blocked, function() ]] .. wrap:format(code) .. [[ end)
          print(never:locked(), rlock:_is_owned(), endless:is_done())
          go:release()
        ]])
        assert.truthy(text:find(
          "^false\t[^\n]*interrupted!\ntrue\tfalse\tfalse\nstatus 0\n$"), text)
      end)
    end
  end

  it("breaks a computing loop", function()
    local text = run [[
      local there = held()
      struck("INT", function() return await(there) end, function()
        there:release()
        while true do end
      end)
    ]]
    assert.truthy(text:find("^false\t[^\n]*interrupted!\nstatus 0\n$"), text)
  end)

  it("ends a script that does not catch it, with a traceback and status 1", function()
    local text = run [[
      threads.start(function() threads.await_blocked() kill "INT" end)
      held():acquire()
    ]]
    assert.truthy(text:find("interrupted!", 1, true), text)
    assert.truthy(text:find("in method 'acquire'", 1, true), text)
    assert.truthy(text:find("status 1\n", 1, true), text)
  end)

  it("breaks the wait for threads at the end, and they are stopped", function()
    local text = run [[
      _thread.start_joinable_thread(function()
        local _ <close> = setmetatable({}, {__close = function() print "closed" end})
        threads.eventually(function() return threads.state(1) == "stopping" end)
        _thread.interrupt_main()
        _thread.sleep(1e6)
      end, {daemon = false})
    ]]
    assert.equal("closed\nstatus 0\n", text)
  end)

  if has_proc then
    it("breaks io.read on a pipe", function()
      with_empty_pipe(function(input)
        local text = run([[
          local there = held()
          threads.start(function()
            await(there)
            await_system_call(1)
            kill "INT"
          end)
          local ok, e = pcall(function()
            there:release()
            io.read()
            while true do end
          end)
          print(ok, e)
        ]], nil, input)
        assert.truthy(text:find("^false\t[^\n]*interrupted!\nstatus 0\n$"), text)
      end)
    end)
  end
end)

describe("an interrupt", function()
  for _, target in ipairs { "main", "other" } do
    if has_proc then
      it("breaks io.read on a pipe in the " .. target .. " thread", function()
        with_empty_pipe(function(input)
          local text = run([[
            local there = held()
            local function read()
              -- The message handler is not interrupted.
              xpcall(function()
                there:release()
                io.read()
                while true do end
              end, function(e) print(e.__class__.__name__) os.exit(0) end)
            end
            if "]] .. target .. [[" == "main" then
              threads.start(function()
                await(there)
                await_system_call(1)
                _thread.interrupt_main()
              end)
              read()
            else
              local handle = threads.start(read)
              await(there)
              await_system_call(2)
              handle:interrupt(_thread.KeyboardInterrupt)
              handle:join()
            end
          ]], nil, input)
          assert.equal("KeyboardInterrupt\nstatus 0\n", text)
        end)
      end)
    end
  end
end)

describe("signals that raise nothing", function()
  it("leave a wait the time that is left", function()
    local text = run [[
      local never, stop = held(), held()
      local sender = threads.start(function()
        threads.await_blocked()
        while not stop:acquire(false) do kill "URG" kill "WINCH" kill "CONT" end
      end)
      local begin = _thread.monotonic()
      print(never:acquire(true, 0.3), _thread.monotonic() - begin >= 0.3)
      begin = _thread.monotonic()
      _thread.sleep(0.3)
      print(_thread.monotonic() - begin >= 0.3)
      begin = _thread.monotonic()
      print(sender:join(0.3), _thread.monotonic() - begin >= 0.3)
      stop:release()
      sender:join()
    ]]
    assert.equal("false\ttrue\ntrue\nfalse\ttrue\nstatus 0\n", text)
  end)

  it("leave a wait without bound waiting", function()
    local text = run [[
      local lock = held()
      threads.start(function()
        threads.await_blocked()
        for _ = 1, 10 do kill "URG" kill "WINCH" end
        lock:release()
      end)
      print(lock:acquire())
    ]]
    assert.equal("true\nstatus 0\n", text)
  end)

  it("leave what os.execute says as it is", function()
    assert.equal("exit\t3\nstatus 0\n", run [[
      local _, how, status
      for i = 1, 20 do
        _, how, status = os.execute "kill -URG $PPID; kill -WINCH $PPID; exit 3"
        if status ~= 3 then break end
      end
      print(how, status)
    ]])
  end)

  if has_proc then
    it("leave a read of the main thread reading", function()
      with_fifo(function(path)
        local text = run(([[
          local native = require "support.native"
          local path = "%s"
          local pipe <close> = io.open(path, "r+")
          local round = held()
          local sender = threads.start(function()
            local other_end <close> = io.open(path, "r+")
            for i = 1, 20 do
              assert(await(round))
              assert(await_system_call(1))
              native.send(native.SIGURG, "process")
              native.send(native.SIGWINCH, "process")
              other_end:write(i, "\n")
              other_end:flush()
            end
          end)
          for i = 1, 20 do
            round:release()
            local line, e = pipe:read()
            if line ~= tostring(i) then print(i, line, e) end
          end
          sender:join()
        ]]):format(path))
        assert.equal("status 0\n", text)
      end)
    end)
  end

  it("leave dumps and interrupts working", function()
    local text = run [[
      local there = held()
      local handle = threads.start(function() there:release() while true do end end)
      await(there)
      for _ = 1, 20 do kill "URG" end
      print(handle:interrupt(_thread.ValueError))
      handle:join()
      print(select(2, pcall(handle.result, handle)).__class__.__name__)
    ]]
    assert.truthy(text:find("true\n", 1, true), text)
    assert.truthy(text:find("ValueError\nstatus 0\n$"), text)
  end)
end)

-- The host of the sanitizers has a handler for SIGUSR2 of its own, and a function that tells how
-- often it ran, and how often in another thread than the one that has the main state.
local hosted = os.getenv "LTHREAD_HOSTED" and it or function() end

describe("a handler of the host", function()
  hosted("runs by interrupt_main, in the main thread", function()
    local text = run [[
      local handle = threads.start(function() _thread.interrupt_main(12) end)
      handle:join()
      threads.eventually(function() return host_signals() > 0 end)
      print(host_signals())
    ]]
    assert.equal("1\t0\nstatus 0\n", text)
  end)

  hosted("runs in no thread of ours", function()
    local text = run [[
      local stop = held()
      local busy = {}
      for i = 1, 4 do
        busy[i] = threads.start(function()
          if i % 2 == 0 then stop:acquire() stop:release() return end
          while stop:locked() do end
        end)
      end
      local before = host_signals()
      for i = 1, 20 do
        kill "USR2"
        threads.eventually(function() return host_signals() >= before + i end)
      end
      stop:release()
      for i = 1, 4 do busy[i]:join() end
      print(host_signals())
    ]]
    assert.equal("20\t0\nstatus 0\n", text)
  end)

  hosted("leaves waits the time that is left", function()
    local text = run [[
      local never, stop = held(), held()
      local sender = threads.start(function()
        while not stop:acquire(false) do kill "USR2" end
      end)
      local begin = _thread.monotonic()
      print(never:acquire(true, 0.3), _thread.monotonic() - begin >= 0.3)
      stop:release()
      sender:join()
      print(select(2, host_signals()))
    ]]
    assert.equal("false\ttrue\n0\nstatus 0\n", text)
  end)

  it("never runs in a thread of ours for Ctrl-C, which so always finds the main one", function()
    local text = run [[
      local stop = held()
      local busy = {}
      for i = 1, 4 do
        busy[i] = threads.start(function()
          while stop:locked() do pcall(function() end) end
          return "not interrupted"
        end)
      end
      struck("INT", threads.await_blocked, function() held():acquire() end)
      stop:release()
      for i = 1, 4 do print(busy[i]:result()) end
    ]]
    assert.truthy(text:find("^false\t[^\n]*interrupted!\n" .. ("not interrupted\n"):rep(4)
      .. "status 0\n$"), text)
  end)
end)

describe("LTHREAD_DUMP", function()
  local script = [[
    local never, there = held(), held()
    local handle = _thread.start_joinable_thread(function()
      local function spin() there:release() while true do end end
      spin()
    end, {name = "spinner"})
    await(there)
    local other = _thread.start_joinable_thread(function() never:acquire() end, {name = "waiter"})
    threads.await_blocked(other.ident)
    -- The dump is written by a thread of its own.
    while is_there "%s" do
      SEND
      never:acquire(true, 0.1)
    end
    io.stderr:write "end\n"
  ]]

  -- Sends the signal until a dump has come in which all this is found. The process goes on and
  -- ends, maybe while it writes another one.
  local function dumped(environment, send, ...)
    local path, patterns = os.tmpname(), { ... }
    local text = watched {
      code = prelude .. script:format(path):gsub("SEND", function() return send end),
      environment = environment,
      ready = function(text)
        for _, pattern in ipairs(patterns) do
          if not text:find(pattern) then return false end
        end
        return true
      end,
      act = function() os.remove(path) end,
    }
    assert.truthy(text:find("\nend\n", 1, true), text)
    assert.truthy(text:find("status 0\n$"), text)
  end

  for _, name in ipairs { "USR1", "SIGUSR1", "10" } do
    it("=" .. name .. " makes the signal dump, and the process goes on", function()
      dumped("LTHREAD_DUMP=" .. name, 'kill "USR1"',
        "Signal!\nThread MainThread %(ident 1%)", "in %l+ 'spin'",
        "Thread waiter %(ident %d+%)[^\n]*, blocked on lock 0?x?%x+")
    end)
  end

  it("works by interrupt_main too", function()
    dumped("LTHREAD_DUMP=USR1", "_thread.interrupt_main(10)", "Signal!\nThread MainThread")
  end)

  -- The thread sanitizer holds such a signal back until the read has ended.
  if has_proc and os.getenv "LTHREAD_SANITIZER" ~= "tsan" then
    it("dumps a main thread that sits in io.read, and lets it read on", function()
      with_fifo(function(path)
        local text = watched {
          code = prelude .. ([[
            local there = held()
            threads.start(function()
              await(there)
              await_system_call(1)
              kill "USR1"
            end)
            local pipe <close> = io.open("%s", "r+")
            there:release()
            print(pipe:read())
          ]]):format(path),
          environment = "LTHREAD_DUMP=USR1",
          ready = function(text)
            return text:find("Thread MainThread %(ident 1%)[^\n]*, running, in C code that "
              .. "does not come back")
          end,
          act = function()
            local pipe <close> = io.open(path, "r+")
            pipe:write("hello\n")
          end,
        }
        assert.truthy(text:find("hello\nstatus 0\n$"), text)
      end)
    end)
  end

  for reason, names in pairs {
    ["no signal has this name or number"] =
      { "NONSENSE", "SIG", "usr", "0", "-1", "10x", "4294967306" },
    ["this signal can't be caught"] = { "KILL", "SIGKILL", "9", "STOP", "19" },
    ["this signal tells of a fault, after which a program can't go on"] =
      { "SEGV", "11", "BUS", "ABRT" },
    ["lthread needs this signal itself"] = { "URG", "23", "SIGWINCH", "28" },
  } do
    it("with what can't be used says so, and the script runs: " .. reason, function()
      for _, name in ipairs(names) do
        local text = child('require "lthread" print "runs"', "LTHREAD_DUMP=" .. name)
        assert.equal(("lthread: LTHREAD_DUMP=%s has no effect: %s; USR1 and USR2 can be used\n"
          .. "runs\nstatus 0\n"):format(name, reason), text)
      end
    end)
  end

  it("with any other signal that the system has is heeded", function()
    for _, name in ipairs { "USR2", "SIGPIPE", "CHLD", "HUP", "TTIN", "XCPU", "IO", "VTALRM" } do
      assert.equal("runs\nstatus 0\n", child('require "lthread" print "runs"',
        "LTHREAD_DUMP=" .. name))
    end
  end)

  it("leaves the signal alone when it is not set", function()
    local text = run [[kill "USR1" _thread.sleep(20)]]
    assert.falsy(text:find("Signal!", 1, true), text)
    assert.falsy(text:find("status 0", 1, true), text)
  end)
end)
