-- What becomes of threads when the main state closes. Each case is a process of its own: it must
-- end by itself, with status 0 and nothing on its error stream.

local lua = os.getenv "LTHREAD_LUA" or "lua5.4"

local function run(code)
  local script, output = os.tmpname(), os.tmpname()
  local file = io.open(script, "w")
  file:write('local _thread = require "lthread"\n', code)
  file:close()
  local _, how, status = os.execute(
    ("timeout 300 '%s' '%s' >'%s' 2>&1"):format(lua, script, output))
  file = io.open(output)
  local text = file:read "a"
  file:close()
  os.remove(script)
  os.remove(output)
  return {ended = how .. " " .. status, text = text}
end

-- The main thread goes on when the thread says that it is there.
local ready = [[
  local there = _thread.allocate_lock()
  there:acquire()
]]

local busy = {
  ["computes for ever"] = [[
    _thread.start_new_thread(function() there:release() while true do end end, {})
    there:acquire()]],
  ["computes for ever in a coroutine that never yields"] = [[
    _thread.start_new_thread(function()
      coroutine.wrap(function()
        coroutine.wrap(function() there:release() while true do end end)()
      end)()
    end, {})
    there:acquire()]],
  ["makes garbage for ever"] = [[
    _thread.start_new_thread(function() there:release() while true do local t = {} end end, {})
    there:acquire()]],
  ["catches every error and goes on"] = [[
    _thread.start_new_thread(function()
      there:release()
      while true do pcall(function() while true do local t = {} end end) end
    end, {})
    there:acquire()]],
  ["is blocked in a lock"] = [[
    local lock = _thread.allocate_lock()
    lock:acquire()
    _thread.start_new_thread(function() there:release() lock:acquire() end, {})
    there:acquire()]],
  ["is blocked in a lock and catches that"] = [[
    local lock = _thread.allocate_lock()
    lock:acquire()
    _thread.start_new_thread(function()
      there:release()
      while true do pcall(lock.acquire, lock) end
    end, {})
    there:acquire()]],
  ["waits in get"] = [[
    local q = require "lthread.queue".SimpleQueue()
    _thread.start_new_thread(function() there:release() q:get() end, {})
    there:acquire()]],
  ["waits in get with a timeout and catches that"] = [[
    local q = require "lthread.queue".PriorityQueue()
    _thread.start_new_thread(function()
      there:release()
      while true do pcall(q.get, q, {timeout = 1e6}) end
    end, {})
    there:acquire()]],
  ["waits in get_many"] = [[
    local q = require "lthread.queue".Queue()
    _thread.start_new_thread(function() there:release() q:get_many(10) end, {})
    there:acquire()]],
  ["waits in put"] = [[
    local q = require "lthread.queue".LifoQueue(1)
    q:put(1)
    _thread.start_new_thread(function() there:release() q:put{("x"):rep(100), q} end, {})
    there:acquire()]],
  ["waits in put_many"] = [[
    local q = require "lthread.queue".Queue(1)
    _thread.start_new_thread(function() there:release() q:put_many{1, {2}, q} end, {})
    there:acquire()]],
  ["waits for the tasks of a queue"] = [[
    local q = require "lthread.queue".Queue()
    q:put(1)
    _thread.start_new_thread(function() there:release() q:join() end, {})
    there:acquire()]],
  ["puts and gets all the time"] = [[
    local q = require "lthread.queue".Queue(2)
    _thread.start_new_thread(function() there:release() while true do q:put{1} end end, {})
    _thread.start_new_thread(function() while true do q:get() end end, {})
    there:acquire()]],
  ["sleeps"] = [[
    _thread.start_new_thread(function() there:release() _thread.sleep(1e6) end, {})
    there:acquire()]],
  ["joins another thread"] = [[
    local sleeper = _thread.start_joinable_thread(function() _thread.sleep(1e6) end)
    _thread.start_new_thread(function() there:release() sleeper:join() end, {})
    there:acquire()]],
  ["starts threads all the time"] = [[
    _thread.start_new_thread(function()
      there:release()
      while true do _thread.start_new_thread(function() end, {}) end
    end, {})
    there:acquire()]],
  ["prints"] = [[
    local line = ("x"):rep(100)
    _thread.start_new_thread(function() there:release() while true do print(line) end end, {})
    _thread.start_new_thread(function() while true do print(line) end end, {})
    there:acquire()]],
  ["has not run its first instruction"] = [[
    _thread.start_new_thread(function() end, {})]],
}

local ends = {
  ["at the end of the script"] = "",
  ["by os.exit(true, true)"] = "os.exit(true, true)",
  ["by os.exit without closing"] = "os.exit(true)",
}

for what, code in pairs(busy) do
  for how, ending in pairs(ends) do
    describe("a daemon that " .. what, function()
      it("is stopped " .. how, function()
        local result = run(ready .. code .. "\n" .. ending)
        local rest = result.text:gsub(("x"):rep(100) .. "\n", "")
        if how == "by os.exit without closing" then
          rest = rest:gsub("^x+$", "") -- exit ends the process in the middle of a thread's line
        end
        assert.equal("", rest)
        assert.equal("exit 0", result.ended)
      end)
    end)
  end
end

describe("closing the main state", function()
  it("waits for threads that are not daemons", function()
    local result = run(ready .. [[
      _thread.start_joinable_thread(function()
        there:acquire()
        _thread.sleep(0.05)
        print "done"
      end, {daemon = false})
      there:release()
    ]])
    assert.equal("done\n", result.text)
    assert.equal("exit 0", result.ended)
  end)

  it("runs the <close> variables and the finalizers of a thread that is stopped", function()
    local result = run(ready .. [[
      _thread.start_new_thread(function()
        local finalized <const> = setmetatable({}, {__gc = function() print "finalized" end})
        local closed <close> = setmetatable({}, {__close = function() print "closed" end})
        there:release()
        while true do local t = {} end
      end, {})
      there:acquire()
    ]])
    assert.equal("closed\nfinalized\n", result.text)
    assert.equal("exit 0", result.ended)
  end)

  -- The handler of the second thread is insisted on; that releases the first one from C code that
  -- has kept it from hearing anything so far.
  it("lets a thread run its <close> variables that is late to hear of it", function()
    local result = run(ready .. [[
      local native = require "support.native"
      native.set_blocked(native.SIGUSR1, true)
      _thread.start_new_thread(function()
        local closed <close> = setmetatable({}, {__close = function()
          for _ = 1, 1e4 do end
          print "closed"
        end})
        there:release()
        native.take_signal(native.SIGUSR1)
        while true do end
      end, {})
      there:acquire()
      _thread.start_new_thread(function()
        local never = _thread.allocate_lock()
        never:acquire()
        KEPT = setmetatable({}, {__gc = function() native.send(native.SIGUSR1, "process") end})
        local waiting <close> = setmetatable({}, {__close = function() never:acquire() end})
        there:release()
        while true do end
      end, {})
      there:acquire()
    ]])
    assert.equal("closed\n", result.text)
    assert.equal("exit 0", result.ended)
  end)

  it("is not kept up by a thread that joins the main thread", function()
    local result = run(ready .. [[
      local main = _thread._make_thread_handle(_thread.get_ident())
      _thread.start_joinable_thread(function()
        there:release()
        print(main:join())
      end, {daemon = false})
      there:acquire()
    ]])
    assert.equal("true\n", result.text)
    assert.equal("exit 0", result.ended)
  end)

  it("does not wait any longer when the main thread is interrupted", function()
    local result = run [[
      _thread.start_joinable_thread(function()
        repeat until _thread.enumerate()[1].state == "stopping"
        _thread.interrupt_main()
        while true do end
      end, {daemon = false})
    ]]
    assert.equal("", result.text)
    assert.equal("exit 0", result.ended)
  end)

  it("joins the threads that such threads start", function()
    local result = run [[
      _thread.start_joinable_thread(function()
        _thread.start_joinable_thread(function()
          _thread.sleep(0.02)
          print "grandchild"
        end, {daemon = false})
      end, {daemon = false})
    ]]
    assert.equal("grandchild\n", result.text)
    assert.equal("exit 0", result.ended)
  end)

  it("leaves finalizers of the main state able to fail politely", function()
    local result = run [[
      local lock = _thread.allocate_lock()
      KEEP = setmetatable({}, {__gc = function()
        local ok, e = pcall(_thread.get_ident)
        print(ok or tostring(e))
      end})
      package.loaded.lthread = nil
    ]]
    assert.equal("exit 0", result.ended)
    assert.equal("true\n", result.text)
  end)

  it("is not kept up by a thread that sits in a system call", function()
    local path = os.tmpname()
    os.remove(path)
    assert(os.execute("mkfifo '" .. path .. "'"))
    finally(function()
      io.open(path, "r+"):close()
      os.remove(path)
    end)
    local result = run(ready .. ([[
      _thread.start_new_thread(function()
        there:release()
        os.execute("read line <'%s'")
      end, {})
      there:acquire()
    ]]):format(path))
    assert.equal("exit 0", result.ended)
    assert.equal("", result.text)
  end)
end)

describe("_shutdown", function()
  it("waits for the threads that are not daemons", function()
    local result = run [[
      local h = _thread.start_joinable_thread(function() _thread.sleep(0.02) end, {daemon = false})
      _thread._shutdown()
      print(h:is_done())
    ]]
    assert.equal("true\n", result.text)
  end)
end)
