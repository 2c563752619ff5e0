-- Waiting for descriptors.
local _thread = require "lthread"
local child = require "fixtures.child"
local native = require "support.native"
local setups = require "support.setups"
local threads = require "support.threads"
local with_fifo = require "support.with_fifo"
local raises, start, ended_by = threads.raises, threads.start, threads.ended_by
local wait_fd = _thread.wait_fd

setups.alone()
setups.quiet()

-- Calls f with a pipe that is open for both.
local function with_pipe(f)
  with_fifo(function(path)
    local pipe <close> = io.open(path, "r+")
    pipe:setvbuf "no"
    f(pipe, path)
  end)
end

local number_of = native.fileno

-- What comes sooner than a sleep would end.
local function soon(condition)
  local limit = _thread.monotonic() + threads.LONG
  while not condition() and _thread.monotonic() < limit do
    _thread.sleep(0)
  end
  return condition()
end

local function fill(pipe)
  while wait_fd(pipe, "w", 0) do
    pipe:write(("x"):rep(4096))
  end
end

describe("wait_fd", function()
  it("tells what a descriptor is ready for, of what was asked", function()
    with_pipe(function(pipe)
      assert.is_nil(wait_fd(pipe, "r", 0))
      assert.equal("w", wait_fd(pipe, "w"))
      assert.equal("w", wait_fd(pipe, "rw"))
      pipe:write "x"
      assert.equal("r", wait_fd(pipe, "r"))
      assert.equal("rw", wait_fd(pipe, "rw"))
      fill(pipe)
      assert.equal("r", wait_fd(pipe, "rw"))
      assert.is_nil(wait_fd(pipe, "w", 0))
    end)
  end)

  it("waits until it can be read from, and until it can be written to", function()
    with_pipe(function(pipe, path)
      local function wait(mode)
        return wait_fd(io.open(path, "r+"), mode)
      end
      local reader = start(wait, "r")
      assert.is_true(threads.await_blocked(reader.ident))
      pipe:write "x"
      assert.equal("r", threads.result(reader))
      fill(pipe)
      local writer = start(wait, "w")
      assert.is_true(threads.await_blocked(writer.ident))
      while not wait_fd(pipe, "w", 0) do
        pipe:read(4096)
      end
      assert.equal("w", threads.result(writer))
    end)
  end)

  it("takes a hang-up for all that was asked", function()
    with_fifo(function(path)
      local writer = io.open(path, "r+")
      local reader <close> = io.open(path, "r")
      writer:close()
      assert.equal("r", wait_fd(reader, "r"))
      assert.equal("w", wait_fd(reader, "w"))
      assert.equal("rw", wait_fd(reader, "rw"))
    end)
  end)

  it("wakes for a hang-up", function()
    with_fifo(function(path)
      local writer = io.open(path, "r+")
      local reader = start(function() return wait_fd(io.open(path), "r") end)
      assert.is_true(threads.await_blocked(reader.ident))
      writer:close()
      assert.equal("r", threads.result(reader))
    end)
  end)

  it("returns nil when the time is up, and no earlier", function()
    with_pipe(function(pipe)
      for _, timeout in ipairs { 0.02, 0.0015 } do
        local begin = _thread.monotonic()
        assert.is_nil(wait_fd(pipe, "r", timeout))
        assert.is_true(_thread.monotonic() - begin >= timeout)
      end
      assert.is_nil(wait_fd(pipe, "r", { timeout = 0.001 }))
    end)
  end)

  it("has no time limit with a negative timeout", function()
    with_pipe(function(pipe, path)
      local reader = start(function() return wait_fd(io.open(path, "r+"), "r", -1) end)
      assert.is_true(threads.await_blocked(reader.ident))
      pipe:write "x"
      assert.equal("r", threads.result(reader))
    end)
  end)

  it("takes a number", function()
    with_pipe(function(pipe)
      local number = number_of(pipe)
      assert.equal("w", wait_fd(number, "rw"))
      assert.equal("w", wait_fd(number + 0.0, "rw"))
    end)
  end)

  for _, method in ipairs { "getfd", "fileno", "pollfd" } do
    it("takes an object with a method " .. method, function()
      with_pipe(function(pipe)
        local number = number_of(pipe)
        local object = { [method] = function(self) return self.number end, number = number }
        assert.equal("w", wait_fd(object, "rw"))
        local proxy = setmetatable({}, { __index = object })
        assert.equal("w", wait_fd(proxy, "rw"))
        object.number = nil
        raises(_thread.ValueError, method .. " gave no descriptor, but nil; is it closed?", wait_fd,
          object, "r")
        object.number = -1
        raises(_thread.ValueError, "no descriptor has the number -1; is it closed?", wait_fd,
          object, "r")
      end)
    end)
  end

  it("can read at once where the object has bytes that it has read already", function()
    with_pipe(function(pipe)
      local dirty = true
      local object = {
        fileno = function() return number_of(pipe) end,
        dirty = function() return dirty end,
      }
      assert.equal("r", wait_fd(object, "r"))
      assert.equal("rw", wait_fd(object, "rw"))
      assert.equal("w", wait_fd(object, "w"))
      fill(pipe)
      while wait_fd(pipe, "r", 0) do pipe:read(1) end
      dirty = false
      assert.is_nil(wait_fd(object, "r", 0))
    end)
  end)

  it("refuses what is no descriptor and says why", function()
    local closed = io.tmpfile()
    local number = number_of(closed)
    closed:close()
    for _, case in ipairs {
      { _thread.ValueError, "no descriptor has the number -1", -1 },
      { _thread.ValueError, "no descriptor has the number", math.maxinteger },
      { _thread.ValueError, ("descriptor %d is not open"):format(number), number },
      { _thread.ValueError, "the file is closed", closed },
      { _thread.TypeError, "number has no integer representation", 0.5 },
      { _thread.TypeError, "object with a method getfd, fileno or pollfd expected, got table", {} },
      { _thread.TypeError, "expected, got nil", nil },
      { _thread.TypeError, "expected, got function", print },
      { _thread.TypeError, "expected, got string", "1" },
    } do
      raises(case[1], case[2], wait_fd, case[3], "r")
    end
    raises(_thread.ValueError, "'r', 'w' or 'rw' expected, got 'x'", wait_fd, 1, "x")
    raises(_thread.TypeError, "string expected", wait_fd, 1)
    raises(_thread.ValueError, "nan", wait_fd, 1, "r", 0 / 0)
    raises(_thread.OverflowError, "TIMEOUT_MAX", wait_fd, 1, "r", 1e300)
  end)

  it("raises what a method raises", function()
    local ok, e = pcall(wait_fd, { fileno = function() error("no", 0) end }, "r")
    assert.is_false(ok)
    assert.equal("no", e)
  end)
end)

describe("a thread that waits for a descriptor", function()
  it("is interrupted", function()
    with_pipe(function(_, path)
      local handle = start(function() return wait_fd(io.open(path, "r+"), "r") end)
      assert.is_true(threads.await_blocked(handle.ident))
      handle:interrupt(_thread.ValueError)
      ended_by(_thread.ValueError, handle)
    end)
  end)

  it("loses no interrupt, whenever it comes", function()
    with_pipe(function(pipe, path)
      local rounds = 3000
      local seen = _thread.shared { interrupts = 0, bytes = 0 }
      local handle = start(function()
        local own = io.open(path, "r+")
        _thread.on_interrupt(function() _thread.add(seen, "interrupts", 1) end)
        seen.ready = true
        for i = 1, math.huge do
          if wait_fd(own, "r", i % 3 == 0 and 1e-5 or nil) then break end
        end
      end)
      assert.is_true(soon(function() return seen.ready end))
      for i = 1, rounds do
        handle:interrupt(_thread.ValueError)
        assert(soon(function() return seen.interrupts == i end))
      end
      pipe:write "x"
      threads.result(handle)
    end)
  end)

  it("is woken by bytes and by interrupts and loses none, while dumps are taken", function()
    with_pipe(function(pipe, path)
      local rounds = 1000
      local seen = _thread.shared { interrupts = 0, bytes = 0 }
      local handle = start(function()
        local own = io.open(path, "r+")
        own:setvbuf "no"
        _thread.on_interrupt(function() _thread.add(seen, "interrupts", 1) end)
        seen.ready = true
        while seen.bytes < rounds do
          assert(wait_fd(own, "r") == "r")
          own:read(1)
          _thread.add(seen, "bytes", 1)
        end
      end)
      assert.is_true(soon(function() return seen.ready end))
      for i = 1, rounds do
        handle:interrupt(_thread.ValueError)
        pipe:write "x"
        if i % 50 == 0 then _thread.dump_traceback { write = function() end } end
        assert(soon(function() return seen.interrupts == i and seen.bytes == i end))
      end
      threads.result(handle)
    end)
  end)

  it("waits on after an interrupt in a handler that must finish first", function()
    with_pipe(function(pipe, path)
      local handle = start(function()
        local own = io.open(path, "r+")
        local result
        local ok, e = pcall(function()
          do
            local _ <close> = setmetatable({}, { __close = function()
              result = wait_fd(own, "r")
            end })
          end
          while true do end
        end)
        return result, ok, _thread.isinstance(e, _thread.ValueError)
      end)
      assert.is_true(threads.await_blocked(handle.ident))
      handle:interrupt(_thread.ValueError)
      pipe:write "x"
      local result, ok, is_interrupt = threads.result(handle)
      assert.equal("r", result)
      assert.is_false(ok)
      assert.is_true(is_interrupt)
    end)
  end)

  it("is shown by a dump with its descriptor", function()
    with_pipe(function(_, path)
      local handle = start(function()
        local own = io.open(path, "r+")
        _thread.globals.lt_number = native.fileno(own)
        wait_fd(own, "r")
      end)
      assert.is_true(threads.await_blocked(handle.ident))
      local text = ""
      _thread.dump_traceback { write = function(_, more) text = text .. more end }
      local part = threads.part_of_dump(text, handle.ident)
      assert.matches(", blocked on descriptor " .. _thread.globals.lt_number .. " for", part)
      handle:interrupt(_thread.ValueError)
      ended_by(_thread.ValueError, handle)
    end)
  end)

  it("is in no deadlock", function()
    with_fifo(function(path)
      assert.equal("r\nstatus 0\n", child(([[
        local _thread = require "lthread"
        local threads = require "support.threads"
        local pipe = io.open("%s", "r+")
        local handle = threads.start(function(path)
          return _thread.wait_fd(io.open(path, "r+"), "r")
        end, "%s")
        _thread.start_new_thread(function() _thread.sleep(0.6) end, {})
        os.execute "(sleep 1; echo >'%s') &"
        handle:join()
        print(handle:result())
      ]]):format(path, path, path), "LTHREAD_DEADLOCK=1"))
    end)
  end)

  it("ends at once at the end of the program, and with a KeyboardInterrupt in the main one",
    function()
      with_fifo(function(path)
        assert.equal("false\tKeyboardInterrupt\nclosed\nstatus 0\n", child(([[
          local _thread = require "lthread"
          local threads = require "support.threads"
          local pipe = io.open("%s", "r+")
          local handle = threads.start(function(path)
            local _ <close> = setmetatable({}, {__close = function() print "closed" end})
            _thread.wait_fd(io.open(path, "r+"), "r")
          end, "%s")
          threads.await_blocked(handle.ident)
          threads.start(function() threads.await_blocked(1) _thread.interrupt_main() end)
          local ok, e = pcall(_thread.wait_fd, pipe, "r")
          print(ok, e.__class__.__name__)
        ]]):format(path, path)))
      end)
    end)

  it("raises where the process has no descriptor left, and goes on later", function()
    with_fifo(function(path)
      assert.equal([[
RuntimeError: can't wait for a descriptor: Too many open files
RuntimeError: can't make a descriptor: Too many open files
nil
w
nil
true
status 0
]], child(([[
        local _thread = require "lthread"
        local pipe = io.open("%s", "r+")
        local files = {}
        repeat
          local file = io.open "/dev/null"
          files[#files + 1] = file
        until not file
        local function fails(f, ...)
          local _, e = pcall(f, ...)
          print(e.__class__.__name__ .. ": " .. e.message)
        end
        fails(_thread.wait_fd, pipe, "r", 10)
        fails(_thread.interrupt_fileno)
        print(_thread.wait_fd(pipe, "r", 0))
        print(_thread.wait_fd(pipe, "w", 10))
        for i = 1, 4 do files[i]:close() end
        print(_thread.wait_fd(pipe, "r", 0.001))
        print(_thread.interrupt_fileno() > 2)
      ]]):format(path), "ulimit -n 30;"):gsub("No file descriptors available", -- musl
        "Too many open files"), nil)
    end)
  end)

  it("goes on after a script has closed all descriptors", function()
    with_fifo(function(path)
      assert.equal("nil\nfalse\tKeyboardInterrupt\nstatus 0\n", child(([[
        local _thread = require "lthread"
        local native = require "support.native"
        local threads = require "support.threads"
        local pipe = io.open("%s", "r+")
        local number = native.fileno(pipe)
        _thread.wait_fd(pipe, "r", 0.0001)
        for i = 3, 20 do
          if i ~= number then native.close(i) end
        end
        print(_thread.wait_fd(pipe, "r", 0.01))
        threads.start(function() threads.await_blocked(1) _thread.interrupt_main() end)
        local ok, e = pcall(_thread.wait_fd, pipe, "r")
        print(ok, e.__class__.__name__)
      ]]):format(path)))
    end)
  end)

  it("leaves no descriptor behind", function()
    local function wait()
      wait_fd(_thread.interrupt_fileno(), "r", 0.0001)
    end
    local function count()
      local file = io.tmpfile()
      local number = number_of(file)
      file:close()
      return number
    end
    threads.result(start(wait))
    local before = count()
    local handles = {}
    for i = 1, 20 do
      handles[i] = start(wait)
      threads.result(handles[i])
    end
    assert.equal(before, count())
  end)
end)
