-- Interrupts that were accepted come to pass, whatever gets in their way.
local _thread = require "lthread"
local child = require "fixtures.child"
local native = require "support.native"
local setups = require "support.setups"
local threads = require "support.threads"
local held, await, start, ended_by = threads.held, threads.await, threads.start, threads.ended_by

setups.alone()
setups.quiet()

describe("a poke that is lost", function()
  -- The thread takes the signal away from its handler, as if the hook that it sets were overlooked.
  local function lose(signal, there)
    native.set_blocked(signal, true)
    there:release()
    native.take_signal(signal)
    native.set_blocked(signal, false)
  end

  it("is repeated for an interrupt", function()
    local there = held()
    local handle = start(function()
      lose(native.SIGURG, there)
      while true do end
    end)
    assert.is_true(await(there))
    assert.is_true(handle:interrupt(_thread.ValueError))
    ended_by(_thread.ValueError, handle)
  end)

  it("is repeated for a system call that it was to break", function()
    local path = os.tmpname()
    os.remove(path)
    assert(os.execute("mkfifo '" .. path .. "'"))
    finally(function() os.remove(path) end)
    local writer = io.open(path, "r+")
    local there = held()
    local handle = start(function()
      local pipe <close> = io.open(path)
      lose(native.SIGURG, there)
      local line = pipe:read()
      return line
    end)
    assert.is_true(await(there))
    assert.is_true(handle:interrupt(_thread.ValueError))
    ended_by(_thread.ValueError, handle)
    writer:close()
  end)

  it("is repeated for the main thread", function()
    assert.equal("KeyboardInterrupt\nstatus 0\n", child [[
      local _thread = require "lthread"
      local native = require "support.native"
      local there = _thread.allocate_lock()
      there:acquire()
      _thread.start_joinable_thread(function() there:acquire() _thread.interrupt_main() end)
      local ok, e = pcall(function()
        native.set_blocked(native.SIGURG, true)
        there:release()
        native.take_signal(native.SIGURG)
        native.set_blocked(native.SIGURG, false)
        while true do end
      end)
      print(e.__class__.__name__)
    ]])
  end)

  it("is repeated for a dump", function()
    local there, text = held(), ""
    local handle = start(function()
      lose(native.SIGWINCH, there)
      while true do end
    end)
    assert.is_true(await(there))
    _thread.dump_traceback { write = function(_, more) text = text .. more end }
    assert.falsy(text:find("does not come back to Lua", 1, true), text)
    handle:interrupt(_thread.ValueError)
    ended_by(_thread.ValueError, handle)
  end)
end)

describe("an interrupt at the end of the C stack", function()
  -- Goes as deep as it gets, and computes there; 'enter' calls a function in C.
  for what, enter in pairs {
    ["pcall"] = function(f) return pcall(f) end,
    ["gsub"] = function(f) return pcall(function() ("x"):gsub("x", f) end) end,
    ["a coroutine"] = function(f)
      return pcall(function() return coroutine.wrap(f)() end)
    end,
  } do
    for _, exception in ipairs { _thread.ValueError, _thread.ValueError "enough" } do
      it("of " .. what .. " arrives as " .. tostring(exception), function()
        local there = held()
        local handle = start(function()
          local function deeper()
            local ok, e = enter(deeper)
            if not ok and type(e) == "string" then
              if there:locked() then there:release() end
              while true do end
            end
            error(e, 0)
          end
          deeper()
        end)
        assert.is_true(await(there))
        assert.is_true(handle:interrupt(exception))
        ended_by(_thread.ValueError, handle)
      end)
    end
  end
end)

describe("an interrupt while a module is loaded that something received needs", function()
  local function slow_module(there, never)
    package.loaded.lt_slow = { f = function() end }
    package.preload.lt_slow = function()
      there:release()
      never:acquire()
      return { f = function() end }
    end
    finally(function()
      package.loaded.lt_slow, package.preload.lt_slow = nil, nil
    end)
    return package.loaded.lt_slow.f
  end

  it("ends a thread that begins", function()
    local there, never = held(), held()
    local handle = start(slow_module(there, never))
    assert.is_true(await(there))
    assert.is_true(handle:interrupt(_thread.ValueError))
    ended_by(_thread.ValueError, handle)
  end)

  it("ends one that gets a message", function()
    local there, never = held(), held()
    local q = require "lthread.queue".SimpleQueue()
    q:put(slow_module(there, never))
    local handle = start(function(messages) messages:get() end, q)
    assert.is_true(await(there))
    assert.is_true(handle:interrupt(_thread.ValueError))
    ended_by(_thread.ValueError, handle)
  end)
end)

describe("the end of the program", function()
  local function ends(code, after)
    return child([[
      local _thread = require "lthread"
      local there, never = _thread.allocate_lock(), _thread.allocate_lock()
      there:acquire()
      never:acquire()
    ]] .. code .. [[
      there:acquire()
    ]] .. (after or ""))
  end

  it("reaches a thread that waits in its exception hook", function()
    local text = ends([[
      _thread.set_excepthook(function()
        there:release()
        never:acquire()
      end)
      local handle = _thread.start_joinable_thread(function()
        KEPT = setmetatable({}, {__gc = function() print "closed" end})
        error("first", 0)
      end)
    ]], "print(handle:interrupt())")
    assert.truthy(text:find("first\n", 1, true), text)
    assert.falsy(text:find("SystemExit", 1, true), text)
    assert.truthy(text:find("^false\n.*\nclosed\nstatus 0\n$"), text)
  end)

  it("reaches a thread that computes in its exception hook", function()
    local text = ends [[
      _thread.set_excepthook(function()
        there:release()
        while true do end
      end)
      _thread.start_joinable_thread(function() error("first", 0) end, {name = "computer"})
    ]]
    -- The error that the hook was to report is reported.
    assert.truthy(text:find("computer %(ident 2%):\nfirst\n"), text)
    assert.falsy(text:find("SystemExit", 1, true), text)
    assert.truthy(text:find("status 0\n$"), text)
  end)

  it("reaches a thread whose finalizer waits while its state is closed", function()
    assert.equal("SystemExit\nlast\nstatus 0\n", ends [[
      local handle = _thread.start_joinable_thread(function()
        LAST = setmetatable({}, {__gc = function() print "last" end})
        KEPT = setmetatable({}, {__gc = function()
          there:release()
          local ok, e = pcall(never.acquire, never)
          print(e.__class__.__name__)
        end})
      end)
    ]])
  end)
end)
