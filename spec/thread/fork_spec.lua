-- A C library forks: the child goes on with the thread that did, and without the others.
local child = require "fixtures.child"

-- A fork may leave the sanitizers' own allocators locked.
if os.getenv "LTHREAD_SANITIZER" then
  return
end

local prelude = [[
local _thread = require "lthread"
local queue = require "lthread.queue"
local native = require "support.native"
local threads = require "support.threads"
local held, await, start = threads.held, threads.await, threads.start

-- Calls f(...) in a child of this process, which then exits with the number that f returns, or 99
-- if it raises. Returns how the child ended.
local function in_child(f, ...)
  local process = native.fork()
  if process == 0 then
    local ok, result = pcall(f, ...)
    if not ok then io.stderr:write(tostring(result), "\n") end
    os.exit(ok and result or 99)
  end
  return native.wait(process)
end

-- Threads that are in the middle of something.
local stop, never, computes = held(), held(), held()
local others = {
  start(function()
    local count = 0
    computes:release()
    while stop:locked() do count = count + 1 end
    return "computed"
  end),
  start(function() stop:acquire() stop:release() return "waited" end),
  start(function() stop:acquire(true, 1e6) stop:release() return "waited long" end),
}

-- OS threads that have done their work stay for the next one, but not in the child.
local function others_are_busy()
  for _ = 1, 4 do start(function() end):join() end
  return await(computes) and threads.await_blocked(others[2].ident)
    and threads.await_blocked(others[3].ident)
end

-- The parent's threads are as they were.
local function finish()
  for _, other in ipairs(others) do assert(not other:is_done()) end
  stop:release()
  for _, other in ipairs(others) do print(other:result()) end
  print(_thread._count())
end

local uses = {}

function uses.locks()
  local lock, rlock = _thread.allocate_lock(), _thread.RLock()
  assert(lock:acquire() and not lock:acquire(false) and not lock:acquire(true, 0.001))
  lock:release()
  assert(rlock:acquire() and rlock:acquire() and rlock:_recursion_count() == 2)
  assert(never:locked() and not never:acquire(true, 0.001))
  never:release()
  assert(never:acquire())
end

function uses.threads()
  local lock = held()
  local handles = {}
  for i = 1, 10 do
    handles[i] = start(function() lock:acquire() lock:release() return i end)
  end
  assert(threads.await_blocked(handles[10].ident))
  lock:release()
  for i = 1, 10 do assert(threads.result(handles[i]) == i) end
end

function uses.interrupts()
  _thread.set_excepthook(function() end)
  local there = held()
  for _, f in ipairs {
    function() there:release() while true do end end,
    function() there:release() never:acquire() end,
  } do
    local handle = start(f)
    assert(await(there))
    assert(handle:interrupt(_thread.ValueError))
    local ok, e = pcall(threads.result, handle)
    assert(not ok and e.__class__ == _thread.ValueError)
  end
  local reached = false
  assert(not pcall(function()
    _thread.interrupt(_thread.get_ident(), _thread.ValueError)
    reached = true
  end))
  assert(not reached)
end

function uses.queues()
  local q = queue.Queue(1)
  local putter = start(function() for i = 1, 100 do q:put { i } end end)
  for i = 1, 100 do assert(q:get()[1] == i) end
  putter:join()
end

uses["shared tables"] = function()
  local t = _thread.shared { 1, { 2 } }
  assert(start(function() t[1] = 5 return t[2][1] end):result() == 2 and t[1] == 5)
  _thread.globals.lt_forked = 1
  assert(start(function() return _thread.globals.lt_forked end):result() == 1)
  _thread.collect()
end

function uses.dumps()
  local text, there = "", held()
  local handle = start(function() there:release() never:acquire() end)
  assert(await(there) and threads.await_blocked(handle.ident))
  _thread.dump_traceback { write = function(_, more) text = text .. more end }
  assert(text:find("(ident " .. _thread.get_ident() .. ")", 1, true), text)
  assert(1 + select(2, text:gsub("\nThread ", "")) == #_thread.enumerate(), text)
  handle:interrupt()
  handle:join()
end

function uses.commands()
  assert(os.execute "exit 0")
  assert(select(3, start(function() return os.execute "exit 3" end):result()) == 3)
end
]]

local function run(code)
  return child(prelude .. code)
end

local finished = "computed\nwaited\nwaited long\n0\nstatus 0\n"

-- Who forks. 'fork' of a script calls f there.
local forkers = {
  ["the main thread"] = "local function fork(f, ...) return in_child(f, ...) end",
  ["a thread"] = [[
    local function fork(f, ...)
      return start(function(...) return in_child(...) end, f, ...):result()
    end
  ]],
  ["a thread of a thread"] = [[
    local function fork(f, ...)
      return start(function(...)
        return start(function(...) return in_child(...) end, ...):result()
      end, f, ...):result()
    end
  ]],
  ["a coroutine"] = [[
    local function fork(f, ...)
      return coroutine.wrap(function(...) return in_child(...) end)(f, ...)
    end
  ]],
}

for who, fork in pairs(forkers) do
  describe("the child of " .. who, function()
    it("has the thread that forked, and no other", function()
      local text = run(fork .. [[
        assert(others_are_busy())
        print(fork(function()
          local list = _thread.enumerate()
          assert(#list == 1 and list[1].ident == _thread.get_ident() and list[1].state == "running")
          assert(list[1].native_id == _thread.get_native_id())
          assert(_thread._count() == 0)
          assert(_thread._get_main_thread_ident() == _thread.get_ident())
          for _, other in ipairs(others) do
            assert(other:is_done() and other:join() and not other:interrupt())
            assert(_thread._make_thread_handle(other.ident):is_done())
          end
          local id = start(function() return _thread.get_ident() end)
          assert(id:result() == id.ident and id.ident > others[3].ident)
          return 7
        end))
        finish()
      ]])
      assert.equal("exit\t7\n" .. finished, text)
    end)

    it("has its main thread in that", function()
      local text = run(fork .. [[
        local blocked = { native.is_blocked(15), native.is_blocked(native.SIGUSR2) }
        print(fork(function(name)
          local list = _thread.enumerate()
          assert(list[1].name == name or name == nil)
          assert(not native.is_blocked(15) and not native.is_blocked(native.SIGUSR2))
          -- Others interrupt it, wherever it is.
          for _, f in ipairs {
            function(there) there:release() while true do end end,
            function(there) there:release() never:acquire() end,
          } do
            local there = held()
            local other = start(function() await(there) _thread.interrupt_main() end)
            local ok, e = pcall(f, there)
            assert(not ok and e.__class__ == _thread.KeyboardInterrupt, e)
            other:join()
          end
          native.handle(native.SIGUSR2, "count")
          start(function() _thread.interrupt_main(native.SIGUSR2) end):result()
          assert(threads.eventually(function() return native.handled(native.SIGUSR2) == 1 end))
          -- It is not counted, and not waited for.
          local go = held()
          local other = _thread.start_joinable_thread(function()
            go:acquire()
            _thread._shutdown()
            return _thread._count(), _thread.get_ident() ~= _thread._get_main_thread_ident()
          end, {daemon = false})
          assert(_thread._count() == 1)
          go:release()
          local count, differs = threads.result(other)
          assert(count == 1 and differs)
          _thread._shutdown()
          return 7
        end))
        finish()
      ]])
      assert.equal("exit\t7\n" .. finished, text)
    end)

    for _, what in ipairs { "locks", "threads", "interrupts", "queues", "shared tables", "dumps",
      "commands" } do
      it("can use " .. what, function()
        local text = run(fork .. ([[
          assert(others_are_busy())
          print(fork(function(use) use() return 7 end, uses["%s"]))
          uses["%s"]() -- and so can the parent
          finish()
        ]]):format(what, what))
        assert.equal("exit\t7\n" .. finished, text)
      end)
    end

    it("can fork itself", function()
      local text = run(fork .. [[
        print(fork(function()
          local how, status = fork(function() uses.threads() return 5 end)
          uses.threads()
          return how == "exit" and status + 1
        end))
        finish()
      ]])
      assert.equal("exit\t6\n" .. finished, text)
    end)
  end)
end

describe("the child of a fork", function()
  it("ends when the main script does, and its state is closed", function()
    local text = run [[
      local process = native.fork()
      if process == 0 then
        _thread.start_joinable_thread(function() _thread.sleep(0.01) print "not a daemon" end,
          {daemon = false})
        start(function()
          local _ <close> = setmetatable({}, {__close = function() print "stopped" end})
          never:acquire()
        end)
        KEPT = setmetatable({}, {__gc = function() print "closed" end})
        return
      end
      print(native.wait(process))
      finish()
    ]]
    assert.equal("closed\nnot a daemon\nstopped\nexit\t0\n" .. finished, text)
  end)

  it("ends when the thread that forked does, and its state is closed", function()
    local text = run [[
      local function fork()
        local process = native.fork()
        if process > 0 then return native.wait(process) end
        uses.threads()
        setmetatable({}, {__gc = function() print "closed" end})
      end
      print(start(fork):result())
      finish()
    ]]
    assert.equal("closed\nexit\t0\n" .. finished, text)
  end)

  it("waits for the others and stops daemons when the thread that forked ends", function()
    local text = run [[
      local function fork()
        local process = native.fork()
        if process > 0 then return native.wait(process) end
        local main = _thread._make_thread_handle(_thread.get_ident())
        local there = held()
        _thread.start_joinable_thread(function()
          main:join()
          print "joined"
        end, {daemon = false})
        start(function()
          local _ <close> = setmetatable({}, {__close = function() print "stopped" end})
          there:release()
          never:acquire()
        end)
        await(there)
        setmetatable({}, {__gc = function() print "closed" end})
      end
      print(start(fork):result())
      finish()
    ]]
    assert.equal("closed\njoined\nstopped\nexit\t0\n" .. finished, text)
  end)

  it("does so where the thread that forked leaves by os.exit", function()
    local text = run [[
      local function fork()
        local process = native.fork()
        if process > 0 then return native.wait(process) end
        local there = held()
        start(function()
          local _ <close> = setmetatable({}, {__close = function() print "stopped" end})
          there:release()
          never:acquire()
        end)
        await(there)
        os.exit(3, true)
      end
      print(start(fork):result())
      finish()
    ]]
    assert.equal("stopped\nexit\t3\n" .. finished, text)
  end)

  it("reports an error that ends its thread", function()
    local text = run [[
      local function fork()
        local process = native.fork()
        if process > 0 then return native.wait(process) end
        error "in the child"
      end
      print(_thread.start_joinable_thread(fork, {name = "forker"}):result())
      finish()
    ]]
    assert.truthy(text:find("forker %(ident %d+%)[^\n]*\n[^\n]*in the child"), text)
    assert.truthy(text:find("exit\t0\n" .. finished, 1, true), text)
  end)

  it("frees cycles of shared objects if nobody else was there", function()
    assert.equal("exit\t7\nstatus 0\n", child [[
      local _thread = require "lthread"
      local native = require "support.native"
      local process = native.fork()
      if process == 0 then
        for _ = 1, 10 do
          local t = _thread.shared {}
          t.self = t
        end
        collectgarbage()
        os.exit(_thread.collect().freed >= 10 and 7 or 99)
      end
      print(native.wait(process))
    ]])
  end)

  it("is whole, whatever locks and waits the other threads are in", function()
    local text = run [[
      local lock, rlock = _thread.allocate_lock(), _thread.RLock()
      local busy = {}
      for i = 1, 4 do
        busy[i] = start(function()
          while stop:locked() do
            lock:with(function() end)
            rlock:with(function() end)
            if lock:acquire(true, 0.00001) then lock:release() end
            others[1]:join(0.00001)
            local t = {}
            for k = 1, 100 do t[k] = {} end
            local shared = _thread.shared { {}, {} }
            shared.self = shared
          end
        end)
      end
      for _ = 1, 30 do
        local how, status = in_child(function()
          uses.threads()
          uses.interrupts()
          uses["shared tables"]()
          return 7
        end)
        assert(how == "exit" and status == 7, status)
      end
      finish()
    ]]
    assert.truthy(text:find("^computed\nwaited\nwaited long\n%d+\nstatus 0\n$"), text)
  end)
end)
