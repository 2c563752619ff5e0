-- Traces are of the whole process. What is read back is checked by support/traces.lua.
local _thread = require "lthread"
local futures = require "lthread.futures"
local queue = require "lthread.queue"
local threading = require "lthread.threading"
local child = require "fixtures.child"
local doors = require "support.doors"
local threads = require "support.threads"
local traces = require "support.traces"
local held, await_blocked = threads.held, threads.await_blocked

-- What a trace has of f, which may start threads.
local function traced(f)
  local path = os.tmpname()
  _thread.trace_start(path)
  local ok, problem = pcall(f)
  _thread.trace_stop()
  local trace = traces.read(path)
  os.remove(path)
  if not ok then error(problem, 0) end
  return trace
end

local function start(name, f)
  return _thread.start_joinable_thread(f, { name = name })
end

local function line_of(f)
  return debug.getinfo(f, "S").linedefined
end

local function find(trace, name)
  for _, event in ipairs(trace.events) do
    if event.name == name then return event end
  end
end

describe("a trace", function()
  it("has a row for each thread, with its name, its life, and who has started it", function()
    local trace = traced(function()
      start("first", function() end):join()
      start("second", function() end):join()
    end)
    for _, name in ipairs { "MainThread", "first", "second" } do
      assert.is_truthy(trace.rows[name])
      assert.equal(1, #traces.slices(trace, name, name))
    end
    assert.is_true(traces.has_arrow(trace, "MainThread", "first"))
    assert.is_true(traces.has_arrow(trace, "MainThread", "second"))
    local first = traces.slices(trace, "first", "first")[1]
    assert.is_true(first.ending <= traces.slices(trace, "second", "second")[1].begin)
    assert.equal(0, trace.lost)
  end)

  it("has what a thread waits for, where, how long, for whom, and who has woken it", function()
    local lock <const> = held()
    local function wait() lock:acquire() end
    local trace = traced(function()
      local waiter = start("waiter", wait)
      await_blocked(waiter.ident)
      lock:release()
      waiter:join()
      lock:acquire(true, 0.01)
      start("last", function() await_blocked() end):join()
    end)
    local slice = traces.slices(trace, "waiter", "wait: lock")[1]
    assert.matches("trace_spec%.lua:" .. line_of(wait) .. "$", slice.args.at)
    assert.equal(tostring(lock):match "0x%x+", slice.args.object)
    assert.is_true(slice.ending > slice.begin)
    assert.is_true(traces.has_arrow(trace, "MainThread", "waiter"))
    assert.is_true(traces.has_arrow(trace, "last", "MainThread"))
    assert.is_true(#traces.slices(trace, "MainThread", "wait: join") > 0)
    assert.equal("timed out", traces.slices(trace, "MainThread", "wait: lock")[1].args.outcome)
    lock:release()
  end)

  it("has the line of the script, and not that of a module of the library", function()
    local go <const> = held()
    local thread = threading.Thread { target = function() go:acquire() end, name = "waiter" }
    local function join() thread:join(0.01) end
    local trace = traced(function()
      thread:start()
      join()
    end)
    go:release()
    thread:join()
    local slice = traces.slices(trace, "MainThread", "wait: join")[1]
    assert.matches("trace_spec%.lua:" .. line_of(join) .. "$", slice.args.at)
  end)

  it("names the thread that holds a lock", function()
    local trace = traced(function()
      local lock <const> = held()
      start("waiter", function() lock:acquire(true, 0.01) end):join()
    end)
    assert.equal("MainThread", traces.slices(trace, "waiter", "wait: lock")[1].args["for"])
  end)

  it("has waits for queues, events, descriptors, joins and sleeps", function()
    local messages = queue.Queue()
    local trace = traced(function()
      pcall(messages.get, messages, true, 0.001)
      _thread.Event():wait(0.001)
      local pipe <close> = io.popen "sleep 0.01"
      _thread.wait_fd(pipe, "r")
      _thread.sleep(0.001)
    end)
    for _, name in ipairs { "wait: queue get", "wait: Event", "wait: descriptor", "sleep" } do
      assert.is_true(#traces.slices(trace, "MainThread", name) > 0, name)
    end
  end)

  it("has waits of C modules in blocking sections, by their name", function()
    local function wait() doors.wait(7, "my module") end
    local trace = traced(function()
      local waiter = start("waiter", wait)
      assert.is_true(threads.eventually(function() return doors.see(7) > 0 end))
      doors.open(7)
      waiter:join()
      pcall(coroutine.wrap(function() doors.fail(7, "failing") end))
    end)
    local slice = traces.slices(trace, "waiter", "wait: C module")[1]
    assert.matches("^my module, .*trace_spec%.lua:" .. line_of(wait) .. "$", slice.args.at)
  end)

  it("has messages with their bytes, and where they were packed", function()
    local messages = queue.Queue()
    local function put() messages:put { ("x"):rep(1000) } end
    local trace = traced(function()
      put()
      messages:get()
    end)
    local packed = find(trace, "packs a message")
    local line = "trace_spec%.lua:" .. line_of(put) .. "$"
    assert.matches(line, packed.args.at)
    assert.is_true(packed.args.bytes > 0)
    assert.equal(packed.args.bytes, find(trace, "unpacks a message").args.bytes)
  end)

  it("has interrupts, and who has sent them", function()
    local trace = traced(function()
      local sleeper = start("sleeper", function() pcall(_thread.sleep, threads.LONG) end)
      await_blocked(sleeper.ident)
      sleeper:interrupt(_thread.KeyboardInterrupt)
      sleeper:join()
    end)
    assert.equal("interrupted", traces.slices(trace, "sleeper", "sleep")[1].outcome
      or traces.slices(trace, "sleeper", "sleep")[1].args.outcome)
    assert.equal(1, #traces.slices(trace, "sleeper", "KeyboardInterrupt"))
    assert.is_true(traces.has_arrow(trace, "MainThread", "sleeper"))
  end)

  it("has collections of the shared data space, and tasks of executors", function()
    local function task() return 1 end
    local trace = traced(function()
      _thread.collect()
      local executor <close> = futures.ThreadPoolExecutor { max_workers = 1,
        thread_name_prefix = "pool" }
      executor:submit(task):result()
      pcall(executor:submit(error, "wrong").result, executor)
    end)
    local collection = traces.slices(trace, "MainThread", "collects shared garbage")[1]
    assert.equal("integer", math.type(collection.args.objects))
    assert.equal("integer", math.type(collection.args.freed))
    local tasks = traces.slices(trace, "pool_0", "task")
    assert.equal(2, #tasks)
    assert.matches("trace_spec%.lua:" .. line_of(task) .. "$", tasks[1].args.at)
    assert.equal("error", tasks[2].args.outcome)
  end)

  it("that breaks off is readable, and has what lasts", function()
    local path = os.tmpname()
    local script = ([[
      local _thread = require "lthread"
      local lock <const> = _thread.lock()
      _thread.trace_start(%q)
      lock:acquire()
      _thread.start_joinable_thread(function() lock:acquire() end, { name = "waiter" })
      local file
      repeat
        _thread.sleep(0.01)
        file = io.open(%q):read "a"
      until file:find("wait: lock", 1, true)
      os.execute("kill -KILL $PPID")
      _thread.sleep(300)
    ]]):format(path, path)
    assert.matches("status 137\n$", child(script))
    local text = io.open(path):read "a"
    os.remove(path)
    assert.is_nil(text:find "%]%s*$")
    local trace = traces.check(text .. "]")
    assert.equal(math.huge, traces.slices(trace, "waiter", "wait: lock")[1].ending)
    assert.equal(math.huge, traces.slices(trace, "waiter", "waiter")[1].ending)
  end)

  it("has what is still going on when it is stopped", function()
    local done <const> = held()
    local waiter
    local trace = traced(function()
      waiter = start("waiter", function() done:acquire() end)
      await_blocked(waiter.ident)
    end)
    done:release()
    waiter:join()
    local wait = traces.slices(trace, "waiter", "wait: lock")[1]
    assert.is_true(wait.ending < math.huge)
    local life = traces.slices(trace, "waiter", "waiter")[1]
    assert.is_true(math.abs(wait.ending - life.ending) < 0.01)
  end)

  it("has threads that were there before, and forgets them with the trace", function()
    local go <const>, ready <const> = queue.Queue(), queue.Queue()
    local waiter = start("before", function()
      for _ in go:each() do ready:put(true) end
    end)
    for _ = 1, 2 do
      await_blocked(waiter.ident)
      local trace = traced(function()
        go:put(1)
        ready:get()
      end)
      assert.is_truthy(trace.rows.before)
      assert.equal(1, #traces.slices(trace, "before", "before"))
    end
    go:shutdown()
    waiter:join()
  end)

  it("has no arrow that has left in the trace before", function()
    local shielded <const>, go_on <const> = _thread.Event(), _thread.Event()
    local late
    traced(function()
      late = start("late", function()
        pcall(function()
          _thread.shield(function()
            shielded:set()
            repeat until go_on:is_set()
          end)
        end)
      end)
      shielded:wait()
      late:interrupt()
    end)
    local trace = traced(function()
      go_on:set()
      late:join()
    end)
    assert.equal(1, #traces.slices(trace, "late", "SystemExit"))
    assert.is_false(traces.has_arrow(trace, "MainThread", "late"))
  end)

  it("writes any name as good JSON", function()
    local trace = traced(function()
      start('a "quoted" \\ name\n\1', function() end):join()
      start("no UTF-8: \xff\xc3", function() end):join()
      start("ümläut", function() end):join()
    end)
    assert.is_truthy(trace.rows['a "quoted" \\ name\n\1'])
    assert.is_truthy(trace.rows["no UTF-8: ??"])
    assert.is_truthy(trace.rows["ümläut"])
  end)

  it("refuses what makes no sense", function()
    local raises, RuntimeError = threads.raises, _thread.RuntimeError
    raises(RuntimeError, "no trace is being written", _thread.trace_stop)
    raises(RuntimeError, "can't write /no/such/trace: ", _thread.trace_start, "/no/such/trace")
    raises(RuntimeError, "no trace is being written", _thread.trace_stop)
    traced(function()
      raises(RuntimeError, "a trace is being written already", _thread.trace_start, "/dev/null")
    end)
    _thread.trace_start "/dev/full"
    raises(RuntimeError, "the trace was not written: No space", _thread.trace_stop)
  end)
end)

describe("LTHREAD_TRACE", function()
  local function run(script, pattern)
    local path = os.tmpname()
    local output = child(script, "LTHREAD_TRACE=" .. (pattern or path))
    local file = io.open(path)
    local trace = file and file:seek "end" > 0 and traces.read(path)
    os.remove(path)
    return output, trace
  end

  it("traces a process from its beginning to its end", function()
    local output, trace = run [[
      local _thread = require "lthread"
      _thread.start_joinable_thread(function() _thread.sleep(0.01) end,
        { name = "slept", daemon = false })
      print "done"
    ]]
    assert.equal("done\nstatus 0\n", output)
    assert.equal(1, #traces.slices(trace, "slept", "sleep"))
    assert.equal(1, #traces.slices(trace, "MainThread", "wait: the end of the other threads"))
  end)

  it("traces a pipeline", function()
    local output, trace = run "return dofile 'examples/pipeline.lua'"
    assert.matches("status 0\n$", output)
    for _, name in ipairs { "reader", "splitter 1", "splitter 2", "counter", "MainThread" } do
      assert.equal(1, #traces.slices(trace, name, name))
    end
    assert.is_true(#traces.slices(trace, "counter", "wait: queue get") > 0)
    local between_stages = 0
    for _, arrow in ipairs(trace.arrows) do
      if trace.names[arrow.from] ~= "MainThread" and trace.names[arrow.to] ~= "MainThread" then
        between_stages = between_stages + 1
      end
    end
    assert.is_true(between_stages > 0)
    assert.is_truthy(find(trace, "packs a message"))
  end)

  it("traces a convoy: each waits for the one before", function()
    local output, trace = run [[
      local _thread = require "lthread"
      local lock <const> = _thread.lock()
      local handles = {}
      local function march()
        for _ = 1, 20 do
          lock:acquire()
          _thread.sleep(0.001)
          lock:release()
        end
      end
      for i = 1, 3 do
        handles[i] = _thread.start_joinable_thread(march, { name = "march " .. i })
      end
      for i = 1, 3 do handles[i]:join() end
    ]]
    assert.equal("status 0\n", output)
    for i = 1, 3 do
      local waits = traces.slices(trace, "march " .. i, "wait: lock")
      assert.is_true(#waits > 0)
      assert.matches("^march %d$", waits[1].args["for"])
    end
  end)

  it("puts the number of the process for %p", function()
    local folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    run("require 'lthread'", folder .. "/%p.json")
    local listing <close> = io.popen("ls " .. folder)
    local names = listing:read "a"
    assert.matches("^%d+%.json\n$", names)
    assert.equal(0, traces.read(folder .. "/" .. names:match "%S+").lost)
    os.execute("rm -r " .. folder)
  end)

  it("says where it has no effect", function()
    local output = child("require 'lthread'", "LTHREAD_TRACE=/no/such/trace")
    assert.matches("^lthread: LTHREAD_TRACE=/no/such/trace has no effect: No such file", output)
    assert.matches("status 0\n$", output)
    assert.equal("status 0\n", child("require 'lthread'", "LTHREAD_TRACE="))
  end)
end)
