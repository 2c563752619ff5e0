-- The descriptor by which an event loop of others sees an interrupt.
local _thread = require "lthread"
local child = require "fixtures.child"
local setups = require "support.setups"
local threads = require "support.threads"
local held, await, start = threads.held, threads.await, threads.start
local wait_fd = _thread.wait_fd

setups.alone()
setups.quiet()

local function is_readable(number)
  return wait_fd(number, "r", 0) == "r"
end

-- Starts a thread that holds back its interrupts until 'go' is released; returns its handle and the
-- number of its descriptor. It returns once that is not readable any more.
local function start_held(go)
  local there = held()
  local numbers = _thread.shared {}
  local handle = start(function()
    local number = _thread.interrupt_fileno()
    numbers[1] = number
    _thread.on_interrupt(function() end)
    do
      local _ <close> = setmetatable({}, { __close = function()
        there:release()
        await(go)
      end })
    end
    while is_readable(number) do end
  end)
  assert(await(there))
  return handle, numbers[1]
end

describe("interrupt_fileno", function()
  it("is readable while an interrupt is pending", function()
    local go = held()
    local handle, number = start_held(go)
    assert.is_false(is_readable(number))
    assert.is_true(handle:interrupt(_thread.ValueError))
    assert.is_true(is_readable(number))
    assert.is_true(is_readable(number))
    assert.is_true(handle:interrupt(_thread.ValueError))
    assert.is_true(handle:interrupt(_thread.ValueError "another"))
    assert.is_true(is_readable(number))
    go:release()
    threads.result(handle)
  end)

  it("wakes who waits for it", function()
    local go = held()
    local handle, number = start_held(go)
    local waiter = start(wait_fd, number, "r")
    assert.is_true(threads.await_blocked(waiter.ident))
    assert.is_true(handle:interrupt(_thread.ValueError))
    assert.equal("r", threads.result(waiter))
    go:release()
    threads.result(handle)
  end)

  it("is readable at once if one is pending when it is made", function()
    local there, go = held(), held()
    local handle = start(function()
      local readable
      local ok = pcall(function()
        do
          local _ <close> = setmetatable({}, { __close = function()
            there:release()
            await(go)
            readable = is_readable(_thread.interrupt_fileno())
          end })
        end
        while true do end
      end)
      return readable, ok, is_readable(_thread.interrupt_fileno())
    end)
    assert.is_true(await(there))
    handle:interrupt(_thread.ValueError)
    go:release()
    local readable, ok, is_left = threads.result(handle)
    assert.is_true(readable)
    assert.is_false(ok)
    assert.is_false(is_left)
  end)

  it("is one for each thread, the same each time, and is closed when that has ended", function()
    local own = _thread.interrupt_fileno()
    assert.equal("integer", math.type(own))
    assert.equal(own, _thread.interrupt_fileno())
    local other, again = threads.call(function()
      return _thread.interrupt_fileno(), _thread.interrupt_fileno()
    end)
    assert.equal(other, again)
    assert.not_equal(own, other)
    threads.raises(_thread.ValueError, "is not open", wait_fd, other, "r", 0)
    assert.is_false(is_readable(own))
  end)

  it("is not the one of the thread that its worker ran before", function()
    for _ = 1, 20 do
      local go = held()
      local handle, number = start_held(go)
      assert.is_false(is_readable(number))
      handle:interrupt()
      assert.is_true(is_readable(number))
      go:release()
      threads.result(handle)
    end
  end)

  it("follows each of many interrupts", function()
    for _ = 1, 200 do
      local go = held()
      local handle, number = start_held(go)
      handle:interrupt(_thread.ValueError)
      handle:interrupt()
      assert.is_true(is_readable(number))
      go:release()
      threads.result(handle)
    end
  end)

  it("is there in the main thread, too, and not in programs that are run", function()
    assert.equal("false\tKeyboardInterrupt\tnil\ngone\nclosed\nstatus 0\n", child [[
      local _thread = require "lthread"
      local number = _thread.interrupt_fileno()
      local ok, e = pcall(function()
        _thread.interrupt_main()
        while true do end
      end)
      print(ok, e.__class__.__name__, _thread.wait_fd(number, "r", 0))
      os.execute(("if (exec <&%d) 2>/dev/null; then echo there; else echo gone; fi"):format(number))
      print "closed"
    ]])
  end)

  it("becomes readable at the end of the program", function()
    assert.equal("r\nstatus 0\n", child [[
      local _thread = require "lthread"
      local threads = require "support.threads"
      local there = threads.held()
      threads.start(function()
        local number = _thread.interrupt_fileno()
        pcall(function()
          local _ <close> = setmetatable({}, {__close = function()
            there:release()
            print(_thread.wait_fd(number, "r"))
          end})
        end)
      end)
      threads.await(there)
    ]])
  end)
end)

if not os.getenv "LTHREAD_SANITIZER" then -- a fork may leave the sanitizers' allocators locked
  describe("the child of a fork", function()
    it("has descriptors of its own, and wakes by them what waits there", function()
      assert.equal([[
the parent's is readable	nil
the child's number is the same	true
the child's was readable	r
KeyboardInterrupt
exit	0
the parent's is readable	nil
status 0
]], child [[
        local _thread = require "lthread"
        local native = require "support.native"
        local threads = require "support.threads"
        local number = _thread.interrupt_fileno()
        _thread.wait_fd(number, "r", 0.001)
        print("the parent's is readable", _thread.wait_fd(number, "r", 0))
        local process = native.fork()
        if process == 0 then
          print("the child's number is the same", _thread.interrupt_fileno() == number)
          local ok, e = pcall(function()
            local _ <close> = setmetatable({}, {__close = function()
              _thread.interrupt_main()
              print("the child's was readable", _thread.wait_fd(number, "r", 10))
            end})
          end)
          pcall(function() for _ = 1, 1e7 do end end)
          local main = _thread.get_ident()
          threads.start(function()
            threads.await_blocked(main)
            _thread.interrupt_main()
          end)
          local _, interrupt = pcall(_thread.wait_fd, number, "r")
          print(interrupt.__class__.__name__)
          os.exit(0)
        end
        print(native.wait(process))
        print("the parent's is readable", _thread.wait_fd(number, "r", 0))
      ]])
    end)
  end)
end
