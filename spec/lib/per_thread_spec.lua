-- luacheck: ignore 311 331 (what is set to nil for the collector)
-- per_thread: an object that gives each thread a value of its own.
local _thread = require "lthread"
local queue = require "lthread.queue"
local child = require "fixtures.child"
local threads = require "support.threads"
local start, call = threads.start, threads.call

-- All that is in a queue.
local function drain(q)
  local messages = {}
  while not q:empty() do messages[#messages + 1] = q:get() end
  return messages
end

-- An object whose values tell 'log' when they are made and closed.
local function logged(log, name)
  return _thread.per_thread(function()
    log:put("made " .. name)
    return { name = name, close = function(self) log:put("closed " .. self.name) end }
  end, { close = true })
end

describe("per_thread", function()
  it("makes an object", function()
    local object = _thread.per_thread(function() return 1 end)
    assert.is_true(_thread.isinstance(object, _thread.per_thread))
    assert.is_false(_thread.isinstance({}, _thread.per_thread))
    assert.matches("^<_thread%.per_thread object at 0?x?%x+>$", tostring(object))
    assert.equal(1, object())
  end)

  it("calls its function once in each thread, when that first asks", function()
    local log = queue.SimpleQueue()
    local object = _thread.per_thread(function()
      log:put(_thread.get_ident())
      return {}
    end)
    assert.is_true(log:empty())
    assert.equal(object(), object())
    local idents = {}
    for i = 1, 4 do
      idents[i] = call(function()
        local same = object() == object()
        return same and _thread.get_ident()
      end)
    end
    assert.same({ _thread.get_ident(), table.unpack(idents) }, drain(log))
    call(function() return _thread.get_ident() end)
    assert.is_true(log:empty())
  end)

  it("gives a thread its own in each of its coroutines", function()
    local object = _thread.per_thread(function() return {} end)
    local inside = coroutine.wrap(function() return object() end)()
    assert.equal(inside, object())
    assert.is_true(call(function()
      local first = coroutine.wrap(function() return object() end)()
      return first == object() and first == coroutine.wrap(function() return object() end)()
    end))
  end)

  it("is the same object however it crosses, and keeps its value meanwhile", function()
    local object = _thread.per_thread(function() return {} end)
    local shared, q = _thread.shared { object = object }, queue.SimpleQueue()
    q:put { object }
    local value = object()
    local back = { call(function(argument)
      return argument == object and shared.object == object and q:get()[1] == object,
        argument() == object() and shared.object() == object(), argument
    end, object) }
    assert.same({ true, true }, { back[1], back[2] })
    assert.equal(object, back[3])
    assert.equal(value, back[3]())
    assert.equal(value, shared.object())
  end)

  it("copies its function when it is made, with upvalues and globals", function()
    local upvalue = { 1 }
    _G.lt_spec_global = "then"
    finally(function() _G.lt_spec_global = nil end)
    local object = _thread.per_thread(function() return upvalue[1] end)
    upvalue[1] = 2
    assert.equal(1, object())
    assert.equal(1, call(object))
    local global = _thread.per_thread(function() return lt_spec_global end) -- luacheck: ignore 113
    _G.lt_spec_global = nil
    assert.equal("then", call(global))
  end)

  it("gives the first result only, and keeps nil", function()
    local log = queue.SimpleQueue()
    local nothing = _thread.per_thread(function() log:put(1) end)
    assert.same({ n = 1 }, table.pack(nothing()))
    assert.is_nil(nothing())
    assert.equal(1, log:qsize())
    assert.same({ n = 1, 1 }, table.pack(_thread.per_thread(function() return 1, 2 end)()))
    assert.is_false(_thread.per_thread(function() return false end)())
  end)

  it("refuses what it can't do", function()
    local co = coroutine.create(print)
    threads.raises(_thread.TypeError, "coroutine (function's upvalue co)", _thread.per_thread,
      function() return co end)
    threads.raises(_thread.TypeError, "bad argument #1", _thread.per_thread, 5)
    threads.raises(_thread.TypeError, "bad argument #1", _thread.per_thread)
    threads.raises(_thread.TypeError, "'closed'", _thread.per_thread, print, { closed = true })
    threads.raises(_thread.TypeError, "", _thread.per_thread, print, { close = "yes" })
    threads.raises(_thread.TypeError, "", _thread.per_thread(function() end), 1)
  end)

  it("keeps nothing if its function raises, and tries again", function()
    local tries = _thread.shared { count = 0 }
    local object = _thread.per_thread(function()
      local count = _thread.add(tries, "count", 1)
      if count < 3 then error("no " .. count, 0) end
      return count
    end)
    assert.same({ false, "no 1" }, { pcall(object) })
    assert.same({ false, "no 2" }, { pcall(object) })
    assert.equal(3, object())
    assert.equal(3, object())
  end)

  it("is not to be asked by its own function", function()
    local place = _thread.shared {}
    place.object = _thread.per_thread(function() return place.object() end)
    threads.raises(_thread.RuntimeError, "has asked for it", place.object)
    threads.raises(_thread.RuntimeError, "has asked for it", place.object)
    place.object = nil
  end)

  it("may be asked for another by its function", function()
    local first = _thread.per_thread(function() return { 1 } end)
    local second = _thread.per_thread(function() return { first()[1] + 1 } end)
    assert.equal(2, second()[1])
    assert.equal(2, call(function() return second()[1] end))
  end)

  it("keeps nothing if its function is interrupted", function()
    local gate, open = threads.held(), _thread.shared { open = false }
    local object = _thread.per_thread(function()
      while not open.open do
        pcall(gate.release, gate)
      end
      return "made"
    end)
    local thread = start(function()
      local ok, e = pcall(object)
      open.open = true
      return ok, _thread.isinstance(e, _thread.KeyboardInterrupt), object()
    end)
    assert.is_true(threads.await(gate))
    thread:interrupt(_thread.KeyboardInterrupt)
    assert.same({ false, true, "made" }, { threads.result(thread) })
  end)

  it("can't be yielded out of", function()
    local object = _thread.per_thread(function() return coroutine.yield() or 1 end)
    assert.is_false(pcall(coroutine.wrap(function() return object() end)))
  end)

  it("serves many threads at once", function()
    local made = _thread.shared { count = 0 }
    local object = _thread.per_thread(function()
      return { number = _thread.add(made, "count", 1) }
    end)
    local handles, seen = {}, {}
    for i = 1, 16 do
      handles[i] = start(function()
        local value = object()
        for _ = 1, 100 do
          if object() ~= value then return -1 end
        end
        return value.number
      end)
    end
    for i = 1, 16 do seen[handles[i]:result()] = true end
    assert.equal(16, #seen)
    assert.equal(16, made.count)
  end)
end)

describe("A value of per_thread", function()
  it("is closed when its thread ends, the last one first", function()
    local log = queue.SimpleQueue()
    local a, b, c = logged(log, "a"), logged(log, "b"), logged(log, "c")
    call(function() return a() and c() and b() and a() and 1 end)
    assert.same({ "made a", "made c", "made b", "closed b", "closed c", "closed a" }, drain(log))
  end)

  it("is closed if its thread ends by an error or an interrupt", function()
    threads.quiet(finally)
    local log = queue.SimpleQueue()
    local object = logged(log, "x")
    pcall(call, function()
      object()
      error "no"
    end)
    pcall(call, function()
      object()
      _thread.exit()
    end)
    assert.same({ "made x", "closed x", "made x", "closed x" }, drain(log))
  end)

  -- In some of these rounds the collector has found the object's proxy and value to be garbage, but
  -- not called their finalizers, when the thread ends.
  it("is closed if its thread ends in the midst of a collection", function()
    local globals = _thread.globals
    globals.closed_values = 0
    finally(function() globals.closed_values = nil end)
    local object = _thread.per_thread(function()
      return { close = function() _thread.add(_thread.globals, "closed_values", 1) end }
    end, { close = true })
    local rounds, has_ended = 0, false
    while not has_ended do
      rounds = rounds + 1
      has_ended = call(function(own)
        if _VERSION == "Lua 5.4" then
          collectgarbage("incremental", 200, 100, 6) -- small steps
        else
          collectgarbage "incremental"
          collectgarbage("param", "stepsize", 64)
        end
        own()
        own = nil
        for _ = 1, 100 do setmetatable({}, { __gc = function() end }) end
        for _ = 1, rounds do
          if collectgarbage("step", 0) then return true end
        end
        return false
      end, object)
      assert.equal(rounds, globals.closed_values)
    end
  end)

  it("is closed before what it consists of is finalized", function()
    local log = queue.SimpleQueue()
    local object = _thread.per_thread(function()
      local inner = setmetatable({}, { __gc = function() log:put "finalized" end })
      return { close = function() log:put("closed " .. type(inner)) end }
    end, { close = true })
    call(function() object() end)
    assert.same({ "closed table", "finalized" }, drain(log))
  end)

  it("is not closed unless that was asked for", function()
    local log = queue.SimpleQueue()
    local object = _thread.per_thread(function()
      return { close = function() log:put "closed" end }
    end)
    call(function() object() end)
    assert.is_true(log:empty())
  end)

  it("has to have a method for it", function()
    local object = _thread.per_thread(function() return {} end, { close = true })
    threads.raises(_thread.TypeError, "has a method 'close', got a table", object)
    object = _thread.per_thread(function() return 5 end, { close = true })
    threads.raises(_thread.TypeError, "has a method 'close', got a number", object)
    assert.is_nil(_thread.per_thread(function() end, { close = true })())
  end)

  it("whose close raises is told to the excepthook, and the others are closed", function()
    local log = queue.SimpleQueue()
    _thread.set_excepthook(function(args)
      log:put(tostring(args.exc_value) .. (args.exc_traceback and " traced" or ""))
    end)
    finally(function() _thread.set_excepthook(nil) end)
    local good = logged(log, "good")
    local bad = _thread.per_thread(function()
      return { close = function() error("can't close", 0) end }
    end, { close = true })
    assert.equal("done", call(function()
      good()
      bad()
      return "done"
    end))
    assert.same({ "made good", "can't close traced", "closed good" }, drain(log))
  end)

  it("is closed when no thread has the object any more, while this one goes on", function()
    local log = queue.SimpleQueue()
    call(function()
      local object = logged(log, "short")
      object()
      object = nil
      collectgarbage()
      collectgarbage()
      log:put "goes on"
    end)
    assert.same({ "made short", "closed short", "goes on" }, drain(log))
  end)

  it("may lead back to the object, and goes with it", function()
    local log = queue.SimpleQueue()
    call(function()
      local object = logged(log, "circle")
      object().object = object
      object = nil
      collectgarbage()
      collectgarbage()
      log:put "goes on"
    end)
    assert.same({ "made circle", "closed circle", "goes on" }, drain(log))
  end)

  it("stays while another thread has the object, and goes when that has gone", function()
    local log, to_go = queue.SimpleQueue(), threads.held()
    local object = logged(log, "here")
    local value = object()
    local holder = start(function(argument)
      to_go:acquire()
      return argument
    end, object)
    object = nil
    collectgarbage()
    collectgarbage()
    to_go:release()
    object = holder:result()
    assert.equal(value, object())
    assert.same({ "made here" }, drain(log))
    object, value, holder = nil, nil, nil
    assert.is_true(threads.eventually(function()
      collectgarbage()
      return not log:empty()
    end))
    assert.same({ "closed here" }, drain(log))
  end)

  it("is closed in time when the object dies in another thread", function()
    local log, to_go = queue.SimpleQueue(), threads.held()
    local object = logged(log, "left")
    object()
    local holder = start(function() return object and to_go:acquire() end)
    object = nil
    collectgarbage()
    collectgarbage()
    to_go:release()
    assert.is_true(threads.result(holder))
    holder = nil
    assert.is_true(threads.eventually(function()
      _thread.per_thread(function() return 1 end)()
      collectgarbage()
      return log:qsize() == 2
    end))
    assert.same({ "made left", "closed left" }, drain(log))
  end)

  it("of the main thread is closed when its state is", function()
    assert.equal("made a\nmade b\nclosed b\nclosed a\nstatus 0\n", child [[
      local _thread = require "lthread"
      local function make(name)
        return _thread.per_thread(function()
          print("made " .. name)
          return { close = function() print("closed " .. name) end }
        end, { close = true })
      end
      a, b = make "a", make "b"
      a() b() a()
      os.exit(0, true)
    ]])
  end)

  it("is not given again once it has been closed", function()
    assert.equal("closed\nRuntimeError\nstatus 0\n", child [[
      local _thread = require "lthread"
      object = nil
      late = setmetatable({}, { __gc = function()
        local ok, e = pcall(object)
        print(ok or _thread.isinstance(e, _thread.RuntimeError) and "RuntimeError" or e)
      end })
      object = _thread.per_thread(function()
        return { close = function() print "closed" end }
      end, { close = true })
      object()
      os.exit(0, true)
    ]])
  end)

  it("is one, also where a finalizer asks for it while it is made", function()
    assert.equal("some asked\nstatus 0\n", child([[
      local _thread = require "lthread"
      if _VERSION == "Lua 5.4" then
        collectgarbage("incremental", 100, 200, 2)
      else
        collectgarbage("param", "pause", 100)
        collectgarbage("param", "stepsize", 128)
      end
      local asked = 0
      for round = 1, 10000 do
        local object, fields = _thread.per_thread(function() return {} end), _thread._local()
        local is_made, value, seen = false, nil, nil
        for _ = 1, 30 do
          setmetatable({}, { __gc = function()
            if is_made and not seen then
              seen, fields.seen = object(), true
            end
          end })
        end
        for _ = 1, round % 200 do
          local _ = {}
        end
        is_made = true
        if round % 2 == 0 then value = object() else fields.own = true end
        is_made = false
        if seen then
          asked = asked + 1
          assert(not value or value == seen)
          assert(value or fields.own and fields.seen)
        end
      end
      print(asked > 0 and "some asked" or "none")
    ]]))
  end)

  it("may be made by a finalizer when the state is being closed", function()
    assert.equal("made\nstatus 0\n", child [[
      local _thread = require "lthread"
      local object = _thread.per_thread(function() return { close = print } end, { close = true })
      _thread.start_joinable_thread(function()
        at_end = setmetatable({}, { __gc = function() print(object() and "made") end })
      end):join()
    ]])
  end)

  it("goes without being told to a script that plays with debug", function()
    local object = _thread.per_thread(function() return 1 end)
    debug.setuservalue(object, io.stdout, 1)
    threads.raises(_thread.RuntimeError, "has been replaced", object)
    debug.setuservalue(object, nil, 1)
    local made = _thread._local()
    debug.setuservalue(made, 5, 1)
    assert.is_nil(made.field)
  end)
end)

it("An object of per_thread and a shared table that lead to each other are collected", function()
  _thread.collect()
  local before = _thread.shared_memory()
  for _ = 1, 200 do
    local place = _thread.shared { text = ("x"):rep(1000) }
    place.object = _thread.per_thread(function() return place end)
  end
  assert.is_true(threads.eventually(function()
    collectgarbage()
    _thread.collect()
    return _thread.shared_memory() - before < 100000
  end))
end)
